"""A stream as one JSON array, for Gemini's clients that do not ask for events."""

import asyncio

import orjson

from gateway.framing import ArrayReply
from gateway.plane.telling import JSON, SSE


class Caller:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.status, self.head, self.body, self.started = 0, b"", b"", False

    async def whole(self, status: int, head: bytes, body: bytes) -> None:
        """Take a whole answer."""
        self.status, self.head, self.body, self.started = status, head, body, True

    async def start(self, status: int, head: bytes) -> None:
        """Take a head."""
        self.status, self.head, self.started = status, head, True

    async def write(self, data: bytes) -> None:
        """Take a part."""
        self.body += data

    async def end(self, data: bytes) -> None:
        """Take the last part."""
        self.body += data


def told(*pieces: bytes) -> Caller:
    caller = Caller()

    async def tell() -> None:
        reply = ArrayReply(caller)
        await reply.start(200, b"x: y\r\n" + SSE)
        for piece in pieces[:-1]:
            await reply.write(piece)
        await reply.end(pieces[-1])

    asyncio.run(tell())
    return caller


def test_events_become_the_elements_of_an_array() -> None:
    caller = told(b"\n\n", b'data: {"a":1}\n\ndata: {"b"', b':2}\r\n\r\n: waiting\n\n', b'data: {"c":3}\n\n')
    assert orjson.loads(caller.body) == [{"a": 1}, {"b": 2}, {"c": 3}]
    assert caller.head == b"x: y\r\n" + JSON


def test_a_stream_of_nothing_is_an_empty_array() -> None:
    assert orjson.loads(told(b"\n\n", b"").body) == []
