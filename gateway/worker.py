"""A worker process: uvicorn on a listening socket it inherits. `python -m gateway.worker --fd N --index I`."""

import argparse
import asyncio
import gc
import logging
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateway.direct import EXTENSION, Connection, Turn
from gateway.doors import BESIDE

HEADERS_WITHIN_S = 10.0
SWEEP_S = 1.0
# how long a caller may take to answer that a session ends
CLOSE_S = 2.0
# the longest message of a session, a little more than OpenAI takes
MESSAGE_BYTES = 16 * 1024 * 1024
GC_THRESHOLDS = (20_000, 20, 20)
# the paths of nearly every call: their URL needs no parsing
HOT = {b"/v1/chat/completions": "/v1/chat/completions", b"/v1/embeddings": "/v1/embeddings"}

# uvicorn tells every upgrade, which the log of calls does too
quiet = logging.getLogger("gateway.websockets")
quiet.setLevel(logging.WARNING)


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol with a short way for calls that come whole, and shown out by a sweep instead of by a timer per answer.

    A POST to a hot path whose last byte is there when its first is read goes to the application's `meet` as a Turn. Everything else goes
    uvicorn's way: other paths and methods, bodies still on their way, pipelined requests, upgrades, `expect`.
    `waits_since` is since when a request's headers are waited for (0: not seen waiting), `idle_since` since when the connection
    rests between requests (0: it does not).
    """

    waits_since = idle_since = 0.0
    # what has come of a body that may come whole; None while no such request is being read
    _coming: list[bytes] | None = None
    _version = "1.1"
    _keeps_alive = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._meet: Callable[[Turn], None] | None = getattr(self.app, "meet", None)

    def data_received(self, data: bytes) -> None:
        """Rest no longer, whatever came; what has not come whole goes the long way."""
        self.idle_since = 0.0
        super().data_received(data)
        if self._coming is not None:
            self._go_the_long_way(self._coming)

    def on_message_begin(self) -> None:
        """Start to wait anew; a scope is made once it is needed."""
        self.waits_since = 0.0
        self.url, self.headers, self.expect_100_continue = b"", [], False

    @property
    def waits_for_headers(self) -> bool:
        """Whether no request is in progress and the connection does not rest: its next request has begun, or none came yet."""
        return not self.idle_since and (self.cycle is None or self.cycle.response_complete)  # type: ignore[redundant-expr]  # uvicorn says it is never None

    def on_headers_complete(self) -> None:
        """Take a call that may come whole; send everything else uvicorn's way."""
        cycle: RequestResponseCycle | None = self.cycle
        parser = self.parser
        if self.url not in HOT or parser.get_method() != b"POST" or (cycle is not None and not cycle.response_complete) or parser.should_upgrade():
            self._open_scope()
            super().on_headers_complete()
            self._offer_connection()
            return
        self._version = parser.get_http_version()
        self._keeps_alive = self._version != "1.0" and parser.should_keep_alive()
        self._coming = []
        if self._meet is None or self.expect_100_continue:
            self._go_the_long_way(self._coming)

    def on_body(self, body: bytes) -> None:
        """Keep a part of a body."""
        if self._coming is None:
            super().on_body(body)
        else:
            self._coming.append(body)

    def on_message_complete(self) -> None:
        """Serve a call that has come whole."""
        parts, self._coming = self._coming, None
        if parts is None or self._meet is None:
            super().on_message_complete()
            return
        self.cycle = turn = Turn(self, parts[0] if len(parts) == 1 else b"".join(parts), self._version, self._keeps_alive)
        self._meet(turn)

    def _go_the_long_way(self, parts: list[bytes]) -> None:
        """Serve a call that has not come whole by ASGI."""
        self._coming = None
        if self.transport.is_closing():
            return  # the parser did not like what followed
        self._open_scope()
        scope = self.scope
        path = HOT[self.url]
        scope["method"], scope["http_version"], scope["path"], scope["raw_path"], scope["query_string"] = "POST", self._version, path, self.url, b""
        self.cycle = RequestResponseCycle(
            scope,
            self.transport,
            self.flow,
            self.logger,
            self.access_logger,
            False,
            self.server_state.default_headers,
            asyncio.Event(),
            self.expect_100_continue,
            self._keeps_alive,
            self.on_response_complete,
        )
        self._offer_connection()
        self._start_asgi_task(self.cycle, self.app)
        for part in parts:
            super().on_body(part)

    def _open_scope(self) -> None:
        """Make the scope of the request being read, which uvicorn does before it knows anything of it."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)

    def _offer_connection(self) -> None:
        """Offer the connection itself to the data plane; a HEAD request is answered through plain ASGI."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle.scope is self.scope and (self.url[:4] == b"/v1/" or self.url[:8] in BESIDE) and self.scope["method"] != "HEAD":
            self.scope["extensions"] = {EXTENSION: Connection(cycle)}  # type: ignore[dict-item]

    def on_response_complete(self) -> None:
        """Rest until the next request; the sweep closes what rests too long, which saves a timer per answer."""
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self.idle_since = self.loop.time()


class LiveProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol that leaves it to the session when it ends."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.logger = self.conn.logger = quiet

    async def send(self, message: Any) -> None:
        """Send what the session says; nobody hears it once the server itself has closed. Raises ClientDisconnected then."""
        if self.close_sent:
            raise ClientDisconnected
        await super().send(message)
        if self.close_timer is not None:
            # a caller who reads nothing never empties what waits for them, and closing would wait for that
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(CLOSE_S, self.transport.abort)

    def keepalive_timeout(self) -> None:
        """Drop a caller who answers no ping."""
        super().keepalive_timeout()
        self.transport.abort()

    def shutdown(self) -> None:
        """Stop at once what is no session yet; a session is told by its application, which closes it."""
        if not self.handshake_complete or self.close_sent:
            super().shutdown()


class Server(uvicorn.Server):
    """uvicorn's server with a deadline for request headers."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let sessions end, and stop."""
        self.config.app.drain()  # type: ignore[union-attr]  # our own application
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then take everything that stays out of the garbage collector's sight."""
        await super().startup(sockets)
        # A call leaves no cycles behind: nothing is gained by walking over all of Django's objects again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)

    async def main_loop(self) -> None:
        """Run until told to stop, sweeping once a second."""
        sweeper = asyncio.create_task(self._sweep())
        try:
            await super().main_loop()
        finally:
            sweeper.cancel()

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            now = loop.time()
            for connection in list(self.server_state.connections):
                if not isinstance(connection, Protocol):
                    continue
                if connection.idle_since and now - connection.idle_since > self.config.timeout_keep_alive:
                    connection.transport.close()
                elif connection.waits_for_headers:
                    connection.waits_since = connection.waits_since or now
                    if now - connection.waits_since > HEADERS_WITHIN_S:
                        connection.transport.close()


def main() -> None:
    """Serve until SIGTERM, then drain."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fd", type=int, required=True, help="listening socket to serve")
    parser.add_argument("--index", type=int, default=0, help="number of this worker")
    arguments = parser.parse_args()
    from gateway.asgi import application  # Django starts here: after the arguments are known to be good
    from gateway.settings import settings

    listener = socket.socket(fileno=arguments.fd)
    config = uvicorn.Config(
        application,
        http=Protocol,
        ws=LiveProtocol,
        ws_max_size=MESSAGE_BYTES,
        ws_per_message_deflate=False,
        loop="none",
        lifespan="on",
        interface="asgi3",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=settings.drain_s,
        h11_max_incomplete_event_size=64 * 1024,
    )
    server = Server(config)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(server.serve(sockets=[listener]))


if __name__ == "__main__":
    main()
