"""Gemini's embeddings: what they cost where they pass as they are, and their neutral form for providers and callers on other wires."""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from gateway.terms import EmbedAsk, Embedded
from gateway.wire import Embedding, Head, Plain, Told, WireError
from gateway.wire.gemini.answer import read_usage
from gateway.wire.gemini.fields import camel, drop_others, members, several, whole
from gateway.wire.given import dropped as names
from gateway.wire.given import invalid, list_, text, unsupported, value

_HEAD = Head()
_KNOWN = frozenset({"model", "content", "outputDimensionality"})
_MOST_TEXTS = 2_048


class _Vector(msgspec.Struct, frozen=True, gc=False):
    values: tuple[float, ...]


class _Answer(msgspec.Struct, frozen=True, gc=False):
    embeddings: list[_Vector] = []
    embedding: _Vector | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


def _read_head(parsed: Mapping[str, Any]) -> Head:
    return _HEAD


def read_one(fields: Mapping[str, msgspec.Raw]) -> EmbedAsk:
    """Return an embedContent request in neutral form."""
    return _joined([{camel(name): value(camel(name)[:64], raw) for name, raw in fields.items()}], "")


def read_many(fields: Mapping[str, msgspec.Raw]) -> EmbedAsk:
    """Return a batchEmbedContents request in neutral form."""
    asked = list_(value("requests", fields["requests"]) if "requests" in fields else None, "requests")
    if not 0 < len(asked) <= _MOST_TEXTS:
        raise invalid("requests", f"requests must hold 1 to {_MOST_TEXTS} requests")
    return _joined([members(one, f"requests[{at}]") for at, one in enumerate(asked)], "requests")


def _joined(requests: list[dict[str, Any]], param: str) -> EmbedAsk:
    dropped: list[str] = []
    texts, sizes = [], set()
    for at, one in enumerate(requests):
        where = f"{param}[{at}]." if param else ""
        drop_others(one, _KNOWN, param, dropped)
        texts.append(_text(one.get("content"), f"{where}content"))
        size = one.get("outputDimensionality")
        sizes.add(None if size is None else whole(size, f"{where}outputDimensionality", 1, 100_000))
    if len(sizes) > 1:
        raise unsupported(f"{param}.outputDimensionality")
    return EmbedAsk(texts=tuple(texts), dimensions=sizes.pop(), dropped=names(dropped))


def _text(given: object, param: str) -> str:
    parts = several(members(given, param).get("parts"), f"{param}.parts")
    texts = []
    for at, one in enumerate(parts):
        part = members(one, f"{param}.parts[{at}]")
        if "text" not in part:
            raise unsupported(f"{param}.parts[{at}]")
        texts.append(text(part["text"], f"{param}.parts[{at}].text"))
    return "\n".join(texts)


def write_one(embedded: Embedded, told: Told) -> bytes:
    """Return the answer to embedContent."""
    return orjson.dumps({"embedding": {"values": embedded.vectors[0]}, **_usage(embedded)})


def write_many(embedded: Embedded, told: Told) -> bytes:
    """Return the answer to batchEmbedContents."""
    return orjson.dumps({"embeddings": [{"values": vector} for vector in embedded.vectors], **_usage(embedded)})


def _usage(embedded: Embedded) -> dict[str, Any]:
    usage = embedded.usage
    return {} if usage is None else {"usageMetadata": {"promptTokenCount": usage.input_tokens, "totalTokenCount": usage.input_tokens}}


def compose(ask: EmbedAsk, upstream_model: str) -> tuple[bytes, tuple[str, ...]]:
    """Return a batchEmbedContents request and the caller's fields it does not carry."""
    size = {} if ask.dimensions is None else {"outputDimensionality": ask.dimensions}
    named = upstream_model if upstream_model.startswith("models/") else f"models/{upstream_model}"
    requests = [{"model": named, "content": {"parts": [{"text": one}]}, **size} for one in ask.texts]
    return orjson.dumps({"requests": requests}), ask.dropped


def read_answer(body: bytes) -> Embedded:
    """Return the vectors of an answer. Raises WireError("garbage")."""
    try:
        answer = _ANSWER.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise WireError("garbage", "the provider's answer holds no embeddings") from None
    found = answer.embeddings or ([answer.embedding] if answer.embedding is not None else [])
    # older models of this endpoint tell no usage: it is estimated from the request then
    return Embedded(tuple(one.values for one in found), *read_usage(body))


PLAIN = {name: Plain(kind="embeddings", read_head=_read_head, read_usage=read_usage) for name in ("embedContent", "batchEmbedContents")}
EMBEDDING = {
    "embedContent": Embedding(read_ask=read_one, write_answer=write_one, read_answer=read_answer),
    "batchEmbedContents": Embedding(read_ask=read_many, write_answer=write_many, read_answer=read_answer, compose=compose),
}
