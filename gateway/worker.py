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


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol that knows since when a request's headers are waited for (0: not seen waiting), so that the slow are shown out."""

    waits_since = 0.0

    def on_message_begin(self) -> None:
        """Start to wait anew."""
        self.waits_since = 0.0
        super().on_message_begin()

    @property
    def waits_for_headers(self) -> bool:
        """Whether no request is in progress and no keep-alive timer will end the connection: its next request has begun, or none came yet."""
        return self.timeout_keep_alive_task is None and (self.cycle is None or self.cycle.response_complete)  # type: ignore[redundant-expr]  # uvicorn says it is never None

    def on_headers_complete(self) -> None:
        """Offer the connection itself to the data plane; a HEAD request is answered through plain ASGI."""
        super().on_headers_complete()
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle.scope is self.scope and self.url.startswith(b"/v1/") and self.scope["method"] != "HEAD":
            self.scope["extensions"] = {EXTENSION: Connection(cycle)}  # type: ignore[dict-item]


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
                if not isinstance(connection, Protocol) or not connection.waits_for_headers:
                    continue
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
