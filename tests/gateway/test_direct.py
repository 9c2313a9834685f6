"""Answers written straight to uvicorn's connection: the same bytes and the same afterlife as uvicorn's own `send`."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.direct import Connection, Turn, take_connection
from gateway.wire.lines import UnsafeHeader, headers, lines
from gateway.worker import Protocol

HEADERS = [(b"x-request-id", b"call_1"), (b"content-type", b"application/json"), (b"content-length", b"2")]
STREAM = [(b"x-request-id", b"call_1"), (b"content-type", b"text/event-stream")]
DATE = (b"date", b"Mon, 23 Nov 2026 00:00:00 GMT")
POST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n"
CLOSING = b"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
OLD = b"POST /v1/chat/completions HTTP/1.0\r\nhost: h\r\ncontent-length: 0\r\n\r\n"

Answer = Callable[[Any, Any], Awaitable[None]]
Answerer = Callable[[Turn], Awaitable[None]]


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


class App:
    """Serves requests by ASGI, or by turns where `meet` is set."""

    def __init__(self, serve: Callable[[Any, Any, Any], Awaitable[None]]) -> None:
        self._serve = serve
        self.meet: Callable[[Turn], None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._serve(scope, receive, send)


async def serve(requests: bytes, *answers: Answer, pieces: Sequence[bytes] = (), turns: Answerer | None = None) -> tuple[bytes, bool, int]:
    """Return what a connection wrote, whether it was closed, and how many requests uvicorn counts as done.

    The requests come at once, then `pieces` one by one. With `turns`, those that come whole are served by it.
    """
    waiting, failures = list(answers), []

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        try:
            await waiting.pop(0)(scope, send)
        except Exception as error:
            failures.append(error)
            raise

    app = App(asgi)
    if turns is not None:

        async def work(turn: Turn) -> None:
            try:
                await turns(turn)
            finally:
                turn.leave()

        app.meet = lambda turn: turn.begin(asyncio.ensure_future(work(turn)))
    state = ServerState()
    state.default_headers = [DATE]
    protocol = Protocol(uvicorn.Config(app, log_config=None, access_log=False, proxy_headers=False), state, {})
    transport = Socket()
    protocol.connection_made(transport)
    protocol.data_received(requests)
    for piece in pieces:
        await asyncio.sleep(0)
        protocol.data_received(piece)
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
    connection.whole(200, lines(HEADERS), b"{}")


async def plain_stream(scope: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": STREAM})
    for data in (b"data: 1\n\n", b"", b"data: 2\n\n"):
        await send({"type": "http.response.body", "body": data, "more_body": True})
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


async def direct_stream(scope: Any, send: Any) -> None:
    connection = take_connection(scope)
    assert connection is not None
    connection.start(200, lines(STREAM))
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
    closing = [*HEADERS, (b"connection", b"close")]

    async def plain(scope: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": closing})
        await send({"type": "http.response.body", "body": b"{}"})

    async def direct(scope: Any, send: Any) -> None:
        connection = take_connection(scope)
        assert connection is not None
        connection.whole(401, lines(closing), b"{}")

    expected = await serve(POST, plain)
    assert expected[1] is True
    assert await serve(POST, direct) == expected


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: x", b"a\nb", b"a\rb", b"a\0b"])
def test_a_header_cannot_smuggle_a_line(value: bytes) -> None:
    with pytest.raises(UnsafeHeader):
        lines([(b"x-vendor", value)])
    with pytest.raises(UnsafeHeader):
        lines([(value, b"x-vendor")])


def test_lines_are_headers_again_for_other_servers() -> None:
    odd = [(b"x-a", b"1: 2"), (b"x-b", b""), (b"x-c", b" spaced ")]
    assert headers(lines(odd)) == odd


async def test_nothing_follows_the_end_of_an_answer() -> None:
    async def direct(scope: Any, send: Any) -> None:
        connection = take_connection(scope)
        assert connection is not None
        connection.whole(200, lines(HEADERS), b"{}")
        for again in (connection.write, connection.end):
            with pytest.raises(RuntimeError):
                again(b"late")
        with pytest.raises(RuntimeError):
            connection.whole(200, lines(HEADERS), b"{}")

    assert await serve(POST, direct) == await serve(POST, plain_whole)


@pytest.mark.parametrize("line", [b"HEAD /v1/models HTTP/1.1\r\nhost: h\r\n\r\n", b"GET /admin/ HTTP/1.1\r\nhost: h\r\n\r\n"])
async def test_other_requests_are_answered_through_plain_asgi(line: bytes) -> None:
    taken: list[Connection | None] = []

    async def app(scope: Any, send: Any) -> None:
        taken.append(take_connection(scope))
        await plain_whole(scope, send)

    await serve(line, app)
    assert taken == [None]


# ---- requests that come whole ---------------------------------------------------------------------------------------

BODY = b'{"model":"chat"}'
CALL = b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = b"POST /v1/embeddings HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n8\r\n%b\r\n8\r\n%b\r\n0\r\n\r\n" % (BODY[:8], BODY[8:])
EXPECTING = CALL.replace(b"Host: h", b"Host: h\r\nExpect: 100-continue")


async def whole_turn(turn: Turn) -> None:
    Connection(turn).whole(200, lines(HEADERS), b"{}")


async def stream_turn(turn: Turn) -> None:
    connection = Connection(turn)
    connection.start(200, lines(STREAM))
    for data in (b"data: 1\n\n", b"", b"data: 2\n\n"):
        connection.write(data)
        await asyncio.sleep(0)
    connection.end(b"data: [DONE]\n\n")


@pytest.mark.parametrize("request_bytes", [POST, CLOSING, OLD, CALL, CHUNKED])
@pytest.mark.parametrize(("plain", "turn"), [(plain_whole, whole_turn), (plain_stream, stream_turn)])
async def test_a_request_that_comes_whole_is_answered_as_by_asgi(request_bytes: bytes, plain: Answer, turn: Answerer) -> None:
    assert await serve(request_bytes, turns=turn) == await serve(request_bytes, plain)


async def test_a_turn_has_what_was_sent_and_can_be_answered_by_asgi_too() -> None:
    seen: list[Any] = []

    async def answer(turn: Turn) -> None:
        seen.append((turn.path, turn.headers, bytes(turn.body), turn.version, turn.client))
        await plain_whole(None, turn.send)
        seen.append(await turn.receive())

    assert await serve(CHUNKED, turns=answer) == await serve(CHUNKED, plain_whole)
    assert seen == [(b"/v1/embeddings", [(b"host", b"h"), (b"transfer-encoding", b"chunked")], BODY, "1.1", None), {"type": "http.disconnect"}]


@pytest.mark.parametrize(
    "pieces",
    [
        (CALL[:-1], CALL[-1:]),
        (CALL[: -len(BODY)], BODY),
        (CALL[:20], CALL[20:-3], CALL[-3:]),
        (EXPECTING,),
        (CHUNKED[:-5], CHUNKED[-5:]),
        (CALL.replace(b"POST", b"PUT"),),
    ],
    ids=["last byte late", "body late", "three pieces", "expects", "chunk late", "put"],
)
async def test_what_does_not_come_whole_goes_by_asgi(pieces: tuple[bytes, ...]) -> None:
    bodies: list[bytes] = []

    async def read(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        bodies.append(body)
        await plain_whole(scope, send)

    async def never(turn: Turn) -> None:
        raise AssertionError("it went the short way")

    app = App(read)
    app.meet = lambda turn: turn.begin(asyncio.ensure_future(never(turn)))
    state, transport = ServerState(), Socket()
    protocol = Protocol(uvicorn.Config(app, log_config=None, access_log=False, proxy_headers=False), state, {})
    protocol.connection_made(transport)
    for piece in pieces:
        protocol.data_received(piece)
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        while state.tasks:
            await asyncio.wait(set(state.tasks))
    assert (bodies, transport.written.endswith(b"\r\n\r\n{}"), transport.written.count(b"HTTP/1.1 100")) == ([BODY], True, int(pieces == (EXPECTING,)))


async def test_requests_that_follow_each_other_are_answered_in_their_order() -> None:
    expected = await serve(CALL + CALL + CALL, plain_whole, plain_whole, plain_whole)
    assert expected[0].count(b"200 OK") == 3
    assert await serve(CALL + CALL, plain_whole, plain_whole, pieces=[CALL], turns=whole_turn) == expected


async def test_a_turn_that_is_not_answered_ends_the_connection() -> None:
    async def silent(turn: Turn) -> None:
        """Answer nothing."""

    assert await serve(CALL, turns=silent) == (b"", True, 0)


async def test_who_leaves_is_noticed_while_a_turn_is_served() -> None:
    state, transport, heard = ServerState(), Socket(), list[Any]()

    async def wait(turn: Turn) -> None:
        heard.append(await turn.receive())
        turn.leave()

    app = App(plain_whole)  # type: ignore[arg-type]
    app.meet = lambda turn: turn.begin(asyncio.ensure_future(wait(turn)))
    protocol = Protocol(uvicorn.Config(app, log_config=None, access_log=False, proxy_headers=False), state, {})
    protocol.connection_made(transport)
    protocol.data_received(CALL)
    await asyncio.sleep(0)
    protocol.connection_lost(ConnectionResetError())
    async with asyncio.timeout(5):
        while state.tasks:
            await asyncio.wait(set(state.tasks))
    assert (heard, transport.written) == ([{"type": "http.disconnect"}], b"")


async def test_garbage_after_an_unfinished_call_serves_nothing() -> None:
    written, closed, served = await serve(CHUNKED.replace(b"\r\n8\r\n", b"\r\nzz\r\n", 1), turns=whole_turn)
    assert (written[:12], closed, served) == (b"HTTP/1.1 400", True, 0)
