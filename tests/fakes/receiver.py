"""A real HTTP receiver of notices: keeps what it was sent and answers as it is told; a hanging one waits until it is released."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """`answers` are the statuses of the next requests, the last one for ever; 0 hangs until `release`. `got` are headers and body so far."""

    answers: list[int] = field(default_factory=lambda: [200])
    headers: dict[str, str] = field(default_factory=dict)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def bodies(self) -> list[Any]:
        """Return the JSON of every request."""
        return [json.loads(body) for _, body in self.got]

    def ids(self) -> list[str]:
        """Return the `webhook-id` of every request."""
        return [headers["webhook-id"] for headers, _ in self.got]

    def wait(self, count: int, within_s: float = 60.0) -> None:
        """Wait until `count` requests have come; raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.got) >= count, within_s):
                raise TimeoutError(f"{len(self.got)} of {count} requests came within {within_s:g} s")

    def take(self, headers: dict[str, str], body: bytes) -> int:
        """Note a request and return the status of its answer."""
        with self._changed:
            self.got.append((headers, body))
            status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            self._changed.notify_all()
        if status == 0:
            self.released.wait(60)
            return 503
        return status


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Serve on a free loopback port."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            status = receiver.take({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(status)
            for name, value in {"content-length": "0", **receiver.headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield receiver
    finally:
        receiver.released.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
