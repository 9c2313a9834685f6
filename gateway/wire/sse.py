"""Server-sent events: finds event borders in a byte stream, whatever its cuts and line endings. Knows nothing about what events say."""

import re

from gateway.wire import WireError

# The SSE grammar lets every line end be LF, CRLF or CR; a CR followed by LF is one line end, never two.
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class EventBuffer:
    """Collects stream bytes and hands out whole events, byte-identical and with their blank line, wherever the stream was cut."""

    __slots__ = ("_limit_bytes", "_parts", "_pending_bytes", "_started", "_tail")

    def __init__(self, limit_bytes: int = 16 * 1024 * 1024) -> None:
        self._limit_bytes = limit_bytes
        # Parts are joined once per event, so that a huge event that drips in costs linear time.
        self._parts: list[bytes] = []
        self._pending_bytes = 0
        self._tail = b""
        self._started = False

    @property
    def pending(self) -> bytes:
        """Bytes of an event that has not ended yet; b"" between events."""
        return b"".join(self._parts)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the events completed by `data`, in order; raises WireError("too_large") when one event passes the limit."""
        if self._started and not self._parts and b"\r" not in data and data.find(b"\n\n") == len(data) - 2 >= 0:
            # What vendors nearly always send: exactly one event in one piece.
            if len(data) > self._limit_bytes:
                raise _too_large(self._limit_bytes)
            return [data]
        if self._parts:
            # A border spans at most 4 bytes, so 3 old ones are enough to see it.
            probe = self._tail + data
            if b"\n\n" not in probe and b"\r" not in probe:
                self._hold(data)
                return []
            self._parts.append(data)
            data = b"".join(self._parts)
            self._parts.clear()
            self._pending_bytes = 0
        if not self._started:
            if len(data) < 3 and _BOM.startswith(data):
                self._hold(data)
                return []
            self._started = True
            data = data.removeprefix(_BOM)
        if b"\r" in data:
            return self._feed_any_line_end(data)
        events = data.split(b"\n\n")
        rest = events.pop()
        if rest:
            self._hold(rest)
        return [self._checked(event + b"\n\n") for event in events]

    def end(self) -> list[bytes]:
        """Return the last event of a stream that ended without its blank line, if its last line is whole; else nothing."""
        rest = self.pending
        self._parts.clear()
        self._pending_bytes = 0
        if rest.strip() and rest[-1] in b"\r\n":
            return [rest if _BLANK_LINE.search(rest) else rest + b"\n"]
        return []

    def _feed_any_line_end(self, data: bytes) -> list[bytes]:
        events, start = [], 0
        for border in _BLANK_LINE.finditer(data):
            end = border.end()
            if end == len(data) and data[end - 1] == 13:  # the LF of this CR may still be on its way
                break
            events.append(self._checked(data[start:end]))
            start = end
        if start < len(data):
            self._hold(data[start:])
        return events

    def _hold(self, data: bytes) -> None:
        if not data:
            return
        self._parts.append(data)
        self._pending_bytes += len(data)
        if self._pending_bytes > self._limit_bytes:
            raise _too_large(self._limit_bytes)
        self._tail = data[-3:] if len(data) >= 3 else (self._tail + data)[-3:]

    def _checked(self, event: bytes) -> bytes:
        if len(event) > self._limit_bytes:
            raise _too_large(self._limit_bytes)
        return event


def _too_large(limit_bytes: int) -> WireError:
    return WireError("too_large", f"one stream event is larger than {limit_bytes} bytes")


def data_of(event: bytes) -> bytes:
    """Return the event's data lines joined by LF; b"" for comments and events without data."""
    if event.startswith(b"data: ") and event.find(b"\n") == len(event) - 2 and b"\r" not in event:
        return event[6:-2]
    return _field(event, b"data")


def event_name(event: bytes) -> bytes:
    """Return the event's name; b"" when it has none."""
    if event.startswith(b"event: ") and b"\r" not in event:
        return event[7 : event.find(b"\n")]
    return _field(event, b"event").rpartition(b"\n")[2]


def _field(event: bytes, name: bytes) -> bytes:
    values = []
    for line in _LINE_END.split(event):
        key, _, value = line.partition(b":")
        if key == name:
            values.append(value.removeprefix(b" "))
    return b"\n".join(values)
