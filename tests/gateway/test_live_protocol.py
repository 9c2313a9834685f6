"""Our server's side of WebSockets: sessions end when their application says so, and nobody who is gone or reads nothing is waited for."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.utils import ClientDisconnected
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from gateway.worker import LiveProtocol, Protocol, Server

WITHIN_S = 5.0
Serve = Callable[[Any, Any, Any], Awaitable[None]]


class App:
    """Serves sessions by a function; `drained` is set when the server stops."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self.drained, self.ended = asyncio.Event(), asyncio.Event()
        self.error: BaseException | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            assert (await receive())["type"] == "websocket.connect"
            await send({"type": "websocket.accept"})
            await self._serve(self, receive, send)
        except ClientDisconnected as error:
            self.error = error
        finally:
            self.ended.set()

    def drain(self) -> None:
        """Hear that the server stops."""
        self.drained.set()


class Running(Server):
    """Our server without what it does to the garbage collector of its process."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does."""
        await uvicorn.Server.startup(self, sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Leave the test's signals alone."""
        yield


@contextlib.asynccontextmanager
async def running(app: App, **options: Any) -> AsyncIterator[tuple[Running, str]]:
    """Run a server; return it with its address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=Protocol, ws=LiveProtocol, ws_per_message_deflate=False, ws_max_size=10_000, lifespan="off", interface="asgi3", log_config=None,
        timeout_graceful_shutdown=5, **options,
    )  # fmt: skip
    server = Running(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        async with asyncio.timeout(WITHIN_S):
            while not server.started:
                await asyncio.sleep(0)
        yield server, f"ws://127.0.0.1:{listener.getsockname()[1]}/v1/realtime"
    finally:
        server.should_exit = True
        async with asyncio.timeout(2 * WITHIN_S):
            await serving


async def test_a_server_that_stops_leaves_it_to_the_session_when_it_ends() -> None:
    async def serve(app: App, receive: Any, send: Any) -> None:
        await app.drained.wait()
        await send({"type": "websocket.send", "text": "the last words"})
        await send({"type": "websocket.close", "code": 1001, "reason": "overloaded"})

    app = App(serve)
    async with running(app) as (server, url), connect(url) as client:
        server.should_exit = True
        async with asyncio.timeout(WITHIN_S):
            assert await client.recv() == "the last words"
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "overloaded")


async def test_a_caller_who_reads_nothing_is_dropped() -> None:
    async def flood(app: App, receive: Any, send: Any) -> None:
        while True:
            await send({"type": "websocket.send", "bytes": bytes(100_000)})

    app = App(flood)
    async with running(app, ws_ping_interval=0.1, ws_ping_timeout=0.1) as (_, url):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.split(":")[2].split("/")[0]), limit=1_000)
        writer.write(
            b"GET /v1/realtime HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        async with asyncio.timeout(WITHIN_S):
            await reader.readuntil(b"\r\n\r\n")
            await app.ended.wait()
        writer.transport.abort()
    assert isinstance(app.error, ClientDisconnected)


async def test_a_message_that_is_too_long_ends_the_session() -> None:
    heard: list[Any] = []

    async def listen(app: App, receive: Any, send: Any) -> None:
        heard.append(await receive())
        await send({"type": "websocket.send", "text": "nobody hears this"})

    app = App(listen)
    async with running(app) as (_, url), connect(url) as client:
        with contextlib.suppress(ConnectionClosed):
            await client.send("x" * 20_000)
        async with asyncio.timeout(WITHIN_S):
            await app.ended.wait()
            await client.wait_closed()
    assert (heard[0]["type"], heard[0]["code"], client.close_code) == ("websocket.disconnect", 1009, 1009)
    assert isinstance(app.error, ClientDisconnected)


async def test_a_caller_who_does_not_answer_the_end_is_dropped() -> None:
    async def leave(app: App, receive: Any, send: Any) -> None:
        await send({"type": "websocket.close", "code": 1008, "reason": "budget_exceeded"})

    app = App(leave)
    async with running(app) as (_, url):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.split(":")[2].split("/")[0]))
        writer.write(
            b"GET /v1/realtime HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
            b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        async with asyncio.timeout(WITHIN_S):
            # the close frame comes, no answer goes, and the connection ends all the same
            with contextlib.suppress(ConnectionError):
                assert (await reader.read()).endswith(b"budget_exceeded")
        writer.close()
