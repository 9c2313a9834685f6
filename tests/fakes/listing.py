"""A tiny provider for the control plane: lists models to one credential, or misbehaves as its path says."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CREDENTIAL = "canary-credential-Zq81"


class _Provider(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        if kind == "redirect":
            self._say(302, b"", location="http://127.0.0.1:1/")
        elif kind == "html":
            self._say(200, b"<html>hello</html>")
        elif kind == "huge":
            self._say(200, b" " * (3 * 1024 * 1024))
        elif self.headers.get("authorization") != f"Bearer {CREDENTIAL}":
            self._say(401, b"{}")
        else:
            self._say(200, json.dumps({"data": [{"id": "sim-embed"}, {"id": "sim-chat"}]}).encode())

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
