"""A tiny provider for the control plane: lists models to one credential, or misbehaves as its path says."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CREDENTIAL = "canary-credential-Zq81"
ODD_BODIES = {
    "deep": b"[" * 500_000,
    "number": b"7",
    "empty": b"",
    "no-list": b'{"data": 7}',
    "no-ids": b'{"data": [{"name": "x"}]}',
    "odd-names": json.dumps({"data": [{"id": name} for name in ("good", "", None, 7, "nul\0", "line\nbreak", "x" * 201)]}).encode(),
    "many": json.dumps({"data": [{"id": f"model-{number:05}"} for number in range(10_000)]}).encode(),
}


class _Provider(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        if kind == "redirect":
            self._say(302, b"", location="http://127.0.0.1:1/")
        elif kind == "html":
            self._say(200, b"<html>hello</html>")
        elif kind == "huge":
            self._say(200, b" " * (3 * 1024 * 1024))
        elif kind == "bomb":
            self._say(200, gzip.compress(bytes(64 * 1024 * 1024)), **{"content-encoding": "gzip"})
        elif kind in ("silent", "drips", "drips-headers"):
            self._drip(kind)
        elif kind in ODD_BODIES:
            self._say(200, ODD_BODIES[kind])
        elif self.headers.get("authorization") != f"Bearer {CREDENTIAL}":
            self._say(401, b"{}")
        else:
            self._say(200, json.dumps({"data": [{"id": "sim-embed"}, {"id": "sim-chat"}]}).encode())

    def _drip(self, kind: str) -> None:
        """Send something, or nothing, twenty times a second until the caller leaves."""
        if kind == "drips":
            self._say(200, b"", **{"content-length": "1000000"})
        elif kind == "drips-headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        self.connection.settimeout(0.05)
        while True:
            try:
                if not self.connection.recv(1):
                    return
            except TimeoutError:
                pass
            except OSError:
                return
            try:
                self.wfile.write({"silent": b"", "drips": b" ", "drips-headers": b"x-more: y\r\n"}[kind])
            except OSError:
                return

    def _say(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def listing_provider() -> Iterator[str]:
    """Serve on a free loopback port; yield the origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Provider)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
