"""What conversations are made of, drawn at random, for tests that send them through wires."""

from base64 import b64encode
from collections.abc import Iterator

import msgspec
import orjson
from hypothesis import strategies as st

from gateway.terms import Answer, Chunk, ChunkKind, Part, PartKind, Tool
from gateway.wire import Told, shelf

TOLD = Told(model="m", call_id="1", created_at_s=1)
WIRES = [wire for wire in shelf().values() if wire.client is not None and wire.upstream is not None]
WORDS = st.text(min_size=1, max_size=30).filter(lambda text: bool(text.strip()) and not text.startswith("sgw1."))
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
ARGUMENTS = st.dictionaries(NAMES, st.integers(-9, 9) | WORDS | st.booleans(), max_size=3).map(lambda value: orjson.dumps(value).decode())
PICTURES = st.binary(min_size=1, max_size=12).map(
    lambda data: Part(kind=PartKind.IMAGE, text=f"data:image/png;base64,{b64encode(data).decode()}", media_type="image/png")
)
TEXTS = st.builds(Part, kind=st.just(PartKind.TEXT), text=WORDS)
SCHEMA = msgspec.Raw(b'{"type":"object","properties":{"place":{"type":"string"}},"required":["place"],"additionalProperties":false}')
TOOLS = st.lists(st.builds(Tool, name=NAMES, description=WORDS, schema=st.just(SCHEMA)), min_size=1, max_size=2, unique_by=lambda tool: tool.name)


@st.composite
def calls_of(draw: st.DrawFn, most: int) -> list[Part]:
    """Calls of distinct ids."""
    names = draw(st.lists(NAMES, min_size=1, max_size=most))
    return [Part(kind=PartKind.TOOL_CALL, id=f"call_{draw(NAMES)}{number}", name=name, text=draw(ARGUMENTS)) for number, name in enumerate(names)]


def essence(part: Part) -> Part:
    """Return a part without where it stands, and what some wires say though nobody did: the name of the call a result is of, that nobody signed a call."""
    part = msgspec.structs.replace(part, at="")
    if part.kind is PartKind.TOOL_RESULT:
        return msgspec.structs.replace(part, name="", parts=tuple(essence(inner) for inner in part.parts))
    if part.kind is PartKind.TOOL_CALL:
        return msgspec.structs.replace(part, text=orjson.dumps(orjson.loads(part.text)).decode(), signature="", signed_by="")
    return part


def chunks_of(answer: Answer, cut: int) -> Iterator[Chunk]:
    """Return an answer as a stream tells it, texts and arguments in pieces of `cut` letters."""
    kinds = {PartKind.TEXT: ChunkKind.TEXT, PartKind.REFUSAL: ChunkKind.REFUSAL, PartKind.REASONING: ChunkKind.REASONING}
    yield Chunk(kind=ChunkKind.START, id=answer.id)
    index = 0
    for part in answer.parts:
        pieces = [part.text[at : at + cut] for at in range(0, len(part.text), cut)]
        if part.kind is PartKind.TOOL_CALL:
            yield Chunk(kind=ChunkKind.TOOL_START, index=index, id=part.id, name=part.name)
            yield from (Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=index, text=piece) for piece in pieces)
            index += 1
            continue
        yield from (Chunk(kind=kinds[part.kind], text=piece) for piece in pieces)
        yield from (Chunk(kind=ChunkKind.CITATION, citation=one) for one in part.citations)
        if part.signature:
            yield Chunk(kind=ChunkKind.SIGNATURE, text=part.signature, signed_by=part.signed_by)
    yield Chunk(kind=ChunkKind.FINISH, finish=answer.finish)
    yield Chunk(kind=ChunkKind.USAGE, usage=answer.usage)
    yield Chunk(kind=ChunkKind.END)
