"""Cuts a stream in AWS's event encoding into frames, opens them and writes some. Knows nothing of what they say."""

import json
import struct
import zlib
from functools import lru_cache

from botocore.eventstream import EventStreamBuffer, EventStreamHeaderParser, EventStreamMessage, ParserError

from gateway.wire import WireError

# total length, length of the headers, checksum of both; the message ends with a checksum of its own
_PRELUDE_BYTES = 12
_CHECKSUM_BYTES = 4
_LEAST_BYTES = _PRELUDE_BYTES + _CHECKSUM_BYTES
# how a header says that its value is a text
_TEXT = b"\x07"
# what botocore's parser raises of headers that make no sense, beside its own
_UNREADABLE = (ParserError, struct.error, KeyError, IndexError, ValueError)


class FrameBuffer:
    """Cuts a stream's bytes into whole frames; checksums are checked. What comes before garbage is told first, whatever the cuts."""

    __slots__ = ("_broken", "_limit_bytes", "_parts", "_pending_bytes", "_reading", "_wanted_bytes")

    def __init__(self, limit_bytes: int = 16 * 1024 * 1024) -> None:
        self._limit_bytes = limit_bytes
        # parts are joined once per event, so that a huge event that drips in costs linear time
        self._parts: list[bytes] = []
        self._pending_bytes = 0
        self._wanted_bytes = _PRELUDE_BYTES
        self._reading: EventStreamBuffer | None = None
        self._broken: WireError | None = None

    @property
    def pending(self) -> bytes:
        """Bytes of an event that has not ended yet."""
        return b"".join(self._parts)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the events completed by `data`; raises WireError("too_large") or ("garbage") once nothing came before what is wrong."""
        if self._broken is not None:
            raise self._broken
        self._parts.append(data)
        self._pending_bytes += len(data)
        if self._pending_bytes < self._wanted_bytes:
            return []
        events: list[bytes] = []
        try:
            self._cut(b"".join(self._parts), events)
        except WireError as error:
            self._broken = error
            if not events:
                raise
        return events

    def end(self) -> list[bytes]:
        """Return nothing: what is left was cut. Raises WireError for what was wrong behind the last event."""
        if self._broken is not None:
            raise self._broken
        return []

    def _cut(self, data: bytes, events: list[bytes]) -> None:
        start, rest = 0, len(data)
        while rest >= self._wanted_bytes:
            if self._reading is None:
                self._begin(data[start : start + _PRELUDE_BYTES])
                continue
            self._reading.add_data(data[start + _PRELUDE_BYTES : start + self._wanted_bytes])
            _check(self._reading)
            events.append(data[start : start + self._wanted_bytes])
            start, rest = start + self._wanted_bytes, rest - self._wanted_bytes
            self._reading, self._wanted_bytes = None, _PRELUDE_BYTES
        self._parts = [data[start:]] if rest else []
        self._pending_bytes = rest

    def _begin(self, prelude: bytes) -> None:
        length_bytes = int.from_bytes(prelude[:4])
        self._reading = EventStreamBuffer()
        self._reading.add_data(prelude)
        try:
            next(self._reading, None)
        except _UNREADABLE:
            raise _garbage() from None
        if length_bytes > self._limit_bytes:
            raise WireError("too_large", f"one stream event is larger than {self._limit_bytes} bytes")
        if length_bytes < _LEAST_BYTES:
            raise _garbage()
        self._wanted_bytes = length_bytes


def _check(reading: EventStreamBuffer) -> None:
    try:
        message: EventStreamMessage | None = next(reading, None)
    except _UNREADABLE:
        raise _garbage() from None
    if message is None:
        raise _garbage()


def opened(frame: bytes) -> tuple[bytes, bytes]:
    """Return the name and the payload of a frame that a buffer cut; the name of an exception begins with `!`."""
    headers_end = _PRELUDE_BYTES + int.from_bytes(frame[4:8])
    name, message = _told(frame[_PRELUDE_BYTES:headers_end])
    return name, frame[headers_end:-_CHECKSUM_BYTES] if message is None else message


# few kinds of events come, each with the same headers again and again
@lru_cache(32)
def _told(headers: bytes) -> tuple[bytes, bytes | None]:
    """Return the name that a frame's headers give it, and the payload where they hold that too."""
    named = EventStreamHeaderParser().parse(headers)
    kind = named.get(":message-type")
    if kind == "exception":
        return b"!" + _name(named.get(":exception-type")), None
    if kind == "error":
        return b"!" + _name(named.get(":error-code")), json.dumps({"message": str(named.get(":error-message", ""))}).encode()
    return _name(named.get(":event-type")), None


def _name(value: object) -> bytes:
    return value.encode("utf-8", "replace") if isinstance(value, str) else b""


def exception(name: str, payload: bytes) -> bytes:
    """Return a frame that tells of an exception."""
    headers = b"".join(
        bytes([len(key)]) + key + _TEXT + struct.pack(">H", len(value)) + value
        for key, value in ((b":exception-type", name.encode()), (b":content-type", b"application/json"), (b":message-type", b"exception"))
    )
    prelude = struct.pack(">II", _LEAST_BYTES + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def _garbage() -> WireError:
    return WireError("garbage", "the provider sent bytes that are no event of AWS's event stream encoding")
