"""Meters answers of Ollama's own API: usage, text size, finish and errors. Changes no bytes."""

from typing import Any

import msgspec

from gateway.terms import Usage
from gateway.wire import Seen, WireError
from gateway.wire.openai_chat.meter import TOKENS_LIMIT

_NULL = msgspec.Raw(b"null")
_UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
_NO_OBJECT = "the provider's answer is not a JSON object"


class _Message(msgspec.Struct, frozen=True, gc=False):
    content: str | None = None
    thinking: str | None = None
    tool_calls: msgspec.Raw = _NULL


class _Line(msgspec.Struct, frozen=True, gc=False):
    message: _Message | None = None
    response: str | None = None
    thinking: str | None = None
    done: bool | None = None
    prompt_eval_count: Any = None
    eval_count: Any = None
    error: Any = None


_LINE = msgspec.json.Decoder(_Line)


def _read(body: bytes) -> _Line:
    try:
        return _LINE.decode(body)
    except _UNREADABLE:
        raise WireError("garbage", _NO_OBJECT) from None


def _counted(input_tokens: object, output_tokens: object) -> tuple[Usage | None, str]:
    """Return believable tokens, or what is wrong: a count that Ollama leaves out (of a prompt it remembers, in old releases) is not known."""
    if input_tokens is None or output_tokens is None:
        return None, "usage_missing"
    if type(input_tokens) is not int or type(output_tokens) is not int or not (0 <= input_tokens <= TOKENS_LIMIT and 0 <= output_tokens <= TOKENS_LIMIT):
        return None, "usage_invalid"
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens), ""


def read_usage(body: bytes) -> tuple[Usage | None, str]:
    """Return the tokens that a whole answer reports, and "" or what is wrong (usage_missing, usage_invalid). Raises WireError("garbage")."""
    said = _read(body)
    return _counted(said.prompt_eval_count, said.eval_count)


def read_embed_usage(body: bytes) -> tuple[Usage | None, str]:
    """Return the same of embeddings, for which nothing is written."""
    return _counted(_read(body).prompt_eval_count, 0)


class Meter:
    """Reads the lines of one stream, in order. Keeps nothing between them."""

    __slots__ = ()

    @property
    def usage_so_far(self) -> Usage | None:
        """Return nothing: usage comes with the end."""
        return None

    def feed(self, event: bytes) -> Seen:
        """Return what a line says; raises WireError("garbage") when it is no JSON object."""
        if not event.strip():
            return Seen()
        said = _read(event)
        if said.error:
            return Seen(error=said.error[:2000] if isinstance(said.error, str) else "the provider reported an error")
        usage, problem = _counted(said.prompt_eval_count, said.eval_count) if said.done else (None, "")
        return Seen(_text_bytes(said), usage, problem, finish=bool(said.done), terminal=bool(said.done))


def _text_bytes(said: _Line) -> int:
    message = said.message or _Message()
    calls = 0 if bytes(message.tool_calls) == b"null" else len(bytes(message.tool_calls))
    return calls + sum(len(text.encode("utf-8", "replace")) for text in (message.content, message.thinking, said.response, said.thinking) if text)
