"""OpenAI's embeddings in neutral form, for providers and callers on other wires. Where the wire is the same they pass as they are."""

import base64
import struct
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from gateway.terms import EmbedAsk, Embedded, Usage
from gateway.wire import Embedding, Told, WireError
from gateway.wire.given import choice, integer, invalid, says_nothing, text, unsupported, value
from gateway.wire.given import dropped as names
from gateway.wire.openai_chat.meter import read_usage

_KNOWN = frozenset({"model", "input", "dimensions", "encoding_format"})
_MOST_TEXTS = 2_048


class _Row(msgspec.Struct, frozen=True, gc=False):
    embedding: tuple[float, ...]
    index: int = 0


class _Answer(msgspec.Struct, frozen=True, gc=False):
    data: list[_Row]


class _Form(msgspec.Struct, frozen=True, gc=False):
    encoding_format: str | None = None


_ANSWER = msgspec.json.Decoder(_Answer)
_FORM = msgspec.json.Decoder(_Form)


def read_ask(fields: Mapping[str, msgspec.Raw]) -> EmbedAsk:
    """Return a request in neutral form. Raises WireError."""
    given = {name: value(name, raw) for name, raw in fields.items() if name in _KNOWN}
    choice(given.get("encoding_format"), "encoding_format", ("float", "base64"))
    wanted = given.get("input")
    texts = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(texts, list) or not 0 < len(texts) <= _MOST_TEXTS:
        raise invalid("input", f"input must be a string or an array of 1 to {_MOST_TEXTS} strings")
    if any(isinstance(one, int | list) for one in texts):
        # tokens are numbered as one vendor's models know them
        raise unsupported("input")
    dropped = [name for name, raw in fields.items() if name not in _KNOWN and not says_nothing(raw)]
    return EmbedAsk(tuple(text(one, "input") for one in texts), integer(given.get("dimensions"), "dimensions", 1), names(dropped))


def write_answer(embedded: Embedded, told: Told) -> bytes:
    """Return the list of embeddings, packed if the caller asked for that."""
    is_packed = _FORM.decode(told.body).encoding_format == "base64"
    usage = embedded.usage or Usage()
    return orjson.dumps(
        {
            "object": "list",
            "data": [{"object": "embedding", "index": at, "embedding": _packed(one) if is_packed else one} for at, one in enumerate(embedded.vectors)],
            "model": told.model,
            "usage": {"prompt_tokens": usage.input_tokens, "total_tokens": usage.input_tokens},
        }
    )


def _packed(vector: tuple[float, ...]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def compose(ask: EmbedAsk, upstream_model: str) -> tuple[bytes, tuple[str, ...]]:
    """Return a request and the caller's fields it does not carry."""
    size: dict[str, Any] = {} if ask.dimensions is None else {"dimensions": ask.dimensions}
    return orjson.dumps({"model": upstream_model, "input": ask.texts, "encoding_format": "float", **size}), ask.dropped


def read_answer(body: bytes) -> Embedded:
    """Return the vectors of an answer, in the order of the texts. Raises WireError("garbage")."""
    try:
        rows = _ANSWER.decode(body).data
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise WireError("garbage", "the provider's answer holds no embeddings") from None
    return Embedded(tuple(row.embedding for row in sorted(rows, key=lambda row: row.index)), *read_usage(body))


EMBEDDING = {"embeddings": Embedding(read_ask=read_ask, write_answer=write_answer, read_answer=read_answer, compose=compose)}
