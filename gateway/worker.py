"""A worker process: uvicorn on a listening socket it inherits. `python -m gateway.worker --fd N --index I`."""

import argparse
import asyncio
import gc
import socket

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.direct import EXTENSION, Connection

HEADERS_WITHIN_S = 10.0
SWEEP_S = 1.0
GC_THRESHOLDS = (20_000, 20, 20)
# the paths of nearly every call: their URL needs no parsing
HOT = {b"/v1/chat/completions": "/v1/chat/completions", b"/v1/embeddings": "/v1/embeddings"}


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol with less to do per call, and shown out by a sweep instead of by a timer per answer.

    `waits_since` is since when a request's headers are waited for (0: not seen waiting), `idle_since` since when the connection
    rests between requests (0: it does not).
    """

    waits_since = idle_since = 0.0

    def data_received(self, data: bytes) -> None:
        """Rest no longer, whatever came."""
        self.idle_since = 0.0
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Start to wait anew."""
        self.waits_since = 0.0
        super().on_message_begin()

    @property
    def waits_for_headers(self) -> bool:
        """Whether no request is in progress and the connection does not rest: its next request has begun, or none came yet."""
        return not self.idle_since and (self.cycle is None or self.cycle.response_complete)  # type: ignore[redundant-expr]  # uvicorn says it is never None

    def on_headers_complete(self) -> None:
        """Offer the connection itself to the data plane; a HEAD request is answered through plain ASGI."""
        path = HOT.get(self.url)
        cycle: RequestResponseCycle | None = self.cycle
        parser = self.parser
        if path is None or parser.get_method() != b"POST" or (cycle is not None and not cycle.response_complete) or parser.should_upgrade():
            self._on_any_headers_complete()
            return
        scope, version = self.scope, parser.get_http_version()
        scope["method"], scope["http_version"], scope["path"], scope["raw_path"], scope["query_string"] = "POST", version, path, self.url, b""
        self.cycle = cycle = RequestResponseCycle(
            scope,
            self.transport,
            self.flow,
            self.logger,
            self.access_logger,
            False,
            self.server_state.default_headers,
            asyncio.Event(),
            self.expect_100_continue,
            version != "1.0" and parser.should_keep_alive(),
            self.on_response_complete,
        )
        scope["extensions"] = {EXTENSION: Connection(cycle)}  # type: ignore[dict-item]
        self._start_asgi_task(cycle, self.app)

    def _on_any_headers_complete(self) -> None:
        super().on_headers_complete()
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle.scope is self.scope and self.url.startswith(b"/v1/") and self.scope["method"] != "HEAD":
            self.scope["extensions"] = {EXTENSION: Connection(cycle)}  # type: ignore[dict-item]

    def on_response_complete(self) -> None:
        """Rest until the next request; the sweep closes what rests too long, which saves a timer per answer."""
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self.idle_since = self.loop.time()


class Server(uvicorn.Server):
    """uvicorn's server with a deadline for request headers."""

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
