"""Bedrock's Converse beyond the golden cases: frames whatever the cuts and whatever is wrong, exceptions, and what AWS's rules make of odd requests."""

import contextlib
import itertools
import json
import struct
import zlib
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.simulator.event_stream import frame
from gateway.terms import Ask, Chunk, ChunkKind, Message, Part, PartKind, Tool, Usage
from gateway.wire import WireError
from gateway.wire.bedrock_converse import WIRE, ChunkReader, FrameBuffer, compose, read_answer
from gateway.wire.bedrock_converse.frames import opened

CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
ONE, TWO = frame("messageStart", b'{"role":"assistant"}'), frame("messageStop", b'{"stopReason":"end_turn"}')
EVENTS = [b'messageStart\n{"role":"assistant"}', b'messageStop\n{"stopReason":"end_turn"}']


def framed(pieces: list[bytes], limit_bytes: int = 1 << 20) -> tuple[list[bytes], str]:
    """Return the frames of a stream and the code of what ended it."""
    buffer, frames = FrameBuffer(limit_bytes), list[bytes]()
    try:
        for piece in pieces:
            frames += buffer.feed(piece)
        frames += buffer.end()
    except WireError as error:
        return frames, error.code
    return frames, ""


def fed(pieces: list[bytes]) -> tuple[list[bytes], str]:
    """Return name and payload of a stream's frames and the code of what ended it; the frames themselves are what came."""
    frames, code = framed(pieces)
    assert b"".join(pieces).startswith(b"".join(frames))
    return [b"\n".join(opened(each)) for each in frames], code


def cuts(stream: bytes) -> list[list[bytes]]:
    """Return the stream whole, byte by byte, and in two pieces at every place."""
    return [[stream], [stream[a:b] for a, b in itertools.pairwise(range(len(stream) + 1))], *([stream[:at], stream[at:]] for at in range(1, len(stream)))]


def raw(headers: bytes, payload: bytes = b"{}") -> bytes:
    """Return a frame with right checksums and any headers."""
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def lying(length: int, headers: int) -> bytes:
    """Return a prelude with a right checksum, whatever it says."""
    prelude = struct.pack(">II", length, headers)
    return prelude + struct.pack(">I", zlib.crc32(prelude)) + b"x" * 40


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (ONE + TWO, (EVENTS, "")),
        (b"", ([], "")),
        (ONE + TWO[:-1], (EVENTS[:1], "")),  # cut off: the reader finds it did not end
        (ONE + TWO[:-1] + b"\0", (EVENTS[:1], "garbage")),
        (ONE + b"\0\0\0\x20\0\0\0\0abcd" + TWO, (EVENTS[:1], "garbage")),
        (b"<html>Service Unavailable</html>", ([], "garbage")),
        (ONE + lying(15, 0), (EVENTS[:1], "garbage")),
        (ONE + lying(40, 200), (EVENTS[:1], "garbage")),
        (ONE + lying(1 << 31, 0), (EVENTS[:1], "garbage")),
        (ONE + lying(2 << 20, 0), (EVENTS[:1], "too_large")),
        (ONE + raw(b"\x05"), (EVENTS[:1], "garbage")),
        (ONE + raw(b"\x01a\x63"), (EVENTS[:1], "garbage")),
        (ONE + raw(b"\x01\xff\x00"), (EVENTS[:1], "garbage")),
        (ONE + raw(b"\x01a\x00\x01a\x00"), (EVENTS[:1], "garbage")),
        (raw(b""), ([b"\n{}"], "")),
        (frame("throttlingException", b'{"message":"slow"}', "exception"), ([b'!throttlingException\n{"message":"slow"}'], "")),
    ],
)
def test_frames_are_the_same_at_every_cut(stream: bytes, expected: tuple[list[bytes], str]) -> None:
    assert {orjson.dumps([[event.decode() for event in events], code]) for events, code in map(fed, cuts(stream))} == {
        orjson.dumps([[event.decode() for event in expected[0]], expected[1]])
    }


def test_an_unmodeled_error_is_told_in_its_own_words() -> None:
    headers = b"".join(
        bytes([len(name)]) + name + b"\x07" + struct.pack(">H", len(value)) + value
        for name, value in ((b":message-type", b"error"), (b":error-code", b"InternalError"), (b":error-message", b'It "broke"'))
    )
    assert ChunkReader().feed(raw(headers, b"")) == [Chunk(kind=ChunkKind.ERROR, text='It "broke"', name="InternalError", status=502)]


@given(st.binary(max_size=200), st.integers(0, 200))
@settings(max_examples=100)
def test_no_bytes_raise_anything_but_a_wire_error(noise: bytes, at: int) -> None:
    whole = ONE + noise + TWO
    assert fed([whole]) == fed([whole[:at], whole[at:]])
    for event in framed([raw(noise)])[0]:
        ChunkReader().feed(event)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "location", "web", "toolUse", "message"]), inner, max_size=3),
)


@given(JSON)
@settings(max_examples=100)
def test_no_json_raises_anything_but_a_wire_error(value: Any) -> None:
    body = json.dumps(value).encode()
    for wrapped in (body, b'{"output":%b}' % body, b'{"output":{"message":{"content":[{"citationsContent":{"citations":[{"location":%b}]}}]}}}' % body):
        with contextlib.suppress(WireError):
            read_answer(wrapped)
        with contextlib.suppress(WireError):
            ChunkReader().feed(frame("contentBlockDelta", wrapped))
    WIRE.error_message(body)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("validationException", 400),
        ("throttlingException", 429),
        ("internalServerException", 500),
        ("serviceUnavailableException", 503),
        ("modelTimeoutException", 504),
        ("modelStreamErrorException", 502),
        ("newException", 502),
    ],
)
def test_an_exception_ends_a_stream_with_the_status_it_would_have_been(name: str, status: int) -> None:
    reader = ChunkReader()
    assert reader.feed(frame(name, b'{"message":"m"}', "exception")) == [Chunk(kind=ChunkKind.ERROR, text="m", name=name, status=status)]
    assert reader.feed(frame("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"x"}}')) + reader.end() == []


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}, (Usage(input_tokens=3, output_tokens=2), "")),
        (
            {"inputTokens": 3, "outputTokens": 2, "cacheWriteInputTokens": 9, "cacheDetails": [{"ttl": "5m"}, {"ttl": "1h", "inputTokens": 5}]},
            (Usage(input_tokens=12, cache_write_tokens=9, output_tokens=2, cache_write_1h_tokens=5), ""),
        ),
        (
            {"inputTokens": 3, "outputTokens": 2, "cacheWriteInputTokens": 9, "cacheDetails": [7, {"ttl": "1h"}, {"ttl": "1h", "inputTokens": 50}]},
            (Usage(input_tokens=12, cache_write_tokens=9, output_tokens=2, cache_write_1h_tokens=9), ""),
        ),
        ({"inputTokens": -1, "outputTokens": 2}, (None, "usage_invalid")),
        ({"inputTokens": 3}, (None, "usage_invalid")),
        ({"inputTokens": 2_000_000_000, "outputTokens": 2}, (None, "usage_invalid")),
        (None, (None, "usage_missing")),
    ],
)
def test_usage_is_believed_only_where_it_can_be(usage: object, expected: tuple[Usage | None, str]) -> None:
    body = orjson.dumps({"output": {"message": {"role": "assistant", "content": []}}, "stopReason": "end_turn", "usage": usage})
    assert WIRE.read_usage(body) == expected
    answer = read_answer(body)
    assert (answer.usage, answer.problem) == expected


def test_errors_are_told_in_the_vendors_words() -> None:
    told = [WIRE.error_message(body) for body in (b'{"message":"no"}', b'{"Message":"No"}', b"[]", b"<html>", b'{"message":{}}')]
    assert told == ["no", "No", "", "", ""]


def asked(*parts: Part, model: str = CLAUDE, role: str = "user", **changes: Any) -> dict[str, Any]:
    """Return the body of a request of one message."""
    body: dict[str, Any] = orjson.loads(compose(Ask(model="m", messages=(Message(role, parts),), **changes), model)[0])
    return body


def test_documents_have_names_that_aws_takes_and_none_twice() -> None:
    names = ["a  b\t.pdf", "a b -pdf", "a b -pdf", "", "Ž"]
    parts = [Part(PartKind.DOCUMENT, text="data:application/pdf;base64,AA==", media_type="application/pdf", name=name) for name in names]
    content = asked(*parts)["messages"][0]["content"]
    assert [block["document"]["name"] for block in content[:-1]] == ["a b -pdf", "a b -pdf 2", "a b -pdf 3", "document", "-"]
    assert content[-1] == {"text": "(See the document.)"}


def test_long_ids_of_calls_are_shortened_alike_and_stay_apart() -> None:
    tool = Tool(name="t")
    calls = [Part(PartKind.TOOL_CALL, id="x" * 80 + end, name="t", text="{}") for end in "ab"]
    results = [Part(PartKind.TOOL_RESULT, id=call.id, text="r") for call in calls]
    turns = (Message("user", (Part(PartKind.TEXT, text="q"),)), Message("assistant", tuple(calls)), Message("user", tuple(results)))
    _, assistant, user = orjson.loads(compose(Ask(model="m", messages=turns, tools=(tool,)), CLAUDE)[0])["messages"]
    ids = [block["toolUse"]["toolUseId"] for block in assistant["content"]]
    assert [block["toolResult"]["toolUseId"] for block in user["content"]] == ids
    assert (len(set(ids)), [len(one) for one in ids]) == (2, [64, 64])


def test_marks_stay_behind_their_blocks_when_results_move_to_the_front() -> None:
    tool, call = Tool(name="t"), Part(PartKind.TOOL_CALL, id="c", name="t", text="{}")
    last = (Part(PartKind.TEXT, text="a", cache="5m"), Part(PartKind.TOOL_RESULT, id="c", text="r", cache="1h"))
    ask = Ask(model="m", messages=(Message("user", (Part(PartKind.TEXT, text="q"),)), Message("assistant", (call,)), Message("user", last)), tools=(tool,))
    assert orjson.loads(compose(ask, CLAUDE)[0])["messages"][-1]["content"] == [
        {"toolResult": {"toolUseId": "c", "content": [{"text": "r"}]}},
        {"cachePoint": {"type": "default", "ttl": "1h"}},
        {"text": "a"},
        {"cachePoint": {"type": "default"}},
    ]


@pytest.mark.parametrize(
    "part",
    [
        Part(PartKind.IMAGE, text="https://example.com/a.png"),
        Part(PartKind.IMAGE, text="s3://secrets/a.png"),
        Part(PartKind.DOCUMENT, text="s3://secrets/a.pdf"),
        Part(PartKind.DOCUMENT, text="data:application/zip;base64,AA==", media_type="application/zip"),
        Part(PartKind.AUDIO, text="data:audio/midi;base64,AA==", media_type="audio/midi"),
    ],
)
def test_addresses_and_unknown_kinds_are_refused(part: Part) -> None:
    with pytest.raises(WireError) as caught:
        asked(part)
    assert (caught.value.code, caught.value.param) == ("unsupported_field", "messages")


def test_nothing_said_is_refused_and_system_texts_alone_are_a_question() -> None:
    with pytest.raises(WireError):
        asked(Part(PartKind.TEXT, text=" "))
    assert asked(Part(PartKind.TEXT, text="Be."), role="system") == {"messages": [{"role": "user", "content": [{"text": "Be."}]}]}
