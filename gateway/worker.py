"""A worker process: uvicorn on a listening socket it inherits. `python -m gateway.worker --fd N --index I`."""

import argparse
import asyncio
import socket

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADERS_WITHIN_S = 10.0
SWEEP_S = 1.0


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol that knows when it was opened, so that those who never send a request can be shown out."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note the moment and the socket."""
        super().connection_made(transport)
        self.opened_at = self.loop.time()


class Server(uvicorn.Server):
    """uvicorn's server with a deadline for request headers."""

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
            before = loop.time() - HEADERS_WITHIN_S
            for connection in list(self.server_state.connections):
                # cycle: uvicorn's request in progress; None until a first request's headers are complete
                if isinstance(connection, Protocol) and connection.cycle is None and connection.opened_at < before:
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
