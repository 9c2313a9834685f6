"""What callers of Anthropic's Messages rely on beside the golden cases: errors, headers, what garbage meets, and that nothing is lost on the way back."""

from collections.abc import Callable
from typing import Any

import anthropic.types.shared as claude
import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.terms import Answer, Chunk, ChunkKind, Part, PartKind, Usage
from gateway.wire import Told, WireError
from gateway.wire.anthropic_messages import WIRE, ChunkReader, ChunkWriter, compose, read_answer, read_ask, write_answer
from gateway.wire.anthropic_messages.foreign import without_foreign
from gateway.wire.anthropic_messages.head import read_head
from gateway.wire.anthropic_messages.headers import answer_lines
from gateway.wire.openai_chat import compose as compose_chat
from gateway.wire.openai_chat import read_ask as read_chat
from gateway.wire.sse import EventBuffer
from gateway.wire.strict import fields

TOLD = Told(model="house-model", call_id="call_1", created_at_s=1)
HELLO = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "Hello"}]}


# ---- errors and headers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (401, "authentication_error"), (402, "billing_error"), (403, "permission_error"), (404, "not_found_error"),
     (413, "request_too_large"), (415, "invalid_request_error"), (429, "rate_limit_error"), (502, "api_error"), (503, "overloaded_error"),
     (504, "timeout_error")],
)  # fmt: skip
def test_errors_have_the_shape_and_the_type_the_sdk_knows(status: int, kind: str) -> None:
    assert WIRE.client is not None
    body = WIRE.client.error_body(status, "some_code", "api_error", "Say it otherwise.", "messages.0", {"call_id": "call_1"})
    assert orjson.loads(body) == {
        "type": "error",
        "error": {
            "type": kind,
            "message": "Say it otherwise.",
            "details": {"error_code": "some_code"},
            "sgw": {"status": status, "code": "some_code", "param": "messages.0", "call_id": "call_1"},
        },
        "request_id": "call_1",
    }
    assert WIRE.client.error_event(status, "some_code", "api_error", "Say it otherwise.", "messages.0", {"call_id": "call_1"}) == (
        b"event: error\ndata: " + body + b"\n\n"
    )
    if kind != "request_too_large":  # no type of its own in the SDK
        claude.ErrorResponse.model_validate_json(body)


def test_answers_carry_the_headers_the_sdk_looks_for() -> None:
    head = b"x-request-id: call_1\r\nx-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: 59\r\nx-ratelimit-reset-requests: 12s\r\n"
    added = (
        b"request-id: call_1\r\nanthropic-ratelimit-requests-limit: 60\r\nanthropic-ratelimit-requests-remaining: 59\r\n"
        b"anthropic-ratelimit-requests-reset: 2026-11-25T00:00:12Z\r\n"
    )
    assert answer_lines(head, 1_795_564_800.9) == head + added


def test_the_vendors_own_limits_stand_where_they_are_told() -> None:
    head = b"x-request-id: call_1\r\nanthropic-ratelimit-tokens-limit: 9\r\nx-ratelimit-limit-tokens: 8\r\nx-ratelimit-remaining-tokens: 7\r\n"
    assert answer_lines(head, 0) == head + b"request-id: call_1\r\n"


def test_a_reset_that_is_no_number_of_seconds_is_not_told() -> None:
    head = b"x-ratelimit-limit-tokens: 8\r\nx-ratelimit-remaining-tokens: 7\r\nx-ratelimit-reset-tokens: 6ms\r\n"
    assert answer_lines(head, 0) == head + b"anthropic-ratelimit-tokens-limit: 8\r\nanthropic-ratelimit-tokens-remaining: 7\r\n"


# ---- other vendors' reasoning on the way to the vendor itself ---------------------------------------------------------


def _cleaned(*content: Any) -> Any:
    changed = without_foreign(fields(orjson.dumps({**HELLO, "messages": [{"role": "assistant", "content": list(content)}]})))
    raw = changed.get("messages")
    return orjson.loads(raw)[0]["content"] if raw is not None else None


def test_only_reasoning_that_others_sealed_is_taken_out() -> None:
    own, text = {"type": "thinking", "thinking": "Hm.", "signature": "ErUB"}, {"type": "text", "text": "Hi."}
    foreign = {"type": "thinking", "thinking": "Ah.", "signature": "sgw1.gemini.Cs8B"}
    call = {"type": "redacted_thinking", "data": "sgw1.gemini+call.Cs8B"}
    back = {"type": "thinking", "thinking": "Hm.", "signature": "sgw1.anthropic_messages.ErUB"}
    assert _cleaned(own, foreign, call, text) == [own, text]
    assert _cleaned(back, text) == [own, text]
    assert _cleaned(own, text) is None
    assert _cleaned({"type": "text", "text": "sgw1.gemini.x"}) is None
    assert without_foreign(fields(b'{"model":"m"}')) == {}


def test_a_turn_that_held_nothing_else_is_taken_out_whole() -> None:
    turns = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "sgw1.gemini.x"}]}]
    changed = without_foreign(fields(orjson.dumps({**HELLO, "messages": turns})))
    assert orjson.loads(changed["messages"] or b"") == turns[:1]


# ---- garbage ----------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("type", "text", "source", "content", "id", "name", "data")), inner, max_size=4)
    ),
    max_leaves=8,
)
BLOCKS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(("text", "image", "document", "thinking", "redacted_thinking", "tool_use", "tool_result", "search_result", "x"))},
        optional=dict.fromkeys(("text", "source", "thinking", "signature", "data", "id", "input", "tool_use_id", "content", "citations", "title"), JSON),
    ),
    max_size=3,
)
FIELDS = st.sampled_from(
    (
        "system",
        "tools",
        "tool_choice",
        "thinking",
        "output_config",
        "metadata",
        "stop_sequences",
        "temperature",
        "top_k",
        "service_tier",
        "cache_control",
        "stream",
    )
)


def _refusal(attempt: Callable[[], object]) -> WireError | None:
    """Return what an attempt is refused with; any other error is one of ours."""
    try:
        attempt()
    except WireError as error:
        return error
    return None


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(FIELDS, JSON, max_size=4), JSON | BLOCKS)
def test_garbage_in_any_field_is_refused_by_name(extras: dict[str, Any], content: Any) -> None:
    asked = {**HELLO, **extras, "messages": [{"role": "user", "content": content}]}
    refused = _refusal(lambda: compose_chat(read_ask(fields(orjson.dumps(asked)), "m", False), "up"))
    assert refused is None or (refused.code in ("invalid_request", "unsupported_field") and refused.param)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(("model", "stream", "max_tokens", "metadata")), JSON, max_size=4))
def test_garbage_at_the_door_is_refused(asked: dict[str, Any]) -> None:
    refused = _refusal(lambda: read_head(asked))
    assert refused is None or refused.code == "invalid_request"


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"max_tokens": 5}, "model"),
        ({"model": "m", "max_tokens": "many"}, "max_tokens"),
        ({"model": "m", "max_tokens": -1}, "max_tokens"),
        ({"model": "m", "metadata": {"user_id": 7}}, "metadata.user_id"),
    ],
)
def test_the_door_names_the_field(asked: dict[str, Any], param: str) -> None:
    with pytest.raises(WireError) as caught:
        read_head(asked)
    assert caught.value.param == param


# ---- nothing is lost --------------------------------------------------------------------------------------------------

WORDS = st.text(min_size=1, max_size=20).filter(str.strip)
ANSWERED = st.lists(
    st.one_of(
        st.builds(Part, kind=st.just(PartKind.TEXT), text=WORDS),
        st.builds(
            Part, kind=st.just(PartKind.REASONING), text=WORDS, signature=WORDS, signed_by=st.sampled_from(("gemini", "anthropic_messages", "openai_chat"))
        ),
        st.builds(Part, kind=st.just(PartKind.REDACTED), text=WORDS, signed_by=st.sampled_from(("openai_responses", "anthropic_messages"))),
        st.builds(
            Part,
            kind=st.just(PartKind.TOOL_CALL),
            id=WORDS,
            name=WORDS,
            text=st.dictionaries(WORDS, st.integers(0, 9), max_size=2).map(lambda value: orjson.dumps(value).decode()),
            signature=st.just("Cs8B"),
            signed_by=st.just("gemini"),
        ),
    ),
    max_size=5,
).map(tuple)


@settings(max_examples=80, deadline=None)
@given(ANSWERED)
def test_what_a_client_was_told_comes_back_as_it_was(parts: tuple[Part, ...]) -> None:
    if any(part.signature.startswith("sgw1.") or (part.kind is PartKind.REDACTED and part.text.startswith("sgw1.")) for part in parts):
        return
    told = orjson.loads(write_answer(Answer(id="1", model="m", parts=parts, finish="stop", usage=Usage(1)), TOLD))
    history = [{"role": "user", "content": "x"}, {"role": "assistant", "content": told["content"]}]
    ask = read_ask(fields(orjson.dumps({**HELLO, "messages": history})), "m", False)
    assert tuple(msgspec.structs.replace(part, at="") for part in ask.messages[1].parts) == parts


def _streamed(chunks: list[Chunk]) -> list[dict[str, Any]]:
    """Return the content that Anthropic's SDK would put together of a stream."""
    writer, content = ChunkWriter(TOLD), []
    for event in EventBuffer().feed(b"".join(writer.write(chunk) for chunk in [Chunk(kind=ChunkKind.START, id="1"), *chunks, Chunk(kind=ChunkKind.END)])):
        data = orjson.loads(event.split(b"data: ", 1)[1])
        if data["type"] == "content_block_start":
            content.append(data["content_block"])
        elif data["type"] == "content_block_delta":
            delta = data["delta"]
            name = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature", "input_json_delta": "partial_json"}[delta["type"]]
            block = content[data["index"]]
            block[name] = block.get(name, "") + delta[name]
    for block in content:
        if "partial_json" in block:
            block["input"] = orjson.loads(block.pop("partial_json"))
    return content


def _chunks(parts: tuple[Part, ...]) -> list[Chunk]:
    made: list[Chunk] = []
    calls = 0
    for part in parts:
        if part.kind is PartKind.TOOL_CALL:
            made.append(Chunk(kind=ChunkKind.SIGNATURE, text=part.signature, signed_by=part.signed_by))
            made.append(Chunk(kind=ChunkKind.TOOL_START, index=calls, id=part.id, name=part.name))
            made.append(Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=calls, text=part.text))
            calls += 1
            continue
        kind = {PartKind.TEXT: ChunkKind.TEXT, PartKind.REASONING: ChunkKind.REASONING, PartKind.REDACTED: ChunkKind.REDACTED}[part.kind]
        made.append(Chunk(kind=kind, text=part.text, signed_by=part.signed_by))
        if part.signature:
            made.append(Chunk(kind=ChunkKind.SIGNATURE, text=part.signature, signed_by=part.signed_by))
    return made


@settings(max_examples=80, deadline=None)
@given(ANSWERED)
def test_a_stream_tells_what_a_whole_answer_tells(parts: tuple[Part, ...]) -> None:
    joined: list[Part] = []
    for part in parts:  # texts in a row are one block in a stream
        if part.kind is PartKind.TEXT and joined and joined[-1].kind is PartKind.TEXT:
            joined[-1] = Part(kind=PartKind.TEXT, text=joined[-1].text + part.text)
        else:
            joined.append(part)
    whole = orjson.loads(write_answer(Answer(id="1", model="m", parts=tuple(joined), finish="stop", usage=None), TOLD))["content"]
    assert _streamed(_chunks(parts)) == whole


def test_a_piece_of_an_earlier_call_still_reaches_its_own_block() -> None:
    start = [Chunk(kind=ChunkKind.TOOL_START, index=index, id=f"call_{index}", name="weather") for index in (0, 1)]
    pieces = [Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=index, text=text) for index, text in ((0, '{"a":'), (1, "{"), (0, "1}"), (1, "}"))]
    assert [block["input"] for block in _streamed([start[0], pieces[0], start[1], *pieces[1:]])] == [{"a": 1}, {}]


def test_a_stream_that_says_nothing_is_an_empty_message() -> None:
    writer = ChunkWriter(TOLD)
    events = EventBuffer().feed(writer.write(Chunk(kind=ChunkKind.END)))
    assert [event.split(b"\n")[0] for event in events] == [b"event: message_start", b"event: message_delta", b"event: message_stop"]
    assert writer.write(Chunk(kind=ChunkKind.TEXT, text="late")) == b""


def test_an_answer_of_this_vendor_is_told_to_its_own_clients_as_it_came() -> None:
    page = {"document_index": 0, "document_title": "T", "start_page_number": 1, "end_page_number": 2, "file_id": None}
    content: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "Hm.", "signature": "ErUB"},
        {"type": "redacted_thinking", "data": "EmwK"},
        {"type": "text", "text": "It is.", "citations": [{"type": "page_location", "cited_text": "is", **page}]},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
    ]  # fmt: skip
    body = {
        "id": "msg_1",
        "model": "m",
        "content": content,
        "stop_reason": "stop_sequence",
        "stop_sequence": "END",
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }
    told = orjson.loads(write_answer(read_answer(orjson.dumps(body)), TOLD))
    assert (told["content"], told["stop_reason"], told["stop_sequence"]) == (content, "stop_sequence", "END")


def test_a_chat_clients_conversation_keeps_its_signatures_through_anthropic() -> None:
    reader = ChunkReader()
    events = [
        {"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "ErUB"}},
        {"type": "content_block_stop", "index": 0},
    ]
    chunks = [chunk for event in events for chunk in reader.feed(b"data: " + orjson.dumps(event) + b"\n\n")]
    assert [(chunk.kind, chunk.text, chunk.signed_by) for chunk in chunks[1:]] == [
        (ChunkKind.REASONING, "", ""),
        (ChunkKind.SIGNATURE, "ErUB", "anthropic_messages"),
    ]
    detail = {"index": 0, "type": "reasoning.text", "text": "", "signature": "sgw1.anthropic_messages.ErUB"}
    messages = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y", "reasoning_details": [detail]}, {"role": "user", "content": "z"}]
    body, dropped = compose(read_chat(fields(orjson.dumps({"model": "m", "messages": messages})), "m", False), "claude-sonnet-4-5")
    assert orjson.loads(body)["messages"][1]["content"] == [{"type": "thinking", "thinking": "", "signature": "ErUB"}, {"type": "text", "text": "y"}]
    assert dropped == ()


@pytest.mark.parametrize(("tier", "told"), [("flex", {"service_tier": "batch"}), ("priority", {"service_tier": "priority"}), ("", {})])
def test_a_stream_says_the_tier_that_served_it(tier: str, told: dict[str, str]) -> None:
    writer = ChunkWriter(TOLD)
    chunks = [Chunk(kind=ChunkKind.START), Chunk(kind=ChunkKind.FINISH, finish="stop"), Chunk(kind=ChunkKind.USAGE, usage=Usage(5, output_tokens=2, tier=tier))]
    said = b"".join(writer.write(chunk) for chunk in (*chunks, Chunk(kind=ChunkKind.END)))
    (last,) = [orjson.loads(event.partition(b"data: ")[2]) for event in said.split(b"\n\n") if b'"message_delta"' in event]
    assert {name: value for name, value in last["usage"].items() if name == "service_tier"} == told
