"""A vendor that answers by script over a raw socket, so that every fault a vendor can commit can be played back exactly."""

import asyncio
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Self

JSON = (
    b'{"id":"chatcmpl-1","object":"chat.completion","model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"hello"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}'
)
CHUNK = b'data: {"id":"c1","object":"chat.completion.chunk","model":"m",'
EVENTS = (
    CHUNK + b'"choices":[{"index":0,"delta":{"role":"assistant","content":"hel"},"finish_reason":null}]}\n\n',
    CHUNK + b'"choices":[{"index":0,"delta":{"content":"l\xc3\xb6"},"finish_reason":null}]}\n\n',
    CHUNK + b'"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    CHUNK + b'"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}\n\n',
    b"data: [DONE]\n\n",
)
SSE = b"".join(EVENTS)


@dataclass
class Request:
    """A request as it came: header names lower-case; `connection` numbers the connections from 0."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    connection: int


class Turn:
    """One request and the means to answer it. `number` counts all requests from 0."""

    def __init__(self, request: Request, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.request = request
        self.number = number
        self._reader = reader
        self._writer = writer
        self.is_closed = False

    async def send(self, data: bytes) -> None:
        """Write bytes as they are; raises ConnectionError once the client is gone."""
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self, body: bytes, *, status: str = "200 OK", headers: bytes = b"content-type: application/json\r\n") -> None:
        """Write a whole answer with a content-length."""
        await self.send(b"HTTP/1.1 %s\r\n%scontent-length: %d\r\n\r\n%s" % (status.encode(), headers, len(body), body))

    async def chunk(self, data: bytes) -> None:
        """Write one chunk of a chunked body; b"" is the last."""
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def start_stream(self, headers: bytes = b"content-type: text/event-stream\r\n") -> None:
        """Write the head of a chunked answer."""
        await self.send(b"HTTP/1.1 200 OK\r\n" + headers + b"transfer-encoding: chunked\r\n\r\n")

    async def hang(self) -> None:
        """Wait until the client closes the connection or the fake stops."""
        while await self._reader.read(65_536):
            pass
        self.close()

    def close(self) -> None:
        """Close the connection in good order."""
        self.is_closed = True
        self._writer.close()

    def reset(self) -> None:
        """Close the connection with RST."""
        self.is_closed = True
        self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Script = Callable[[Turn], Awaitable[None]]


def whole(body: bytes, status: str = "200 OK", headers: bytes = b"content-type: application/json\r\n") -> Script:
    """Return a script that gives one whole answer to every request."""

    async def script(turn: Turn) -> None:
        await turn.answer(body, status=status, headers=headers)

    return script


def raw(*pieces: bytes, then: str = "keep") -> Script:
    """Return a script that writes pieces as they are, then keeps, closes, resets or hangs."""

    async def script(turn: Turn) -> None:
        for piece in pieces:
            await turn.send(piece)
        if then == "hang":
            await turn.hang()
        elif then == "close":
            turn.close()
        elif then == "reset":
            turn.reset()

    return script


def stream(*events: bytes, then: str = "end") -> Script:
    """Return a script that streams events as chunks, then ends, resets, closes or hangs."""

    async def script(turn: Turn) -> None:
        await turn.start_stream()
        for event in events:
            await turn.chunk(event)
        if then == "end":
            await turn.chunk(b"")
        else:
            await raw(then=then)(turn)

    return script


def gzip(data: bytes) -> bytes:
    """Return data as one gzip member."""
    engine = zlib.compressobj(9, zlib.DEFLATED, 31)
    return engine.compress(data) + engine.flush()


async def endless(turn: Turn) -> None:
    """Stream until the client has had enough."""
    await turn.start_stream()
    while True:
        await turn.chunk(EVENTS[0] * 100)


async def endless_headers(turn: Turn) -> None:
    """Send headers until the client has had enough."""
    await turn.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await turn.send(b"x-more: " + b"y" * 1000 + b"\r\n")


@cache
def bomb() -> bytes:
    """Return 256 MB of zeros as 256 kB, made once: it takes longer than a test's deadline."""
    engine = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(engine.compress(bytes(1 << 20)) for _ in range(256)) + engine.flush()


async def gzip_bomb(turn: Turn) -> None:
    """Answer with 256 MB of zeros in 256 kB."""
    await turn.answer(bomb(), headers=b"content-type: application/json\r\ncontent-encoding: gzip\r\n")


async def split_utf8(turn: Turn) -> None:
    """Stream every byte as a chunk of its own."""
    await stream(*(SSE[at : at + 1] for at in range(len(SSE))))(turn)


OK_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
ERROR = b'{"error":{"message":"vendor says no","type":"some_error","code":"some_code"}}'
FAULTS: dict[str, Script] = {
    "ok": whole(JSON),
    "sse": stream(*EVENTS),
    "reset_before": raw(then="reset"),
    "close_before": raw(then="close"),
    "reset_mid": stream(EVENTS[0], then="reset"),
    "close_mid": stream(EVENTS[0], then="close"),
    "stall_first_byte": raw(then="hang"),
    "stall_mid": stream(EVENTS[0], then="hang"),
    "endless": endless,
    "endless_headers": endless_headers,
    "huge_headers": raw(OK_HEAD + b"x-big: " + b"y" * 100_000 + b"\r\ncontent-length: 2\r\n\r\n{}"),
    "bad_chunk": raw(OK_HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\nworse\r\n"),
    "garbage_status": raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "gzip": whole(gzip(JSON), headers=b"content-type: application/json\r\ncontent-encoding: gzip\r\n"),
    "gzip_bomb": gzip_bomb,
    "redirect": whole(b"", "302 Found", b"location: http://169.254.169.254/latest/\r\n"),
    "html": whole(b"<html>login</html>", headers=b"content-type: text/html\r\n"),
    "short_body": raw(OK_HEAD + b"content-length: 100\r\n\r\nonly this", then="close"),
    "long_body": raw(OK_HEAD + b"content-length: 2\r\n\r\n{}surplus"),
    "junk_after": raw(OK_HEAD + b"content-length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nx-evil: 1\r\ncontent-length: 4\r\n\r\nevil"),
    "continue": raw(b"HTTP/1.1 100 Continue\r\nx-interim: 1\r\n\r\n" + OK_HEAD + b"content-length: 2\r\n\r\n{}"),
    "upgrade": raw(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"),
    "close_delimited": raw(OK_HEAD + b"\r\nuntil the end", then="close"),
    "no_content": raw(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "not_modified": raw(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n"),
    "unauthorized": whole(ERROR, "401 Unauthorized"),
    "rate_limited": whole(ERROR, "429 Too Many Requests", b"content-type: application/json\r\nretry-after: 2\r\n"),
    "server_error": whole(ERROR, "500 Internal Server Error"),
    "unavailable": whole(ERROR, "503 Service Unavailable"),
    "overloaded": whole(ERROR, "529 Site Overloaded"),
    "garbage_sse": stream(EVENTS[0], b"data: {not json\n\n", EVENTS[4]),
    "error_event": stream(EVENTS[0], b'data: {"error":{"message":"overloaded","type":"server_error"}}\n\n'),
    "no_done": stream(*EVENTS[:4]),
    "no_usage": stream(*EVENTS[:3], EVENTS[4]),
    "usage_twice": stream(*EVENTS[:4], *EVENTS[3:]),
    "split_utf8": split_utf8,
    "huge_line": stream(b"data: " + b"x" * 2_000_000),
}


@dataclass
class Upstream:
    """The server, as `async with` in the running loop or as `with` in a thread of its own. `script` is a name of FAULTS or a function.

    `requests` are all requests so far, `connections` how many connections were made, `closed_at` the monotonic seconds at which they ended.
    """

    script: str | Script = "ok"
    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    requests: list[Request] = field(default_factory=list)
    closed_at: list[float] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        """The base URL without a path."""
        return f"{'https' if self.tls else 'http'}://{'localhost' if self.tls else self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        self._changed = threading.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._accept, self.host, self.port, ssl=self.tls, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.__aenter__(), self._loop).result(timeout=10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self.__aexit__(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    def wait_closed(self, count: int, within_s: float = 5.0) -> None:
        """Wait in a thread until `count` connections have ended; raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.closed_at) >= count, within_s):
                raise TimeoutError(f"{len(self.closed_at)} of {count} connections ended within {within_s:g} s")

    async def closed(self, count: int, within_s: float = 5.0) -> None:
        """Wait until `count` connections have ended; raises TimeoutError."""
        await asyncio.to_thread(self.wait_closed, count, within_s)

    def wait_requests(self, count: int, within_s: float = 5.0) -> None:
        """Wait in a thread until `count` requests have come in whole; raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.requests) >= count, within_s):
                raise TimeoutError(f"{len(self.requests)} of {count} requests came within {within_s:g} s")

    async def asked(self, count: int, within_s: float = 5.0) -> None:
        """Wait until `count` requests have come in whole; raises TimeoutError."""
        await asyncio.to_thread(self.wait_requests, count, within_s)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        connection = self.connections
        self.connections += 1
        try:
            while (request := await _read(reader, connection)) is not None:
                with self._changed:
                    number = len(self.requests)
                    self.requests.append(request)
                    self._changed.notify_all()
                turn = Turn(request, number, reader, writer)
                await (FAULTS[self.script] if isinstance(self.script, str) else self.script)(turn)
                if turn.is_closed:
                    break
        except (ConnectionError, asyncio.CancelledError, ssl.SSLError):
            pass  # the client left, or the test is over
        finally:
            writer.transport.abort()
            self._tasks.discard(task)
            with self._changed:
                self.closed_at.append(time.monotonic())
                self._changed.notify_all()


async def _read(reader: asyncio.StreamReader, connection: int) -> Request | None:
    """Return the next request, None once the client has closed."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    line, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = line.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)}
    try:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    except asyncio.IncompleteReadError:
        return None
    return Request(method, path, headers, body, connection)
