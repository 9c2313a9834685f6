"""Every vendor case in tests/cases/anthropic: the request we write, the answer and the stream we read."""

import itertools
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from gateway.terms import Besides, Chunk, Usage
from gateway.wire import Told, WireError
from gateway.wire.anthropic_messages import ChunkReader, compose, error_message, read_answer, read_usage
from gateway.wire.anthropic_messages.betas import tells
from gateway.wire.anthropic_messages.head import read_head
from gateway.wire.anthropic_messages.told import usage_of
from gateway.wire.openai_chat import ChunkWriter, read_ask, write_answer
from gateway.wire.sse import EventBuffer, data_of
from gateway.wire.strict import fields

CASES = {path.stem: orjson.loads(path.read_bytes()) for path in sorted((Path(__file__).parents[2] / "cases" / "anthropic").glob("*.json"))}
TOLD = Told(model="house-model", call_id="1", created_at_s=1_700_000_000)
STREAMS = [case for case in CASES.values() if "stream" in case]


def _of(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items() if kind in case])


def _refusal(error: WireError) -> dict[str, str | None]:
    return {"code": error.code, "param": error.param}


def test_there_are_cases_of_every_sort() -> None:
    assert len(CASES) >= 50
    assert {key for case in CASES.values() for key in case} >= {"ask", "request", "refused", "answer", "completion", "stream", "events"}


@_of("ask")
def test_requests_are_written_as_the_vendor_wants_them(case: dict[str, Any]) -> None:
    given = fields(orjson.dumps(case["ask"]))
    if "refused" in case:
        with pytest.raises(WireError) as caught:
            compose(read_ask(given, "house-model", False), case["model"])
        assert _refusal(caught.value) == case["refused"]
        return
    ask = read_ask(given, "house-model", case["ask"].get("stream") is True)
    body, dropped = compose(ask, case["model"])
    assert orjson.loads(body) == case["request"]
    assert list(dropped) == case["dropped"]


@_of("answer")
def test_answers_are_read_and_told_as_openai_tells_them(case: dict[str, Any]) -> None:
    body = case["answer"].encode() if isinstance(case["answer"], str) else orjson.dumps(case["answer"])
    if "refused" in case:
        with pytest.raises(WireError) as caught:
            read_answer(body)
        assert _refusal(caught.value) == case["refused"]
        return
    told = write_answer(read_answer(body), TOLD)
    assert orjson.loads(told) == case["completion"]
    ChatCompletion.model_validate_json(told, strict=True)


def _bytes_of(stream: list[dict[str, Any]]) -> bytes:
    return b"".join(b"event: " + event["type"].encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n" for event in stream)


def _told(pieces: list[bytes]) -> bytes:
    buffer, reader = EventBuffer(), ChunkReader()
    writer = ChunkWriter(TOLD)
    return b"".join(writer.write(chunk) for piece in pieces for event in buffer.feed(piece) for chunk in reader.feed(event))


def _short(event: bytes) -> object:
    data = data_of(event)
    if data in (b"", b"[DONE]"):
        return data.decode() or "ping"
    value = orjson.loads(data)
    if "error" in value:
        return value
    ChatCompletionChunk.model_validate_json(data, strict=True)
    assert (value["id"], value["model"], value["created"]) == ("chatcmpl-1", "house-model", 1_700_000_000)
    if not value["choices"]:
        return {"usage": value["usage"]}
    return {"delta": value["choices"][0]["delta"], "finish_reason": value["choices"][0]["finish_reason"]}


@_of("stream")
def test_streams_are_told_as_openai_tells_them(case: dict[str, Any]) -> None:
    told = _told([_bytes_of(case["stream"])])
    assert [_short(event) for event in EventBuffer().feed(told)] == case["events"]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(STREAMS), st.lists(st.floats(0, 1), max_size=6))
def test_a_stream_cut_anywhere_is_told_the_same(case: dict[str, Any], cuts: list[float]) -> None:
    stream = _bytes_of(case["stream"])
    borders = [0, *sorted(int(cut * len(stream)) for cut in cuts), len(stream)]
    assert _told([stream[a:b] for a, b in itertools.pairwise(borders)]) == _told([stream])


@pytest.mark.parametrize(
    ("creation", "hour"),
    [
        ({"ephemeral_5m_input_tokens": 5, "ephemeral_1h_input_tokens": 15}, 15),
        ({"ephemeral_1h_input_tokens": 99}, 20),
        ({"ephemeral_1h_input_tokens": -1}, 0),
        ({"ephemeral_1h_input_tokens": True}, 0),
        ({"ephemeral_1h_input_tokens": "15"}, 0),
        ([15], 0),
        (None, 0),
    ],
)
def test_what_is_written_for_an_hour_is_told_apart_and_never_more_than_all_that_is_written(creation: Any, hour: int) -> None:
    told = {"input_tokens": 10, "cache_creation_input_tokens": 20, "cache_creation": creation, "output_tokens": 1}
    expected = Usage(input_tokens=30, cache_write_tokens=20, output_tokens=1, cache_write_1h_tokens=hour)
    assert read_usage(orjson.dumps({"usage": told})) == (expected, "")
    reader = ChunkReader()
    start = {"type": "message_start", "message": {"id": "m", "usage": told}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}
    for event in (start, end):
        reader.feed(b"data: " + orjson.dumps(event) + b"\n\n")
    assert reader.usage_so_far == structs.replace(expected, output_tokens=7)
    split = {"ephemeral_5m_input_tokens": 20 - hour, "ephemeral_1h_input_tokens": hour}
    assert usage_of(expected).get("cache_creation") == (split if hour else None)


def test_the_input_of_a_cut_stream_is_known() -> None:
    reader = ChunkReader()
    assert reader.usage_so_far is None
    chunks: list[Chunk] = []
    for event in EventBuffer().feed(_bytes_of(CASES["stream_text"]["stream"][:3])):
        chunks += reader.feed(event)
    assert [chunk.usage for chunk in chunks] == [None, None]
    assert reader.usage_so_far == Usage(input_tokens=130, cached_tokens=100, cache_write_tokens=20, output_tokens=1)


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ({"service_tier": "batch"}, "batch"),
        ({"service_tier": "priority"}, "priority"),
        ({"service_tier": "standard"}, ""),
        ({"service_tier": "standard", "speed": "fast"}, "fast"),
        ({"speed": 7}, ""),
    ],
)
def test_usage_knows_the_service_tier_it_was_served_in(said: dict[str, object], known: str) -> None:
    usage = {"input_tokens": 5, "output_tokens": 2, **said}
    whole = read_answer(orjson.dumps({"content": [], "usage": usage})).usage
    reader = ChunkReader()
    reader.feed(b"data: " + orjson.dumps({"type": "message_start", "message": {"usage": usage}}) + b"\n\n")
    reader.feed(b"data: " + orjson.dumps({"type": "message_delta", "usage": {"output_tokens": 2}}) + b"\n\n")
    expected = Usage(input_tokens=5, output_tokens=2, tier=known)
    assert (whole, reader.usage_so_far) == (expected, expected)


def test_unbelievable_usage_in_a_stream_is_flagged() -> None:
    reader = ChunkReader()
    for event in EventBuffer().feed(_bytes_of(CASES["stream_usage_negative"]["stream"])):
        reader.feed(event)
    assert reader.problem == "usage_invalid"


@pytest.mark.parametrize(
    "event",
    [
        b"data: <html>\n\n",
        b"data: [1]\n\n",
        b'data: {"type":\n\n',
        b'data: {"type":"ping","index":"x"}\n\n',
        b"data: " + b"[" * 9999 + b"\n\n",
    ],
)
def test_garbage_in_a_stream_is_refused(event: bytes) -> None:
    with pytest.raises(WireError) as caught:
        ChunkReader().feed(event)
    assert caught.value.code == "garbage"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: too large"}}', "max_tokens: too large"),
        (b'{"error":{"type":"overloaded_error"}}', "overloaded_error"),
        (b'{"error":"no"}', "no"),
        (b"<html>", ""),
        (b"[]", ""),
        (b'{"error":{"message":5}}', ""),
    ],
)
def test_the_vendors_words_are_found(body: bytes, message: str) -> None:
    assert error_message(body) == message


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "user", "function", "text", "auto", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "role", "content", "function", "name", "tools", "text", "image_url", "url", "allowed_tools"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
_FIELDS = [
    "model",
    "messages",
    "tools",
    "tool_choice",
    "stop",
    "max_tokens",
    "temperature",
    "response_format",
    "reasoning_effort",
    "user",
    "n",
    "service_tier",
]


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(_FIELDS), _JSON, max_size=4), st.booleans())
def test_no_request_ends_in_anything_but_a_wire_error(change: dict[str, Any], is_chat: bool) -> None:
    base = {"model": "m", "messages": [{"role": "user", "content": "x"}]} if is_chat else {}
    try:
        body = compose(read_ask(fields(orjson.dumps({**base, **change})), "house-model", False), "claude-opus-4-5")[0]
    except WireError:
        return
    assert orjson.loads(body)["messages"]


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["type", "index", "delta", "content_block", "message", "usage", "error"]), _JSON, max_size=5))
def test_no_event_ends_in_anything_but_a_wire_error(event: dict[str, Any]) -> None:
    with suppress(WireError):
        ChunkReader().feed(b"data: " + orjson.dumps(event) + b"\n\n")


def test_a_tool_without_input_gets_an_empty_object() -> None:
    answer = read_answer(b'{"content":[{"type":"tool_use","id":"t","name":"now"}],"stop_reason":"tool_use"}')
    assert [part.text for part in answer.parts] == ["{}"]
    assert answer.usage is None


def test_compacting_may_be_asked_for_and_what_reaches_into_the_account_may_not() -> None:
    asked = ((b"anthropic-beta", b"compact-2026-01-12, skills-2025-10-02"),)
    assert tells(asked) == (((b"anthropic-beta", b"compact-2026-01-12"),), ("anthropic-beta",))


def test_what_a_compaction_wrote_for_an_hour_is_added() -> None:
    compaction = {
        "type": "compaction",
        "input_tokens": 7,
        "output_tokens": 2,
        "cache_creation_input_tokens": 5,
        "cache_creation": {"ephemeral_1h_input_tokens": 4},
    }
    usage = {
        "input_tokens": 10,
        "output_tokens": 1,
        "cache_creation_input_tokens": 3,
        "cache_creation": {"ephemeral_1h_input_tokens": 2},
        "iterations": [compaction],
    }
    told = read_answer(orjson.dumps({"content": [], "usage": usage})).usage
    assert told == Usage(input_tokens=25, cache_write_tokens=8, cache_write_1h_tokens=6, output_tokens=3)


@pytest.mark.parametrize(
    ("used", "searches"),
    [({"web_search_requests": 3, "web_fetch_requests": 9}, 3), ({"web_search_requests": -1}, 0), ({"web_search_requests": True}, 0), ([3], 0), (None, 0)],
)
def test_web_searches_are_told_whole_and_streamed(used: Any, searches: int) -> None:
    expected = Usage(input_tokens=10, output_tokens=7, web_searches=searches)
    told = {"input_tokens": 10, "output_tokens": 7, "server_tool_use": used}
    assert read_usage(orjson.dumps({"usage": told})) == (expected, "")
    reader = ChunkReader()
    for event in (
        {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 10}}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": told},
    ):
        reader.feed(b"data: " + orjson.dumps(event) + b"\n\n")
    assert reader.usage_so_far == expected


@pytest.mark.parametrize(
    ("asked", "besides"),
    [
        ({}, None),
        ({"tools": [{"name": "web_search", "input_schema": {}}, {"type": "custom"}, 7]}, None),
        ({"tools": [{"type": "web_search_20250305", "max_uses": 4}]}, Besides(4, 0, 50_000)),
        ({"tools": [{"type": "web_search_20250305"}, {"type": "web_search_20260209", "max_uses": 2}]}, Besides(12, 0, 50_000)),
        ({"tools": [{"type": "web_search_20250305", "max_uses": 10**30}]}, Besides(10_000, 0, 50_000)),
        ({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}, None),
        ({"context_management": {"edits": [7, {"type": "compact_20260112"}]}}, Besides(0, 20_000, 50_000)),
        ({"context_management": 7, "tools": 7}, None),
    ],
)
def test_searches_and_compaction_that_a_request_asks_for_are_read(asked: dict[str, Any], besides: Besides | None) -> None:
    assert read_head({"model": "m", "max_tokens": 5, **asked}).besides == besides
