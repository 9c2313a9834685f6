"""Who stands at the door: a request as it came, and what its caller has been given so far. Knows nothing of keys and calls."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

from gateway.direct import Connection, Turn, take_connection
from gateway.doors import find
from gateway.plane import relay
from gateway.terms import Header
from gateway.wire.lines import headers as headers_of

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Scope = dict[str, Any]

# answers with these have no body to put into chunks (RFC 9110 §15.3.5, §15.4.5)
NO_BODY = frozenset({204, 304})


class Reply:
    """What has been given to the caller so far: through our worker's own connection where there is one, else through plain ASGI."""

    __slots__ = ("_connection", "_send", "started")

    def __init__(self, send: Send, connection: Connection | None = None) -> None:
        self._send, self._connection = send, connection
        self.started = False

    async def whole(self, status: int, head: bytes, body: bytes) -> None:
        """Send a whole answer; `head` are its headers as lines."""
        self.started = True
        connection = self._connection
        if connection is None:
            await self._send({"type": "http.response.start", "status": status, "headers": headers_of(head)})
            await self._send({"type": "http.response.body", "body": body})
        elif connection.is_open or await connection.ready():
            connection.whole(status, head, body)

    async def start(self, status: int, head: bytes) -> None:
        """Send status and headers, as lines, of a body that follows in parts."""
        self.started = True
        if status in NO_BODY:
            self._connection = None
        connection = self._connection
        if connection is None:
            await self._send({"type": "http.response.start", "status": status, "headers": headers_of(head)})
        elif connection.is_open or await connection.ready():
            connection.start(status, head)

    async def write(self, data: bytes) -> None:
        """Send a part of the body."""
        connection = self._connection
        if connection is None:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
        elif connection.is_open or await connection.ready():
            connection.write(data)

    async def end(self, data: bytes) -> None:
        """Send the last part of the body."""
        connection = self._connection
        if connection is None:
            await self._send({"type": "http.response.body", "body": data})
        elif connection.is_open or await connection.ready():
            connection.end(data)


_chances: list[str] = []


def chance() -> str:
    """Return 64 random bits as 16 hexadecimal digits; drawn 256 at a time, to save a system call each."""
    if not _chances:
        drawn = os.urandom(8 * 256).hex()
        _chances.extend(drawn[at : at + 16] for at in range(0, len(drawn), 16))
    return _chances.pop()


class Visitor:
    """One request at the door: its headers once by name, its caller's side, and when it came."""

    __slots__ = (
        "began", "body", "client", "connection", "door", "headers", "id", "is_revoked", "key", "left", "listed", "method", "path", "query", "receive", "reply",
        "task", "turn", "version",
    )  # fmt: skip

    def __init__(
        self, method: str, path: bytes, query: bytes, version: str, listed: list[Header], client: tuple[str, int] | None, receive: Receive, send: Send,
        connection: Connection | None, body: bytes | None, turn: Turn | None,
    ) -> None:  # fmt: skip
        self.began = time.monotonic()
        self.id = f"call_{time.time_ns() // 1_000_000:011x}{chance()}"
        self.method, self.path, self.query, self.version, self.listed, self.client = method, path, query, version, listed, client
        self.headers: dict[bytes, bytes] = dict(listed)
        self.door = find(path, self.headers)
        self.receive, self.connection, self.body, self.turn = receive, connection, body, turn
        self.reply: relay.Reply = Reply(send, connection)
        self.left = self.is_revoked = False
        self.key = ""
        self.task: asyncio.Task[object] | None = None


def visitor_by_turn(turn: Turn) -> Visitor:
    """Return the visitor of a request that our own server took whole."""
    return Visitor("POST", turn.path, b"", turn.version, turn.headers, turn.client, turn.receive, turn.send, Connection(turn), turn.body, turn)  # type: ignore[arg-type]


def visitor_by_asgi(scope: Scope, receive: Receive, send: Send) -> Visitor:
    """Return the visitor of an ASGI request."""
    connection = take_connection(scope)
    body = connection.take_body() if connection is not None else None
    path, client = scope.get("raw_path") or scope["path"].encode(), scope.get("client")
    return Visitor(scope["method"], path, scope["query_string"], scope["http_version"], scope["headers"], client, receive, send, connection, body, None)
