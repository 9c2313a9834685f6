"""Answers written straight to uvicorn's connection: the same bytes and the same afterlife as uvicorn's own `send`."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.direct import Connection, UnsafeHeader, head_of, take_connection
from gateway.worker import Protocol

HEADERS = [(b"x-request-id", b"call_1"), (b"content-type", b"application/json"), (b"content-length", b"2")]
STREAM = [(b"x-request-id", b"call_1"), (b"content-type", b"text/event-stream")]
DATE = (b"date", b"Mon, 23 Nov 2026 00:00:00 GMT")
POST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n"
CLOSING = b"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
OLD = b"POST /v1/chat/completions HTTP/1.0\r\nhost: h\r\ncontent-length: 0\r\n\r\n"

Answer = Callable[[Any, Any], Awaitable[None]]


class Socket(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        """Keep bytes."""
        self.written += bytes(data)

    def close(self) -> None:
        """Note the end."""
        self.closed = True

    def is_closing(self) -> bool:
        """Say whether the end was noted."""
        return self.closed

    def pause_reading(self) -> None:
        """Reading is up to the test."""

    def resume_reading(self) -> None:
        """Reading is up to the test."""


async def serve(requests: bytes, *answers: Answer) -> tuple[bytes, bool, int]:
    """Return what a connection wrote, whether it was closed, and how many requests uvicorn counts as done."""
    waiting, failures = list(answers), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await waiting.pop(0)(scope, send)
        except Exception as error:
            failures.append(error)
            raise

    state = ServerState()
    state.default_headers = [DATE]
    protocol = Protocol(uvicorn.Config(app, log_config=None, access_log=False), state, {})
    transport = Socket()
    protocol.connection_made(transport)
    protocol.data_received(requests)
    async with asyncio.timeout(5):
        while state.tasks:
            await asyncio.wait(set(state.tasks))
    protocol.connection_lost(ConnectionResetError())
    if failures:
        raise failures[0]
    return transport.written, transport.closed, state.total_requests


async def plain_whole(scope: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"{}"})


async def direct_whole(scope: Any, send: Any) -> None:
    connection = take_connection(scope)
    assert connection is not None
    connection.whole(200, HEADERS, b"{}")


async def plain_stream(scope: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": STREAM})
    for data in (b"data: 1\n\n", b"", b"data: 2\n\n"):
        await send({"type": "http.response.body", "body": data, "more_body": True})
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


async def direct_stream(scope: Any, send: Any) -> None:
    connection = take_connection(scope)
    assert connection is not None
    connection.start(200, STREAM)
    for data in (b"data: 1\n\n", b"", b"data: 2\n\n"):
        connection.write(data)
    connection.end(b"data: [DONE]\n\n")


@pytest.mark.parametrize("request_bytes", [POST, CLOSING, OLD, POST + POST])
@pytest.mark.parametrize(("plain", "direct"), [(plain_whole, direct_whole), (plain_stream, direct_stream)])
async def test_an_answer_is_byte_for_byte_what_uvicorn_sends(request_bytes: bytes, plain: Answer, direct: Answer) -> None:
    expected = await serve(request_bytes, plain, plain)
    assert expected[0].startswith(b"HTTP/1.1 200 OK\r\ndate: ")
    assert await serve(request_bytes, direct, direct) == expected


async def test_a_header_that_ends_the_connection_is_obeyed() -> None:
    headers = [*HEADERS, (b"connection", b"close")]

    async def plain(scope: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    async def direct(scope: Any, send: Any) -> None:
        connection = take_connection(scope)
        assert connection is not None
        connection.whole(401, headers, b"{}")

    expected = await serve(POST, plain)
    assert expected[1] is True
    assert await serve(POST, direct) == expected


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: x", b"a\nb", b"a\rb", b"a\0b"])
def test_a_header_cannot_smuggle_a_line(value: bytes) -> None:
    with pytest.raises(UnsafeHeader):
        head_of(200, [(b"x-vendor", value)])
    with pytest.raises(UnsafeHeader):
        head_of(200, [(value, b"x-vendor")])


async def test_nothing_follows_the_end_of_an_answer() -> None:
    async def direct(scope: Any, send: Any) -> None:
        connection = take_connection(scope)
        assert connection is not None
        connection.whole(200, HEADERS, b"{}")
        for again in (connection.write, connection.end):
            with pytest.raises(RuntimeError):
                again(b"late")
        with pytest.raises(RuntimeError):
            connection.whole(200, HEADERS, b"{}")

    assert await serve(POST, direct) == await serve(POST, plain_whole)


@pytest.mark.parametrize("line", [b"HEAD /v1/models HTTP/1.1\r\nhost: h\r\n\r\n", b"GET /admin/ HTTP/1.1\r\nhost: h\r\n\r\n"])
async def test_other_requests_are_answered_through_plain_asgi(line: bytes) -> None:
    taken: list[Connection | None] = []

    async def app(scope: Any, send: Any) -> None:
        taken.append(take_connection(scope))
        await plain_whole(scope, send)

    await serve(line, app)
    assert taken == [None]
