"""Streams as one JSON array: what Gemini's clients get that do not ask for server-sent events. Knows no wire beyond that its events hold JSON."""

from gateway.plane.relay import Reply
from gateway.plane.telling import JSON, SSE
from gateway.wire.sse import EventBuffer, data_of

# white space between the elements of an array: nothing to who reads it, and a sign of life
ALIVE = b"\n"


class ArrayReply:
    """A caller's side that turns the events it is given into the elements of an array; whole answers pass."""

    __slots__ = ("_before", "_buffer", "_reply")

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._buffer = EventBuffer()
        self._before = b"["

    @property
    def started(self) -> bool:
        """Whether the answer has begun."""
        return self._reply.started

    async def whole(self, status: int, head: bytes, body: bytes) -> None:
        """Send a whole answer."""
        await self._reply.whole(status, head, body)

    async def start(self, status: int, head: bytes) -> None:
        """Send status and headers of an array that follows."""
        await self._reply.start(status, head.replace(SSE, JSON))

    async def write(self, data: bytes) -> None:
        """Send the events that have come whole."""
        await self._reply.write(self._elements(self._buffer.feed(data)) or ALIVE)

    async def end(self, data: bytes) -> None:
        """Send the last events and the end of the array."""
        last = self._elements([*self._buffer.feed(data), *self._buffer.end()])
        await self._reply.end(last + (b"[]" if self._before == b"[" else b"]"))

    def _elements(self, events: list[bytes]) -> bytes:
        written = []
        for event in events:
            data = data_of(event)
            if data:
                written.append(self._before + data)
                self._before = b",\r\n"
        return b"".join(written)
