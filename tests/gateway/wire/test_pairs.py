"""Between any two wires nothing is lost in silence: what does not arrive as it was asked is named, refused, or mapped as translation.md says."""

import itertools
from base64 import b64encode
from collections.abc import Iterable
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.terms import Answer, Ask, Chunk, ChunkKind, Citation, Message, Part, PartKind, ToolChoice, Usage
from gateway.wire import Wire, WireError
from gateway.wire.strict import fields
from tests.gateway.wire.spoken import NAMES, PICTURES, SCHEMA, TEXTS, TOLD, TOOLS, WIRES, WORDS, calls_of, chunks_of, essence

# models that take every field of their wire
MODELS = {"openai_chat": "gpt-4.1", "openai_responses": "gpt-4.1", "anthropic_messages": "claude-sonnet-4-5", "gemini": "gemini-3-pro-preview"}
PAIRS = [pytest.param(one, other, id=f"{one.name}--{other.name}") for one, other in itertools.permutations(WIRES, 2)]
ADDRESSES = st.builds(Part, kind=st.just(PartKind.IMAGE), text=NAMES.map(lambda name: f"https://pictures.example/{name}.png"))
DOCUMENTS = st.binary(min_size=1, max_size=12).map(
    lambda data: Part(kind=PartKind.DOCUMENT, text=f"data:application/pdf;base64,{b64encode(data).decode()}", media_type="application/pdf", name="report.pdf")
)
MARKED = st.builds(Part, kind=st.just(PartKind.TEXT), text=WORDS, cache=st.sampled_from(["5m", "1h"]))
SIGNATURES = st.binary(min_size=3, max_size=12).map(lambda data: b64encode(data).decode())
SIGNERS = st.sampled_from([wire.name for wire in WIRES])
THOUGHTS = st.builds(Part, kind=st.just(PartKind.REASONING), text=WORDS, signature=SIGNATURES, signed_by=SIGNERS)
SEALED = st.builds(Part, kind=st.just(PartKind.REDACTED), text=SIGNATURES, signed_by=SIGNERS)
# an answer that does not stop there would be another, so they are refused
WITHOUT_STOPS = "openai_responses"
# what documents without a name are called where they need one
MADE_UP = ("", "document.pdf", "file.pdf")
# what a name of a field left out answers for
NAMED = {
    "reasoning": {"reasoning"},
    "cache": {"cache_control"},
    "title": {"file.filename", "messages.content.title", "input.content.filename"},
    "top_k": {"top_k"},
    "top_p": {"top_p"},
    "seed": {"seed"},
    "frequency_penalty": {"frequency_penalty"},
    "presence_penalty": {"presence_penalty"},
    "temperature": {"temperature"},
    "parallel": {"parallel_tool_calls"},
    "end_user": {"user"},
}


@st.composite
def _turns(draw: st.DrawFn) -> tuple[Message, ...]:
    """Turns that alternate, with everything that may stand in them; each call is answered in the turn after it."""
    turns = [Message(role="system", parts=(draw(TEXTS | MARKED),))] if draw(st.booleans()) else []
    turns.append(Message(role="user", parts=tuple(draw(st.lists(TEXTS | MARKED | PICTURES | ADDRESSES | DOCUMENTS, min_size=1, max_size=3)))))
    if draw(st.booleans()):
        thoughts = draw(st.lists(THOUGHTS | SEALED, max_size=2))
        calls = draw(calls_of(3)) if draw(st.booleans()) else []
        turns.append(Message(role="assistant", parts=(*thoughts, draw(TEXTS), *calls)))
        results = [Part(kind=PartKind.TOOL_RESULT, id=call.id, name=call.name, parts=(draw(TEXTS),)) for call in calls]
        turns.append(Message(role="user", parts=(*results, draw(TEXTS))))
    return tuple(turns)


@st.composite
def _asks(draw: st.DrawFn) -> Ask:
    tools = draw(st.just(()) | TOOLS.map(tuple))
    choices = [None, *(ToolChoice(mode=mode, parallel=parallel) for mode in ("auto", "required") for parallel in (None, False))]
    forced = [ToolChoice(mode="function", name=tool.name) for tool in tools]
    return Ask(
        model="m",
        messages=draw(_turns()),
        tools=tools,
        tool_choice=draw(st.sampled_from([*choices, *forced])) if tools else None,
        max_output_tokens=draw(st.integers(1, 4096)),
        temperature=draw(st.sampled_from([None, 0.0, 0.25, 1.0])),
        top_p=draw(st.sampled_from([None, 0.5])),
        top_k=draw(st.sampled_from([None, 40])),
        seed=draw(st.sampled_from([None, 7])),
        frequency_penalty=draw(st.sampled_from([None, 0.5])),
        presence_penalty=draw(st.sampled_from([None, 0.5])),
        stop=tuple(draw(st.sampled_from([[], ["END"], ["END", "STOP"]]))),
        json_schema=SCHEMA if draw(st.booleans()) else None,
        end_user=draw(st.sampled_from(["", "user-1"])),
    )


def _said(ask: Ask) -> dict[str, Any]:
    """Return what an ask says, a thing at a time, as far as wires can differ in it."""
    parts = [(message.role, part) for message in ask.messages for part in message.parts]
    choice = ask.tool_choice or ToolChoice()
    return {
        "reasoning": [essence(part) for _, part in parts if part.kind in (PartKind.REASONING, PartKind.REDACTED)],
        "cache": [part.cache for _, part in parts if part.cache],
        "title": [part.name for _, part in parts if part.kind is PartKind.DOCUMENT and part.name not in MADE_UP],
        "system": [part.text for role, part in parts if role == "system"],
        "turns": [
            (role, msgspec.structs.replace(essence(part), cache="", name=part.name if part.kind is PartKind.TOOL_CALL else ""))
            for role, part in parts
            if role != "system" and part.kind not in (PartKind.REASONING, PartKind.REDACTED)
        ],
        "tools": [(tool.name, tool.description, orjson.loads(bytes(tool.schema or b"null"))) for tool in ask.tools],
        "choice": (choice.mode, choice.name),
        "parallel": choice.parallel is not False,
        "json_schema": ask.json_schema and orjson.loads(bytes(ask.json_schema)),
        **{
            name: getattr(ask, name)
            for name in ("max_output_tokens", "temperature", "top_p", "top_k", "seed", "frequency_penalty", "presence_penalty", "stop", "end_user")
        },
    }


def _spoken(wire: Wire, ask: Ask) -> tuple[bytes, tuple[str, ...]]:
    assert wire.upstream is not None
    return wire.upstream.compose(ask, MODELS[wire.name])


def _heard(wire: Wire, body: bytes) -> Ask:
    assert wire.client is not None
    return wire.client.read_ask(fields(body), "m", False)


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@settings(max_examples=20, deadline=None)
@given(ask=_asks())
def test_nothing_asked_is_lost_in_silence(client: Wire, upstream: Wire, ask: Ask) -> None:
    if client.name == WITHOUT_STOPS:
        ask = msgspec.structs.replace(ask, stop=())
    asked = _heard(client, _spoken(client, ask)[0])
    if upstream.name == WITHOUT_STOPS and ask.stop:
        with pytest.raises(WireError, match=r"^stop: "):
            _spoken(upstream, asked)
        return
    before = _said(asked)
    body, dropped = _spoken(upstream, asked)
    arrived = _heard(upstream, body)
    after = _said(arrived)
    lost = {name for name in before if before[name] != after[name] and NAMED.get(name, set()).isdisjoint((*dropped, *arrived.dropped))}
    assert {name: (before[name], after[name]) for name in lost} == {}


ANSWER_PARTS = st.one_of(
    st.tuples(TEXTS),
    st.tuples(st.builds(Part, kind=st.just(PartKind.REFUSAL), text=WORDS)),
    st.tuples(
        st.builds(
            Part,
            kind=st.just(PartKind.TEXT),
            text=WORDS,
            citations=st.builds(Citation, url=NAMES.map(lambda name: f"https://{name}.example/"), title=WORDS, quoted=WORDS).map(lambda one: (one,)),
        )
    ),
)


@st.composite
def _answers(draw: st.DrawFn, vendor: str) -> Answer:
    """An answer of a vendor: reasoning that it signed, a text with citations or a refusal, calls, and what all of it cost."""
    own = st.lists(st.builds(Part, kind=st.just(PartKind.REASONING), text=WORDS, signature=SIGNATURES, signed_by=st.just(vendor)), max_size=1)
    calls = draw(calls_of(3)) if draw(st.booleans()) else []
    has_words = draw(st.booleans()) or not calls
    said = draw(ANSWER_PARTS) if has_words else ()
    refuses = any(part.kind is PartKind.REFUSAL for part in said)
    calls = [] if refuses else calls  # who refuses calls nothing
    cached, written, reasoning = draw(st.integers(0, 5)), draw(st.integers(0, 5)), draw(st.integers(0, 5))
    usage = Usage(input_tokens=cached + written + 3, cached_tokens=cached, cache_write_tokens=written, output_tokens=reasoning + 4, reasoning_tokens=reasoning)
    ends = ["stop"] if refuses else ["stop", "length", "content_filter"]
    finish = "tool_calls" if calls else draw(st.sampled_from(ends))
    return Answer(id="1", model="m", parts=(*draw(own), *said, *calls), finish=finish, usage=usage)


def _told(parts: Iterable[Part], finish: str, usage: Usage | None) -> dict[str, Any]:
    """Return what an answer says, a thing at a time.

    Refusals are texts where a wire has none, with a finish that says so. Signatures of other vendors are sealed for the client and thus prove nothing here;
    that they come back whole is for the tests of each wire. Only some wires tell what was written to a cache; it is among the input everywhere.
    """
    parts = tuple(parts)
    return {
        "reasoning": "".join(part.text for part in parts if part.kind is PartKind.REASONING),
        "text": "".join(part.text for part in parts if part.kind in (PartKind.TEXT, PartKind.REFUSAL)),
        "citations": [(one.url, one.title) for part in parts for one in part.citations],
        "calls": [(part.id, part.name, orjson.loads(part.text)) for part in parts if part.kind is PartKind.TOOL_CALL],
        "finish": "content_filter" if any(part.kind is PartKind.REFUSAL for part in parts) and finish == "stop" else finish,
        "usage": usage and msgspec.structs.replace(usage, cache_write_tokens=0),
    }


def _gathered(chunks: Iterable[Chunk]) -> tuple[list[Part], str, Usage | None]:
    """Return the parts, the finish and the usage a stream told."""
    parts: list[Part] = []
    kinds = {ChunkKind.TEXT: PartKind.TEXT, ChunkKind.REFUSAL: PartKind.REFUSAL, ChunkKind.REASONING: PartKind.REASONING}
    finish, usage = "", None
    for chunk in chunks:
        assert chunk.kind is not ChunkKind.ERROR, chunk
        if chunk.kind in kinds:
            parts.append(Part(kind=kinds[chunk.kind], text=chunk.text))
        elif chunk.kind is ChunkKind.CITATION and chunk.citation is not None:
            parts.append(Part(kind=PartKind.TEXT, citations=(chunk.citation,)))
        elif chunk.kind is ChunkKind.TOOL_START:
            parts.append(Part(kind=PartKind.TOOL_CALL, id=chunk.id, name=chunk.name))
        elif chunk.kind is ChunkKind.TOOL_ARGUMENTS:
            call = parts[-1]
            parts[-1] = msgspec.structs.replace(call, text=call.text + chunk.text)
        finish, usage = chunk.finish or finish, chunk.usage or usage
    return parts, finish, usage


def _through(wire: Wire, chunks: Iterable[Chunk], size: int) -> list[Chunk]:
    """Return what is read of the bytes that a wire's writer makes of chunks, in pieces of `size` bytes."""
    assert wire.client is not None
    assert wire.upstream is not None
    writer, buffer, reader = wire.client.chunk_writer(TOLD), wire.buffer(1 << 20), wire.upstream.chunk_reader()
    told = b"".join(writer.write(chunk) for chunk in chunks)
    events = [event for at in range(0, len(told), size) for event in buffer.feed(told[at : at + size])]
    return [chunk for event in (*events, *buffer.end()) for chunk in reader.feed(event)] + list(reader.end())


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_nothing_answered_is_lost_in_silence(client: Wire, upstream: Wire, data: st.DataObject) -> None:
    answer = data.draw(_answers(upstream.name))
    read = _again(upstream, answer)
    told = _again(client, read)
    assert _told(told.parts, told.finish, told.usage) == _told(read.parts, read.finish, read.usage) == _told(answer.parts, answer.finish, answer.usage)


def _again(wire: Wire, answer: Answer) -> Answer:
    """Return what is read of an answer told on a wire."""
    assert wire.client is not None
    assert wire.upstream is not None
    return wire.upstream.read_answer(wire.client.write_answer(answer, TOLD))


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@settings(max_examples=20, deadline=None)
@given(data=st.data(), cut=st.integers(1, 12), size=st.integers(1, 40))
def test_nothing_streamed_is_lost_in_silence(client: Wire, upstream: Wire, data: st.DataObject, cut: int, size: int) -> None:
    answer = data.draw(_answers(upstream.name))
    read = _through(upstream, chunks_of(answer, cut), size)
    told = _through(client, read, size)
    assert _told(*_gathered(told)) == _told(*_gathered(read)) == _told(answer.parts, answer.finish, answer.usage)
