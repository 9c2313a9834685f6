"""Whatever comes on OpenAI's chat wire, from callers or from servers: nothing but a WireError is raised, and nothing told is lost on the way back."""

from collections.abc import Callable
from typing import Any

import msgspec
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.terms import Answer, Chunk, ChunkKind, Part, PartKind, Usage
from gateway.wire import Told, WireError
from gateway.wire.anthropic_messages import compose as compose_messages
from gateway.wire.openai_chat import ChunkReader, ChunkWriter, compose, read_answer, read_ask, write_answer
from gateway.wire.sse import EventBuffer, data_of
from gateway.wire.strict import fields

TOLD = Told(model="house-model", call_id="1", created_at_s=1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("type", "text", "function", "content", "id", "name", "url")), inner, max_size=4)
    ),
    max_leaves=8,
)
OF_A_MESSAGE = (
    "content",
    "refusal",
    "tool_calls",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "tool_call_id",
    "function_call",
    "annotations",
    "audio",
)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(("system", "user", "assistant", "tool", "x"))}, optional=dict.fromkeys(OF_A_MESSAGE, JSON)), max_size=3
)
FIELDS = st.sampled_from(
    ("tools", "tool_choice", "response_format", "stop", "n", "temperature", "reasoning_effort", "metadata", "user", "max_tokens", "seed", "prompt_cache_key")
)


def _refusal(attempt: Callable[[], object]) -> WireError | None:
    """Return what an attempt is refused with; any other error is one of ours."""
    try:
        attempt()
    except WireError as error:
        return error
    return None


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(FIELDS, JSON, max_size=4), MESSAGES | JSON)
def test_garbage_in_any_field_of_a_request_is_refused_by_name(extras: dict[str, Any], messages: Any) -> None:
    asked = orjson.dumps({"model": "m", **extras, "messages": messages})
    for write in (compose, compose_messages):
        refused = _refusal(lambda write=write: write(read_ask(fields(asked), "m", False), "up"))  # type: ignore[misc]
        assert refused is None or (refused.code in ("invalid_request", "unsupported_field") and refused.param)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.sampled_from(("id", "choices", "usage", "created", "error", "service_tier")), JSON, max_size=5),
    st.dictionaries(st.sampled_from(OF_A_MESSAGE), JSON),
)
def test_a_servers_garbage_is_no_answer(body: dict[str, Any], message: dict[str, Any]) -> None:
    for answer in (body, {**body, "choices": [{"message": message, "finish_reason": body.get("id")}]}):
        refused = _refusal(lambda answer=answer: write_answer(read_answer(orjson.dumps(answer)), TOLD))  # type: ignore[misc]
        assert refused is None or refused.code == "garbage"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(OF_A_MESSAGE), JSON, max_size=4) | JSON, max_size=5))
def test_a_servers_garbage_in_a_stream_is_no_answer_either(deltas: list[Any]) -> None:
    reader, writer = ChunkReader(), ChunkWriter(TOLD)
    for delta in deltas:
        event = b"data: " + orjson.dumps({"choices": [{"index": 0, "delta": delta}]}) + b"\n\n"
        refused = _refusal(lambda event=event: [writer.write(chunk) for chunk in reader.feed(event)])  # type: ignore[misc]
        assert refused is None or refused.code == "garbage"


WORDS = st.text(min_size=1, max_size=20).filter(lambda text: text.strip() and not text.startswith("sgw1."))
MAKERS = st.sampled_from(("gemini", "anthropic_messages", "openai_responses"))
THOUGHTS = st.one_of(
    st.builds(Part, kind=st.just(PartKind.REASONING), text=WORDS, signature=WORDS, signed_by=MAKERS),
    st.builds(Part, kind=st.just(PartKind.REDACTED), text=WORDS, signed_by=MAKERS),
)
CALLS = st.builds(Part, kind=st.just(PartKind.TOOL_CALL), id=WORDS, name=WORDS, text=st.just('{"a":1}'), signature=WORDS, signed_by=MAKERS)
ANSWERS = st.tuples(
    st.lists(THOUGHTS, max_size=3), st.lists(st.builds(Part, kind=st.just(PartKind.TEXT), text=WORDS), max_size=1), st.lists(CALLS, max_size=2)
).map(lambda kinds: tuple(part for kind in kinds for part in kind))


def _kept(message: dict[str, Any]) -> tuple[Part, ...]:
    """Return what a client that sends a message back gives us; the content of one that says nothing is "", which is no part."""
    asked = {"model": "m", "messages": [{"role": "user", "content": "x"}, message, {"role": "user", "content": "y"}]}
    kept = read_ask(fields(orjson.dumps(asked)), "m", False).messages[1].parts
    return tuple(msgspec.structs.replace(part, at="") for part in kept if part.text)


@settings(max_examples=80, deadline=None)
@given(ANSWERS)
def test_what_a_client_was_told_comes_back_as_it_was(parts: tuple[Part, ...]) -> None:
    told = orjson.loads(write_answer(Answer(id="1", model="m", parts=parts, finish="stop", usage=Usage(1)), TOLD))
    assert _kept(told["choices"][0]["message"]) == parts


def _chunks(parts: tuple[Part, ...]) -> list[Chunk]:
    made, calls = [Chunk(kind=ChunkKind.START)], 0
    for part in parts:
        if part.kind is PartKind.TOOL_CALL:
            made.append(Chunk(kind=ChunkKind.SIGNATURE, text=part.signature, signed_by=part.signed_by))
            made.append(Chunk(kind=ChunkKind.TOOL_START, index=calls, id=part.id, name=part.name))
            made.append(Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=calls, text=part.text))
            calls += 1
        elif part.kind is PartKind.REASONING:
            made.append(Chunk(kind=ChunkKind.REASONING, text=part.text))
            made.append(Chunk(kind=ChunkKind.SIGNATURE, text=part.signature, signed_by=part.signed_by))
        else:
            made.append(Chunk(kind=ChunkKind.TEXT if part.kind is PartKind.TEXT else ChunkKind.REDACTED, text=part.text, signed_by=part.signed_by))
    return made


@settings(max_examples=80, deadline=None)
@given(ANSWERS)
def test_a_streamed_answer_comes_back_as_it_was(parts: tuple[Part, ...]) -> None:
    writer = ChunkWriter(TOLD)
    message: dict[str, Any] = {"role": "assistant", "content": "", "reasoning_details": [], "tool_calls": []}
    for event in EventBuffer().feed(b"".join(writer.write(chunk) for chunk in _chunks(parts))):
        delta = orjson.loads(data_of(event))["choices"][0]["delta"]
        message["content"] += delta.get("content") or ""
        message["reasoning_details"] += delta.get("reasoning_details", [])
        for call in delta.get("tool_calls", []):
            if "id" in call:
                message["tool_calls"].append(call)
            else:
                message["tool_calls"][call["index"]]["function"]["arguments"] += call["function"]["arguments"]
    assert _kept(message) == parts
