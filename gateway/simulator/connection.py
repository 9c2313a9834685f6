"""The socket under a request: uvicorn's protocol with the transport put into the scope, so that faults can be real. Knows no wire."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
LONGEST_WAIT_S = 600
# SO_LINGER on with zero seconds: closing discards unsent data and sends RST instead of FIN
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class OpenProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol that hands its transport to the application."""

    def on_message_begin(self) -> None:
        """Start a request and leave the transport in its scope."""
        super().on_message_begin()
        cast(Scope, self.scope)["transport"] = self.transport


class Connection:
    """One exchange on one socket. Everything waits at most 600 seconds."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._transport: asyncio.Transport = scope["transport"]

    @property
    def gone(self) -> bool:
        """Whether the client has left or the socket was closed."""
        return self._transport.is_closing()

    async def body(self, limit_bytes: int) -> bytes | None:
        """Return the whole request body, or None when it is longer than the limit or the client left."""
        parts, size = [], 0
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                return None
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit_bytes:
                return None
            if not message.get("more_body"):
                return b"".join(parts)

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Send the answer's head."""
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes) -> None:
        """Send a piece of the answer's body, waiting while the client reads slowly."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self, data: bytes = b"") -> None:
        """Send the last piece and end the answer."""
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def hang(self) -> None:
        """Say nothing more until the client leaves, then close."""
        try:
            async with asyncio.timeout(LONGEST_WAIT_S):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            self._transport.abort()
            await self._left()

    async def reset(self) -> None:
        """Let what was written reach the client, then break the connection with a TCP reset."""
        await self._flushed()
        raw = self._transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._transport.abort()
        await self._left()

    async def close(self, raw: bytes = b"") -> None:
        """Write raw bytes under the feet of HTTP and close the socket in the ordinary way (FIN)."""
        self._transport.write(raw)
        self._transport.close()
        await self._left()

    async def _flushed(self) -> None:
        for _ in range(100):
            if not self._transport.get_write_buffer_size():
                break
            await asyncio.sleep(0.01)
        # the peer's loop gets a turn, so that mid-answer resets really come after the data
        await asyncio.sleep(0.02)

    async def _left(self) -> None:
        # without this uvicorn would answer 500 on a socket that is no longer there
        async with asyncio.timeout(LONGEST_WAIT_S):
            while (await self._receive())["type"] != "http.disconnect":
                pass
