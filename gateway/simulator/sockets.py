"""A WebSocket under a simulated session: its first and last words in ASGI. Knows no wire."""

from typing import Any

import orjson

from gateway.simulator.connection import Receive, Scope, Send
from gateway.simulator.problems import Problem

JSON = (b"content-type", b"application/json")


class Left(Exception):
    """The client has left."""


class Socket:
    """One session's connection."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive, self._send = receive, send

    async def accept(self) -> None:
        """Let the client in."""
        await self._receive()
        subprotocol = "realtime" if "realtime" in self.scope["subprotocols"] else None
        await self._send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": [(b"x-simulated", b"true")]})

    async def refuse(self, status: int, body: bytes) -> None:
        """Answer the handshake with an error."""
        await self._receive()
        headers = [JSON, (b"content-length", str(len(body)).encode())]
        await self._send({"type": "websocket.http.response.start", "status": status, "headers": headers})
        await self._send({"type": "websocket.http.response.body", "body": body})

    async def next(self) -> dict[str, Any]:
        """Return the client's next message. Raises Left, and Problem for one that is no JSON object."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            raise Left
        try:
            told = orjson.loads(message.get("text") or message.get("bytes") or b"")
        except orjson.JSONDecodeError:
            told = None
        if not isinstance(told, dict):
            raise Problem(400, "The message is no JSON object.", "invalid_json")
        return told

    async def text(self, told: Any) -> None:
        """Send JSON as a text message."""
        await self._send({"type": "websocket.send", "text": orjson.dumps(told).decode()})

    async def binary(self, told: Any) -> None:
        """Send JSON as a binary message."""
        await self._send({"type": "websocket.send", "bytes": orjson.dumps(told)})

    async def close(self, code: int, reason: str = "") -> None:
        """End the session."""
        await self._send({"type": "websocket.close", "code": code, "reason": reason[:120]})
