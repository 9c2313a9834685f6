"""Runs the simulator: `python -m gateway.simulator --port 8090`. Prints one line when it listens."""

import argparse
import socket
import sys

import uvicorn

from gateway.simulator.app import Simulator
from gateway.simulator.connection import OpenProtocol


class Announcing(uvicorn.Server):
    """A server that prints its address once, for scripts that start it on port 0."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then print the address."""
        await super().startup(sockets=sockets)
        if self.started:
            host, port = (sockets or self.servers[0].sockets)[0].getsockname()[:2]
            print(f"simulator listening on http://{host}:{port}", flush=True)


def main() -> int:
    """Serve until a signal comes; return 0, or 1 when the port could not be taken."""
    told = "A simulated upstream that speaks the wires of OpenAI, Anthropic, Google, AWS, Cohere and Ollama."
    parser = argparse.ArgumentParser(prog="python -m gateway.simulator", description=told)
    parser.add_argument("--host", default="127.0.0.1")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", type=int, help="0 takes a free port and prints it")
    where.add_argument("--fd", type=int, help="a listening socket inherited from the parent")
    parser.add_argument("--pace-ms", type=int, default=0, help="pause between streamed tokens unless a directive says otherwise")
    parser.add_argument("--any-model", action="store_true", help="accept every model name, not only the simulated ones")
    given = parser.parse_args()
    config = uvicorn.Config(
        Simulator(pace_ms=given.pace_ms, any_model=given.any_model),
        host=given.host,
        port=given.port or 0,
        loop="uvloop",
        http=OpenProtocol,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=2048,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )
    server = Announcing(config)
    server.run(None if given.fd is None else [socket.socket(fileno=given.fd)])
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
