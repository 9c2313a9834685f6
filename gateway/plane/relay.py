"""Gives an upstream's answer to the caller, whole or as a stream. Knows nothing of keys, plans or money."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from gateway.errors import UpstreamFault
from gateway.plane.pools import Exchange
from gateway.plane.speak import Reader
from gateway.wire import WireError

LAST_BYTES_S = 1.0


class Reply(Protocol):
    """The caller's side of a call."""

    @property
    def started(self) -> bool:
        """Whether the caller has been given anything."""
        ...

    async def whole(self, status: int, head: bytes, body: bytes) -> None:
        """Send a whole answer; `head` are its headers as lines (see gateway.wire.lines)."""
        ...

    async def start(self, status: int, head: bytes) -> None:
        """Send status and headers, as lines, of a body that follows in parts."""
        ...

    async def write(self, data: bytes) -> None:
        """Send a part of the body."""
        ...

    async def end(self, data: bytes) -> None:
        """Send the last part of the body."""
        ...


def content_type(exchange: Exchange) -> bytes:
    """Return the answer's media type in lower case, without parameters."""
    for name, value in exchange.headers:
        if name == b"content-type":
            return value.partition(b";")[0].strip().lower()
    return b""


async def open_stream(exchange: Exchange, reader: Reader, stream_type: bytes) -> bytes:
    """Return the first bytes to pass on. Raises UpstreamFault when the stream fails before it said anything."""
    if content_type(exchange) != stream_type:
        raise UpstreamFault("protocol", "a stream was asked for, something else came", sent=True)
    while True:
        data = await exchange.chunks()
        out = feed(reader, data)
        if out:
            return out
        if reader.error:
            raise UpstreamFault("stream_error", reader.error, sent=True)
        if not data or reader.done:
            raise UpstreamFault("reset", "the stream ended before its first event", sent=True)


def feed(reader: Reader, data: bytes) -> bytes:
    """Return what may be passed on of newly arrived bytes, b"" for the upstream's end. Raises UpstreamFault on garbage."""
    try:
        return reader.feed(data) if data else reader.ending()
    except WireError as error:
        raise UpstreamFault("protocol", error.message, sent=True) from None


async def stream(
    exchange: Exchange,
    reader: Reader,
    opening: bytes,
    reply: Reply,
    settle: Callable[[], Awaitable[None]],
    progress: Callable[[], Awaitable[None] | None],
) -> None:
    """Pass a stream on; `settle` runs before the terminal bytes leave, `progress` after every batch and is waited for if it says so.

    Raises UpstreamFault when the stream is cut, stalls, or carries an error.
    """
    out = opening
    while not reader.done:
        if out:
            await reply.write(out)
        if reader.error:
            raise UpstreamFault("stream_error", reader.error, sent=True)
        data = await exchange.chunks()
        out = feed(reader, data)
        if not data and not reader.done:
            raise UpstreamFault("reset", "the stream ended without its end", sent=True)
        waiting = progress()
        if waiting is not None:
            await waiting
    await settle()
    await reply.end(out + reader.tail)
    await _last_bytes(exchange)


async def _last_bytes(exchange: Exchange) -> None:
    """Read the vendor's closing chunk, so that the connection can be used again; the caller has everything already."""
    try:
        async with asyncio.timeout(LAST_BYTES_S):
            while await exchange.chunks():
                pass
    except (TimeoutError, UpstreamFault):
        exchange.close()
