"""Health, readiness and metrics of a worker, as plain ASGI. Knows no Django and no database."""

import hmac
from ipaddress import ip_address
from typing import Any

from gateway.plane.worker import Worker

TEXT = b"text/plain; charset=utf-8"
EXPOSITION = b"text/plain; version=1.0.0; charset=utf-8; escaping=values"


class Insight:
    """Answers /healthz, /readyz and /metrics; the last to loopback or with the token as Bearer."""

    def __init__(self, worker: Worker, token: str) -> None:
        self._worker, self._token = worker, token

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Serve one request."""
        path = scope["path"]
        if scope["method"] not in ("GET", "HEAD"):
            return await answer(send, 405, b"Use GET.\n")
        if path == "/healthz":
            return await answer(send, 200, b"ok\n")
        if path == "/readyz":
            return await self._ready(send)
        if not self._may_scrape(scope):
            return await answer(send, 403, b"Metrics are for loopback, or with the metrics token as Bearer.\n")
        page = await self._worker.link.scrape()
        if page is None:
            return await answer(send, 503, b"The steward does not answer; it is being restarted.\n")
        return await answer(send, 200, page, EXPOSITION)

    async def _ready(self, send: Any) -> None:
        worker = self._worker
        if worker.snapshot is None:
            return await answer(send, 503, b"no configuration is loaded yet\n")
        if not worker.journal.writable:
            return await answer(send, 503, b"the journal cannot be written\n")
        return await answer(send, 200, b"ready\n")

    def _may_scrape(self, scope: dict[str, Any]) -> bool:
        headers = dict(scope["headers"])
        if self._token and hmac.compare_digest(headers.get(b"authorization", b""), b"Bearer " + self._token.encode()):
            return True
        client = scope.get("client")
        # a reverse proxy on this host must not make the whole world loopback
        return client is not None and ip_address(client[0]).is_loopback and b"x-forwarded-for" not in headers and b"forwarded" not in headers


async def answer(send: Any, status: int, body: bytes, kind: bytes = TEXT) -> None:
    """Send a small text answer."""
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
