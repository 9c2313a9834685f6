"""Streams of JSON lines: finds the ends of lines in a byte stream. Knows nothing about what they say."""

from gateway.wire import WireError


class LineBuffer:
    """Collects stream bytes and hands out whole lines, byte-identical and with their end, wherever the stream was cut."""

    __slots__ = ("_limit_bytes", "_parts", "_pending_bytes")

    def __init__(self, limit_bytes: int = 16 * 1024 * 1024) -> None:
        self._limit_bytes = limit_bytes
        # joined once a line, so that a long one that drips in costs linear time
        self._parts: list[bytes] = []
        self._pending_bytes = 0

    @property
    def pending(self) -> bytes:
        """Bytes of a line that has not ended yet."""
        return b"".join(self._parts)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines completed by `data`, in order; raises WireError("too_large") when one passes the limit."""
        *ended, rest = data.split(b"\n")
        lines = [line + b"\n" for line in ended]
        if lines:
            lines[0] = self.pending + lines[0]
            self._parts, self._pending_bytes = [], 0
        if rest:
            self._parts.append(rest)
            self._pending_bytes += len(rest)
        if max(self._pending_bytes, *map(len, lines), 0) > self._limit_bytes:
            raise WireError("too_large", f"one line of the stream is larger than {self._limit_bytes} bytes")
        return lines

    def end(self) -> list[bytes]:
        """Return nothing: every line has its end, so what has none was cut."""
        return []
