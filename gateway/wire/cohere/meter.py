"""Meters answers of Cohere's own API: usage as Cohere bills it, text size, finish and errors. Changes no bytes."""

from typing import Any

import msgspec

from gateway.terms import Usage
from gateway.wire import Seen, WireError
from gateway.wire.openai_chat.meter import TOKENS_LIMIT
from gateway.wire.sse import data_of

_NULL = msgspec.Raw(b"null")
_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
# what of an event is text, wherever its type puts it
_TEXTS = ("text", "thinking", "tool_plan", "arguments", "content", "tool_calls", "function")


class _Tokens(msgspec.Struct, frozen=True, gc=False):
    # whole numbers, which the SDK's types call floats
    input_tokens: float | None = None
    output_tokens: float | None = None


class _Usage(msgspec.Struct, frozen=True, gc=False):
    billed_units: _Tokens | None = None
    tokens: _Tokens | None = None


class _Answer(msgspec.Struct, frozen=True, gc=False):
    usage: msgspec.Raw = _NULL
    meta: msgspec.Raw = _NULL


class _Delta(msgspec.Struct, frozen=True, gc=False):
    message: Any = None
    usage: msgspec.Raw = _NULL


class _Event(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    delta: _Delta | None = None


_ANSWER = msgspec.json.Decoder(_Answer)
_USAGE = msgspec.json.Decoder(_Usage)
_EVENT = msgspec.json.Decoder(_Event)


def _usage(raw: msgspec.Raw, *, writes: bool = True) -> tuple[Usage | None, str]:
    """Return the tokens that are billed, or, where none are told, those that were read and written; or what is wrong with them."""
    if bytes(raw) == b"null":
        return None, "usage_missing"
    try:
        told = _USAGE.decode(raw)
    except _UNREADABLE:
        return None, "usage_invalid"
    counts = told.billed_units or told.tokens or _Tokens()
    given, made = counts.input_tokens, counts.output_tokens if writes else 0.0
    if given is None or made is None:
        return None, "usage_missing"
    if not all(0 <= count <= TOKENS_LIMIT and count.is_integer() for count in (given, made)):
        return None, "usage_invalid"
    return Usage(input_tokens=int(given), output_tokens=int(made)), ""


def _read(body: bytes) -> _Answer:
    try:
        return _ANSWER.decode(body)
    except _UNREADABLE:
        raise WireError("garbage", "the provider's answer is not a JSON object") from None


def read_usage(body: bytes) -> tuple[Usage | None, str]:
    """Return the tokens that a whole answer reports, and "" or what is wrong (usage_missing, usage_invalid). Raises WireError("garbage")."""
    return _usage(_read(body).usage)


def read_embed_usage(body: bytes) -> tuple[Usage | None, str]:
    """Return the same of embeddings, which tell it elsewhere."""
    return _usage(_read(body).meta, writes=False)


class Meter:
    """Reads the events of one stream, in order. Keeps nothing between them."""

    __slots__ = ()

    @property
    def usage_so_far(self) -> Usage | None:
        """Return nothing: usage comes with the end."""
        return None

    def feed(self, event: bytes) -> Seen:
        """Return what an event says; raises WireError("garbage") when its data is neither a JSON object nor [DONE]."""
        data = data_of(event).strip()
        if not data:
            return Seen()
        if data == b"[DONE]":
            return Seen(terminal=True)
        try:
            said = _EVENT.decode(data)
        except _UNREADABLE:
            raise WireError("garbage", "the provider sent an event that is no JSON object") from None
        delta = said.delta or _Delta()
        if said.type != "message-end":
            return Seen(_text_bytes(delta.message))
        usage, problem = _usage(delta.usage)
        return Seen(0, usage, problem, finish=True)


def _text_bytes(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if isinstance(value, list):
        return sum(map(_text_bytes, value))
    return sum(_text_bytes(value.get(name)) for name in _TEXTS) if isinstance(value, dict) else 0
