"""Meters streams of pictures that pass unchanged: sketches first, then the picture with what it took. Knows nothing of whole answers."""

import msgspec

from gateway.terms import Usage
from gateway.wire import Seen, WireError
from gateway.wire.openai_chat.media_usage import IMAGE_TOKENS, MediaUsage, believed
from gateway.wire.openai_chat.meter import error_message
from gateway.wire.sse import data_of

BYTES_PER_TOKEN = 4


class _Event(msgspec.Struct):
    """What of an event is read; its picture is not."""

    type: str = ""
    usage: MediaUsage | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


_EVENT = msgspec.json.Decoder(_Event)
_NOTHING = Seen()


class PictureMeter:
    """Meters the events of one stream. Whoever leaves after the first sketch is billed a picture: the vendor makes it to its end."""

    __slots__ = ("_has_begun",)

    def __init__(self) -> None:
        self._has_begun = False

    @property
    def usage_so_far(self) -> Usage | None:
        """Return nothing: all figures come with the picture."""
        return None

    def feed(self, event: bytes) -> Seen:
        """Return what a raw event says; raises WireError("garbage")."""
        data = data_of(event).strip()
        if not data:
            return _NOTHING
        try:
            read = _EVENT.decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise WireError("garbage", "the provider sent an event that is not JSON of this wire") from None
        if bytes(read.error) != b"null" or read.type == "error":
            return Seen(error=error_message(data) or "the provider reported an error")
        if read.type.endswith(".completed"):
            usage, problem = believed(read.usage)
            return Seen(usage=usage, problem=problem, finish=True, terminal=True)
        if self._has_begun or not read.type.endswith(".partial_image"):
            return _NOTHING
        self._has_begun = True
        return Seen(text_bytes=IMAGE_TOKENS * BYTES_PER_TOKEN)
