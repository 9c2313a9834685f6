"""Meters streams of legacy completions that pass unchanged: usage, text size, finish and errors. Changes no bytes."""

import msgspec

from gateway.terms import Usage
from gateway.wire import Seen
from gateway.wire.openai_chat.meter import Meter as ChatMeter
from gateway.wire.sse import data_of


class _Choice(msgspec.Struct, frozen=True, gc=False):
    text: str | None = None


class _Event(msgspec.Struct, frozen=True, gc=False):
    choices: list[_Choice] | None = None


_EVENT = msgspec.json.Decoder(_Event)


class Meter:
    """Reads the events of one stream, in order: what the chat wire's meter reads, and the text that stands elsewhere."""

    __slots__ = ("_chat",)

    def __init__(self) -> None:
        self._chat = ChatMeter()

    @property
    def usage_so_far(self) -> Usage | None:
        """Return nothing: usage comes with the end."""
        return None

    def feed(self, event: bytes) -> Seen:
        """Return what a raw event says; raises WireError("garbage") when its data is neither JSON nor [DONE]."""
        seen = self._chat.feed(event)
        try:
            choices = _EVENT.decode(data_of(event)).choices or ()
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return seen
        size = sum(len(choice.text.encode("utf-8", "replace")) for choice in choices if choice.text)
        return msgspec.structs.replace(seen, text_bytes=seen.text_bytes + size) if size else seen
