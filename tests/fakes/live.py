"""A vendor that speaks over a WebSocket by script, and a caller who keeps what is said."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from gateway.wire.live import Message

WITHIN_S = 5.0
Script = Callable[[ServerConnection], Awaitable[None]]


class LiveVendor:
    """Plays its script for every connection, as `async with` in the running loop; `heard` is everything it was told, `paths` where it was asked.

    `codes` are those its connections ended with.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self.heard: list[Message] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.codes: list[int | None] = []
        self.ended = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server: Server = await serve(self._meet, "127.0.0.1", 0, compression=None, max_size=None)
        self.port = int(next(iter(self._server.sockets)).getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close(close_connections=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """The base URL without a path."""
        return f"http://127.0.0.1:{self.port}"

    async def _meet(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.paths.append(connection.request.path)
        self.headers.append({name.lower(): value for name, value in connection.request.headers.raw_items()})
        try:
            with contextlib.suppress(ConnectionClosed):
                await self._script(connection)
        finally:
            await connection.close()
            self.codes.append(connection.close_code)
            self.ended.set()

    def script(self, answer: Callable[[ServerConnection, dict[str, Any]], Awaitable[None]]) -> Script:
        """Return a script that keeps what it hears and answers each message."""

        async def play(connection: ServerConnection) -> None:
            async for message in connection:
                self.heard.append(message)
                await answer(connection, json.loads(message))

        return play


def vendor(answer: Callable[[ServerConnection, dict[str, Any]], Awaitable[None]]) -> LiveVendor:
    """Return a vendor that answers each message."""
    made = LiveVendor(silent)
    made._script = made.script(answer)
    return made


async def silent(connection: ServerConnection) -> None:
    """Say nothing until the other side leaves."""
    async for _ in connection:
        pass


class Listener:
    """The caller's side: says what `say` is given, keeps what it hears; with `is_slow` it stops reading after the first message."""

    def __init__(self, *said: Any, is_slow: bool = False) -> None:
        self.inbox: asyncio.Queue[Message | None] = asyncio.Queue()
        self.heard: list[Message] = []
        self.head: bytes | None = None
        self.is_slow = is_slow
        self._changed = asyncio.Condition()
        for message in said:
            self.say(message)

    def say(self, message: Any) -> None:
        """Say something, a message or what becomes one as JSON."""
        self.inbox.put_nowait(message if isinstance(message, str | bytes) else json.dumps(message))

    def leave(self) -> None:
        """Leave."""
        self.inbox.put_nowait(None)

    async def accept(self, head: bytes) -> None:
        """Be let in."""
        self.head = head

    async def receive(self) -> Message | None:
        """Give what is said next."""
        return await self.inbox.get()

    async def send(self, message: Message) -> None:
        """Hear a message."""
        if self.is_slow and self.heard:
            await asyncio.Event().wait()
        async with self._changed:
            self.heard.append(message)
            self._changed.notify_all()

    @property
    def events(self) -> list[dict[str, Any]]:
        """What was heard, read."""
        return [json.loads(message) for message in self.heard]

    async def until(self, kind: str, times: int = 1) -> dict[str, Any]:
        """Wait until an event of a type was heard so many times; return the last."""
        async with asyncio.timeout(WITHIN_S), self._changed:
            await self._changed.wait_for(lambda: sum(event.get("type") == kind for event in self.events) >= times)
        return next(event for event in reversed(self.events) if event.get("type") == kind)
