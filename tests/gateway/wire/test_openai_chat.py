"""What OpenAI's SDK reads from us, and what we read from upstreams of the same wire."""

from typing import Any

import httpx
import orjson
import pytest
from openai import APIError, OpenAI

from gateway.terms import Chunk, ChunkKind, Usage
from gateway.wire import Head, Seen, Told, WireError, by_endpoint, shelf
from gateway.wire.openai_chat import WIRE, ChunkWriter, Meter, error_body, error_message, read_ask, read_usage
from gateway.wire.openai_chat.head import read_head
from gateway.wire.strict import fields


def _client(stream: bytes) -> OpenAI:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    http_client: Any = httpx.Client(transport=httpx.MockTransport(answer))
    return OpenAI(api_key="k", base_url="http://gateway/v1", max_retries=0, http_client=http_client)


CHUNKS = [
    Chunk(kind=ChunkKind.START),
    Chunk(kind=ChunkKind.REASONING, text="Hm"),
    Chunk(kind=ChunkKind.TEXT, text="Hé"),
    Chunk(kind=ChunkKind.PING),
    Chunk(kind=ChunkKind.TOOL_START, index=0, id="call_1", name="weather"),
    Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=0, text='{"city":'),
    Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=0, text='"Rome"}'),
    Chunk(kind=ChunkKind.TOOL_START, index=1, id="call_2", name="now"),
    Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=1, text="{}"),
    Chunk(kind=ChunkKind.FINISH, finish="tool_calls"),
    Chunk(kind=ChunkKind.USAGE, usage=Usage(input_tokens=9, output_tokens=4)),
    Chunk(kind=ChunkKind.END),
    Chunk(kind=ChunkKind.TEXT, text="never"),
]


@pytest.mark.parametrize("include_usage", [False, True])
def test_the_official_sdk_reads_our_stream(include_usage: bool) -> None:
    writer = ChunkWriter(Told(model="m", call_id="1", created_at_s=1_700_000_000, wants_usage=include_usage))
    client = _client(b"".join(writer.write(chunk) for chunk in CHUNKS))
    text, finish, usages = "", [], []
    calls: dict[int, list[Any]] = {}
    for chunk in client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=True):
        usages += [chunk.usage.total_tokens] if chunk.usage else []
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish += [choice.finish_reason] if choice.finish_reason else []
            for call in choice.delta.tool_calls or []:
                assert call.function is not None
                entry = calls.setdefault(call.index, [call.id, call.function.name, ""])
                entry[2] += call.function.arguments or ""
    assert text == "Hé"
    assert calls == {0: ["call_1", "weather", '{"city":"Rome"}'], 1: ["call_2", "now", "{}"]}
    assert finish == ["tool_calls"]
    assert usages == ([13] if include_usage else [])


def test_the_official_sdk_raises_on_our_error_event_and_nothing_follows() -> None:
    writer = ChunkWriter(Told(model="m", call_id="1", created_at_s=1, wants_usage=False))
    stream = writer.write(Chunk(kind=ChunkKind.START)) + writer.write(Chunk(kind=ChunkKind.ERROR, text="Overloaded", status=529))
    assert writer.write(Chunk(kind=ChunkKind.END)) == b""
    with pytest.raises(APIError) as caught:
        list(_client(stream).chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=True))
    assert (caught.value.message, caught.value.code) == ("Overloaded", "upstream_error")


def test_error_body_carries_our_detail() -> None:
    assert orjson.loads(error_body(402, "budget_exceeded", "billing_error", "Ask for more.", None, {"budget": "b"})) == {
        "error": {
            "message": "Ask for more.",
            "type": "billing_error",
            "param": None,
            "code": "budget_exceeded",
            "sgw": {"status": 402, "budget": "b"},
        }
    }


def _event(**value: Any) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


@pytest.mark.parametrize(
    ("event", "seen"),
    [
        (_event(choices=[{"index": 0, "delta": {"content": "Hé"}, "finish_reason": None}], usage=None), Seen(text_bytes=3)),
        (_event(choices=[{"delta": {"reasoning_content": "abc"}}]), Seen(text_bytes=3)),
        (_event(choices=[{"delta": {"reasoning": "abc"}}]), Seen(text_bytes=3)),
        (_event(choices=[{"delta": {"reasoning": "abc", "reasoning_content": "abc"}}]), Seen(text_bytes=3)),
        (_event(choices=[{"delta": {"content": "ab", "reasoning": {"any": "thing"}}}]), Seen(text_bytes=2)),
        (_event(choices=[{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}}]), Seen(text_bytes=2)),
        (_event(choices=[{"delta": {}, "finish_reason": "stop"}]), Seen(finish=True)),
        (_event(choices=[], usage=USAGE), Seen(usage=Usage(input_tokens=10, output_tokens=5), usage_only=True)),
        (_event(choices=[{"delta": {"content": "a"}}], usage=USAGE), Seen(text_bytes=1, usage=Usage(input_tokens=10, output_tokens=5))),
        (_event(choices=[], usage={"prompt_tokens": -1}), Seen(problem="usage_invalid", usage_only=True)),
        (_event(choices=[], usage={"prompt_tokens": "10"}), Seen(problem="usage_invalid", usage_only=True)),
        (_event(choices=[], usage={}), Seen(problem="usage_invalid", usage_only=True)),
        (_event(choices=[{"delta": {"content": [{"text": "x"}]}}]), Seen(text_bytes=len(b'[{"delta":{"content":[{"text":"x"}]}}]'))),
        (_event(error={"message": "Boom", "code": 500}), Seen(error="Boom")),
        (_event(error={}), Seen(error="the provider reported an error")),
        (b"data: [DONE]\n\n", Seen(terminal=True)),
        (b"data:[DONE]\r\n\r\n", Seen(terminal=True)),
        (b'event: m\ndata: {"choices":\ndata: [{"delta":{"content":"ab"}}]}\n\n', Seen(text_bytes=2)),
        (b": keep-alive\n\n", Seen()),
        (b"\n\n", Seen()),
    ],
)
def test_the_meter_sees_what_an_event_says(event: bytes, seen: Seen) -> None:
    assert Meter().feed(event) == seen


@pytest.mark.parametrize("data", [b"<html>", b"{", b'{"choices":[', b"[" * 9999, b'{"choices":[{"delta":{"content":"\xff"}}]}', b"NaN"])
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(WireError) as caught:
        Meter().feed(b"data: " + data + b"\n\n")
    assert caught.value.code == "garbage"


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 8, "total_tokens": 8}, (Usage(input_tokens=8), "")),
        (
            {
                **USAGE,
                "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 1},
                "completion_tokens_details": {"reasoning_tokens": 2},
            },
            (Usage(input_tokens=10, cached_tokens=4, audio_input_tokens=1, output_tokens=5, reasoning_tokens=2), ""),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 35, "completion_tokens_details": {"reasoning_tokens": 20}},
            (Usage(input_tokens=10, output_tokens=25, reasoning_tokens=20), ""),
        ),
        (
            {**USAGE, "prompt_tokens_details": {"cached_tokens": 99}},
            (Usage(input_tokens=10, cached_tokens=10, output_tokens=5), "usage_inconsistent"),
        ),
        ({**USAGE, "prompt_cache_hit_tokens": 3}, (Usage(input_tokens=10, cached_tokens=3, output_tokens=5), "")),
        # deep research: read and thought beside what was asked and said
        (
            {**USAGE, "citation_tokens": 200, "reasoning_tokens": 70, "num_search_queries": 3},
            (Usage(input_tokens=210, output_tokens=75, reasoning_tokens=70), ""),
        ),
        ({**USAGE, "citation_tokens": 0, "reasoning_tokens": None}, (Usage(input_tokens=10, output_tokens=5), "")),
        ({**USAGE, "citation_tokens": -1}, (None, "usage_invalid")),
        ({**USAGE, "completion_tokens": -5}, (None, "usage_invalid")),
        ({**USAGE, "completion_tokens": 1.5}, (None, "usage_invalid")),
        ({**USAGE, "prompt_tokens": 10**18}, (None, "usage_invalid")),
        ({**USAGE, "prompt_tokens": True}, (None, "usage_invalid")),
        ([], (None, "usage_invalid")),
        (None, (None, "usage_missing")),
    ],
)
def test_only_believable_usage_becomes_money(usage: object, expected: tuple[Usage | None, str]) -> None:
    assert read_usage(orjson.dumps({"choices": [], "usage": usage})) == expected


TIERS = [("flex", "flex"), ("priority", "priority"), ("default", ""), ("auto", ""), (None, ""), (7, ""), ("made up", "")]


@pytest.mark.parametrize(("said", "known"), TIERS)
def test_usage_knows_the_service_tier_it_was_served_in(said: object, known: str) -> None:
    body = orjson.dumps({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}, "service_tier": said})
    expected = Usage(input_tokens=5, output_tokens=2, tier=known)
    assert (read_usage(body), Meter().feed(b"data: " + body + b"\n\n").usage) == ((expected, ""), expected)


def test_an_answer_that_is_no_object_is_garbage() -> None:
    with pytest.raises(WireError) as caught:
        read_usage(b"<html></html>")
    assert caught.value.code == "garbage"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"No such model"}}', "No such model"),
        (b'{"error":"model not found"}', "model not found"),
        (b'{"object":"error","message":"bad"}', "bad"),
        (b'{"detail":[{"msg":"field required"}]}', "field required"),
        (b"<html>", ""),
        (b"[]", ""),
    ],
)
def test_the_vendors_words_are_found(body: bytes, message: str) -> None:
    assert error_message(body) == message


def test_wires_are_found_by_looking() -> None:
    found = shelf()
    assert found["openai_chat"].read_usage is read_usage
    assert all(name == wire.name for name, wire in found.items())
    assert by_endpoint()["chat/completions"] is by_endpoint()["embeddings"] is found["openai_chat"]


def test_dropped_names_cannot_leave_their_header() -> None:
    asked = {"model": "m", "messages": [{"role": "user", "content": "x"}], "a\r\nset-cookie": 1, "é": 1, "logit_bias": {"50256": -100}}
    assert read_ask(fields(orjson.dumps(asked)), "m", False).dropped == ("other", "logit_bias")
    many = {**asked, **{f"x{number}": 1 for number in range(100)}}
    assert len(read_ask(fields(orjson.dumps(many)), "m", False).dropped) == 32


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "x"}, "messages"),
        ({"messages": [1]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "a"}]}]}, "messages[0].tool_calls[0].function"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        ({"max_tokens": 0.5}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"top_p": "1"}, "top_p"),
        ({"stop": [1]}, "stop"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tool_choice": {"type": "function", "function": {"name": "ghost"}}}, "tool_choice.function.name"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
        ({"reasoning_effort": "heroic"}, "reasoning_effort"),
        ({"reasoning_effort": [1]}, "reasoning_effort"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"n": -1}, "n"),
    ],
)
def test_nonsense_is_refused_with_its_field_named(change: dict[str, Any], param: str) -> None:
    with pytest.raises(WireError) as caught:
        read_ask(fields(orjson.dumps({"model": "m", "messages": [{"role": "user", "content": "x"}], **change})), "m", False)
    assert (caught.value.code, caught.value.param) == ("invalid_request", param)


def test_the_gateway_reads_what_it_needs() -> None:
    asked = {"model": "m", "stream": True, "stream_options": {"include_usage": True}, "max_tokens": 5, "max_completion_tokens": 7, "user": "u", "messages": 1}
    assert read_head(asked) == Head(model="m", stream=True, max_output_tokens=7, wants_usage=True, end_user="u")
    assert read_head({"model": "m", "n": 1}) == Head(model="m", stream=False, max_output_tokens=0, wants_usage=False, end_user="")


def test_an_output_limit_is_for_every_answer_that_is_asked_for() -> None:
    assert read_head({"model": "m", "n": 3, "max_tokens": 5}) == Head(model="m", max_output_tokens=15, wants_usage=False, answers=3)
    assert read_head({"model": "m", "n": 3}) == Head(model="m", wants_usage=False, answers=3)


@pytest.mark.parametrize(
    "asked", [{}, {"model": 3}, *({"model": "m", **one} for one in ({"stream": "yes"}, {"max_tokens": -1}, {"max_tokens": 10**8}, {"n": 0}, {"n": 129}))]
)
def test_a_head_that_makes_no_sense_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(WireError) as caught:
        read_head(asked)
    assert caught.value.code == "invalid_request"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_an_output_limit_beyond_all_bounds_is_named_as_the_caller_wrote_it(name: str) -> None:
    with pytest.raises(WireError) as caught:
        read_head({"model": "m", name: 10**8})
    assert caught.value.param == name


@pytest.mark.parametrize(("tier", "told"), [("flex", "flex"), ("priority", "priority"), ("", None)])
def test_a_stream_says_the_tier_that_served_it(tier: str, told: str | None) -> None:
    writer = ChunkWriter(Told(model="m", call_id="1", created_at_s=1, wants_usage=True))
    event = orjson.loads(writer.write(Chunk(kind=ChunkKind.USAGE, usage=Usage(5, output_tokens=2, tier=tier))).removeprefix(b"data: "))
    assert (event["usage"]["total_tokens"], event.get("service_tier")) == (7, told)


@pytest.mark.parametrize(("given", "told"), [(-1, None), (0, None), (7, 7)])
def test_a_choice_among_the_likeliest_that_is_switched_off_is_none(given: int, told: int | None) -> None:
    assert read_ask(fields(orjson.dumps({"messages": [{"role": "user", "content": "x"}], "top_k": given})), "m", False).top_k == told


# ---- other vendors' reasoning on the way to a vendor of this wire -------------------------------------------------------

CALLED: dict[str, Any] = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def _cleaned(turn: dict[str, Any]) -> Any:
    assert WIRE.without_foreign is not None
    changed = WIRE.without_foreign(fields(orjson.dumps({"messages": [{"role": "user", "content": "sgw1.gemini.x"}, {"role": "assistant", **turn}]})))
    raw = changed.get("messages")
    return orjson.loads(raw)[1] if raw is not None else None


@pytest.mark.parametrize(
    ("turn", "left"),
    [
        (
            {"content": "Hi.", "reasoning_content": "Hm.", "reasoning_details": [{"type": "reasoning.text", "text": "Hm.", "signature": "sgw1.gemini.Cs8B"}]},
            {"content": "Hi."},
        ),
        (
            {"content": "Hi.", "reasoning_details": [{"type": "reasoning.encrypted", "data": "sgw1.anthropic_messages.Eo"}, {"data": "own"}]},
            {"content": "Hi.", "reasoning_details": [{"data": "own"}]},
        ),
        (
            {"reasoning": "Hm.", "tool_calls": [{**CALLED, "extra_content": {"google": {"thought_signature": "sgw1.gemini.Cs8B"}}}]},
            {"tool_calls": [CALLED]},
        ),
        (
            {"tool_calls": [{**CALLED, "extra_content": {"google": {"thought_signature": "sgw1.gemini.Cs8B", "a": 1}, "b": 2}}, CALLED]},
            {"tool_calls": [{**CALLED, "extra_content": {"google": {"a": 1}, "b": 2}}, CALLED]},
        ),
    ],
)
def test_only_reasoning_that_others_sealed_is_taken_out(turn: dict[str, Any], left: dict[str, Any]) -> None:
    assert _cleaned(turn) == {"role": "assistant", **left}


@pytest.mark.parametrize(
    "turn",
    [
        {"content": "sgw1.gemini.x"},
        {"content": "Hi.", "reasoning_content": "Hm.", "reasoning_details": [{"type": "reasoning.text", "text": "Hm.", "signature": "own"}]},
        {"tool_calls": [{**CALLED, "extra_content": {"google": {"thought_signature": "own"}}}]},
        {"reasoning_details": "sgw1.gemini.x", "tool_calls": ["sgw1.gemini.x", {"extra_content": [], "x": "sgw1.gemini.x"}, {"extra_content": {"google": 1}}]},
    ],
)
def test_what_nobody_sealed_stays_as_it_is(turn: dict[str, Any]) -> None:
    assert _cleaned(turn) is None
    assert WIRE.without_foreign is not None
    assert WIRE.without_foreign(fields(b'{"model":"m"}')) == {}
