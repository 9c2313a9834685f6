"""Wires one worker process together: the data plane first, then health and metrics, then Django for everything else."""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from typing import Any

import django
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application
from django.urls import re_path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway.settings")
django.setup(set_prefix=False)

from accounts.sealing import Sealer  # noqa: E402
from gateway.consumers import GatewayConsumer  # noqa: E402  (Django's apps come first)
from gateway.direct import Turn  # noqa: E402
from gateway.doors import BESIDE, is_astray, shown_back  # noqa: E402
from gateway.insight import Insight, answer  # noqa: E402
from gateway.plane.worker import Settings, Worker  # noqa: E402
from gateway.realtime import Realtime  # noqa: E402
from gateway.settings import settings  # noqa: E402
from gateway.visitors import Receive, Scope, Send  # noqa: E402

STEWARD_WITHIN_S = 3.0
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


def make_worker() -> Worker:
    """Return a worker with this installation's settings handed in."""
    return Worker(
        Settings(
            journal_dir=settings.data_dir / "journal",
            journal_strict=settings.journal_strict,
            snapshot_path=settings.data_dir / "snapshot" / "current",
            steward_socket=settings.data_dir / "run" / "steward.sock",
            steward_within_s=STEWARD_WITHIN_S,
            peppers=settings.peppers,
            body_limit_bytes=settings.body_limit_bytes,
            upload_limit_bytes=settings.upload_limit_bytes,
            upload_dir=settings.data_dir / "uploads",
            body_timeout_s=settings.body_timeout_s,
            private_upstreams=settings.private_upstreams,
            trusted_proxies=settings.trusted_proxies,
            # the same for every process of an installation, different between two, and it tells nothing
            instance=hashlib.sha256(b"instance" + settings.secret_key.encode()).hexdigest()[:12],
            public_url=settings.public_url,
        ),
        Sealer(settings.kek),
    )


async def nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a path that this role of the gateway does not serve."""
    await answer(send, 404, b"This process serves calls only; the portal runs elsewhere.\n")


class Application:
    """The ASGI application of a worker: hot paths by one comparison, the rest through Channels."""

    def __init__(self) -> None:
        self.worker = make_worker()
        self.insight = Insight(self.worker, settings.metrics_token)
        self._plane = GatewayConsumer(self.worker)
        self._realtime = Realtime(self.worker)
        self._serves_calls = settings.role != "portal"
        # our own server's short way for calls; it begins after lifespan's start-up
        self.meet: Callable[[Turn], None] | None = self._plane.meet if self._serves_calls else None
        self._has_started = False
        portal: Any = get_asgi_application() if settings.role in ("all", "portal") else nothing_here
        insight: Any = self.insight
        self._rest: Any = ProtocolTypeRouter({"http": URLRouter([re_path(r"^(healthz|readyz|metrics)$", insight), re_path(r"", portal)])})
        self._starting: asyncio.Task[None] | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one ASGI scope."""
        if self._has_started and self._serves_calls and scope["type"] == "http":
            path: bytes = scope.get("raw_path", b"")
            if path[:4] == b"/v1/" or path[:8] in BESIDE:
                return self._plane(scope, receive, send)
        return self._route(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.start()
            path: bytes = scope.get("raw_path") or scope["path"].encode()
            if (path[:4] == b"/v1/" or path[:8] in BESIDE or path in (b"/v1", b"/v1beta")) and self._serves_calls:
                return await self._plane(scope, receive, send)
            if self._serves_calls and scope["method"] == "POST" and is_astray(path):
                return await answer(send, 404, shown_back(path, dict(scope["headers"])), b"application/json")
            # safe methods change nothing (RFC 9110, 9.2.1)
            return await self._rest(scope, receive, send if scope["method"] in SAFE_METHODS else self._once_in_force(send))  # type: ignore[no-any-return]
        if scope["type"] == "lifespan":
            return await self._lifespan(receive, send)
        if scope["type"] == "websocket" and self._serves_calls:
            await self.start()
            await self._realtime(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        return None

    def _once_in_force(self, send: Send) -> Send:
        """Hold back the answer to a change until every worker of this host serves by it, so that who reads the answer can rely on it."""

        async def held_back(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                await self.worker.link.in_force()
            await send(message)

        return held_back

    async def start(self) -> None:
        """Start the worker once; servers without lifespan do it with their first request."""
        if self._starting is None:
            self._starting = asyncio.ensure_future(self.worker.start())
        await asyncio.shield(self._starting)
        self._has_started = True

    def drain(self) -> None:
        """Let sessions end once their responses have come; the server stops."""
        self._realtime.drain()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.worker.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


application = Application()
