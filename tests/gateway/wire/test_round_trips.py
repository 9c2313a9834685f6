"""What a wire says is what it hears: conversations written for a provider and read as from a client, answers told to a client and read as from a provider."""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.terms import Answer, Ask, Chunk, ChunkKind, Message, Part, PartKind, Usage
from gateway.wire import Wire
from gateway.wire.strict import fields
from tests.gateway.wire.spoken import PICTURES, TEXTS, TOLD, TOOLS, WIRES, calls_of, chunks_of, essence

BOTH_WAYS = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)


@st.composite
def _turns(draw: st.DrawFn) -> tuple[Message, ...]:
    """A system message or none, then turns that alternate; each call is answered in the turn after it, and somebody asks last."""
    turns = [Message(role="system", parts=(draw(TEXTS),))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(0, 2))):
        turns.append(Message(role="user", parts=tuple(draw(st.lists(TEXTS | PICTURES, min_size=1, max_size=2)))))
        said = draw(st.lists(TEXTS, min_size=1, max_size=1))
        if draw(st.booleans()):
            calls = draw(calls_of(2))
            results = [Part(kind=PartKind.TOOL_RESULT, id=call.id, name=call.name, parts=(draw(TEXTS),)) for call in calls]
            turns += [Message(role="assistant", parts=(*said, *calls)), Message(role="user", parts=tuple(results))]
            said = draw(st.lists(TEXTS, min_size=1, max_size=1))
        turns.append(Message(role="assistant", parts=tuple(said)))
    return (*turns, Message(role="user", parts=(draw(TEXTS),)))


ASKS = st.builds(
    Ask,
    model=st.just("m"),
    messages=_turns(),
    tools=st.just(()) | TOOLS.map(tuple),
    max_output_tokens=st.integers(1, 4096),
    temperature=st.none() | st.sampled_from([0.0, 0.25, 1.0]),
)


def _conversation(ask: Ask) -> list[tuple[str, list[Part]]]:
    """Return who says what in turn; on the chat wire every result is a message of its own."""
    return [(role, [essence(part) for message in turn for part in message.parts]) for role, turn in groupby(ask.messages, key=lambda message: message.role)]


def _tools(ask: Ask) -> list[tuple[Any, ...]]:
    # strict has to be said on the Responses wire, where it is the default
    return [(tool.name, tool.description, orjson.loads(bytes(tool.schema or b"null")), bool(tool.strict)) for tool in ask.tools]


def _heard(wire: Wire, ask: Ask) -> Ask:
    assert wire.client is not None
    assert wire.upstream is not None
    body, dropped = wire.upstream.compose(ask, "m")
    assert dropped == ()
    return wire.client.read_ask(fields(body), "m", ask.stream)


@BOTH_WAYS
@settings(max_examples=60, deadline=None)
@given(ask=ASKS)
def test_a_conversation_is_heard_as_it_was_said(wire: Wire, ask: Ask) -> None:
    heard = _heard(wire, ask)
    assert _conversation(heard) == _conversation(ask)
    assert _tools(heard) == _tools(ask)
    assert (heard.max_output_tokens, heard.temperature, heard.stream) == (ask.max_output_tokens, ask.temperature, ask.stream)


@st.composite
def _answers(draw: st.DrawFn) -> Answer:
    """A text, calls of functions, or both, with what they cost."""
    calls = draw(st.just([]) | calls_of(3))
    text = draw(st.lists(TEXTS, min_size=0 if calls else 1, max_size=1))
    cached, reasoning = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    rest, said = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    usage = Usage(input_tokens=cached + rest, cached_tokens=cached, output_tokens=reasoning + said, reasoning_tokens=reasoning)
    finish = "tool_calls" if calls else draw(st.sampled_from(["stop", "length"]))
    return Answer(id="1", model="m", parts=(*text, *calls), finish=finish, usage=usage)


@BOTH_WAYS
@settings(max_examples=60, deadline=None)
@given(answer=_answers())
def test_an_answer_is_read_as_it_was_told(wire: Wire, answer: Answer) -> None:
    assert wire.client is not None
    assert wire.upstream is not None
    read = wire.upstream.read_answer(wire.client.write_answer(answer, TOLD))
    assert [essence(part) for part in read.parts] == [essence(part) for part in answer.parts]
    assert (read.finish, read.usage, read.problem) == (answer.finish, answer.usage, "")


def _gathered(chunks: Iterable[Chunk]) -> tuple[list[Part], str, Usage | None]:
    """Return the parts, the finish and the usage a stream told."""
    texts: list[str] = []
    calls: dict[int, Part] = {}
    finish, usage = "", None
    for chunk in chunks:
        assert chunk.kind is not ChunkKind.ERROR, chunk
        if chunk.kind is ChunkKind.TEXT:
            texts.append(chunk.text)
        elif chunk.kind is ChunkKind.TOOL_START:
            calls[chunk.index] = Part(kind=PartKind.TOOL_CALL, id=chunk.id, name=chunk.name)
        elif chunk.kind is ChunkKind.TOOL_ARGUMENTS:
            begun = calls[chunk.index]
            calls[chunk.index] = msgspec.structs.replace(begun, text=begun.text + chunk.text)
        finish, usage = chunk.finish or finish, chunk.usage or usage
    said = [Part(kind=PartKind.TEXT, text="".join(texts))] if texts else []
    return [*said, *(calls[index] for index in sorted(calls))], finish, usage


@BOTH_WAYS
@settings(max_examples=60, deadline=None)
@given(answer=_answers(), cut=st.integers(1, 12), size=st.integers(1, 40))
def test_a_stream_is_read_as_it_was_told_however_it_is_cut(wire: Wire, answer: Answer, cut: int, size: int) -> None:
    assert wire.client is not None
    assert wire.upstream is not None
    writer, buffer, reader = wire.client.chunk_writer(TOLD), wire.buffer(1 << 20), wire.upstream.chunk_reader()
    told = b"".join(writer.write(chunk) for chunk in chunks_of(answer, cut))
    events = [event for at in range(0, len(told), size) for event in buffer.feed(told[at : at + size])]
    chunks = [chunk for event in (*events, *buffer.end()) for chunk in reader.feed(event)]
    parts, finish, usage = _gathered([*chunks, *reader.end()])
    assert [essence(part) for part in parts] == [essence(part) for part in answer.parts]
    assert (finish, usage, reader.problem) == (answer.finish, answer.usage, "")
