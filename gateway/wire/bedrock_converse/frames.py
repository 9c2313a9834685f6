"""Cuts a stream in AWS's event encoding into events. Knows nothing of what they say.

An event leaves here as its name, a line feed and its JSON; the name of an exception begins with `!`.
"""

import json
import struct

from botocore.eventstream import EventStreamBuffer, EventStreamMessage, ParserError

from gateway.wire import WireError

# total length, length of the headers, checksum of both; the message ends with a checksum of its own
_PRELUDE_BYTES = 12
_LEAST_BYTES = _PRELUDE_BYTES + 4
# what botocore's parser raises of headers that make no sense, beside its own
_UNREADABLE = (ParserError, struct.error, KeyError, IndexError, ValueError)


class FrameBuffer:
    """Cuts a stream's bytes into whole events; checksums are checked. What comes before garbage is told first, whatever the cuts."""

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
            event = _event(self._reading)
            start, rest = start + self._wanted_bytes, rest - self._wanted_bytes
            self._reading, self._wanted_bytes = None, _PRELUDE_BYTES
            events.append(event)
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


def _event(reading: EventStreamBuffer) -> bytes:
    try:
        message: EventStreamMessage | None = next(reading, None)
    except _UNREADABLE:
        raise _garbage() from None
    if message is None:
        raise _garbage()
    headers, kind = message.headers, message.headers.get(":message-type")
    if kind == "exception":
        return b"!%b\n%b" % (_name(headers.get(":exception-type")), message.payload)
    if kind == "error":
        told = json.dumps({"message": str(headers.get(":error-message", ""))})
        return b"!%b\n%b" % (_name(headers.get(":error-code")), told.encode())
    return b"%b\n%b" % (_name(headers.get(":event-type")), message.payload)


def _name(value: object) -> bytes:
    name = value if isinstance(value, str) else ""
    return name.replace("\n", " ").encode("utf-8", "replace")


def _garbage() -> WireError:
    return WireError("garbage", "the provider sent bytes that are no event of AWS's event stream encoding")
