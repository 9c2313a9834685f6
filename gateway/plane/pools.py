"""The upstream side of each provider account: its client, its prepared request heads, its calls in flight. One pool per account revision."""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from typing import Protocol
from urllib.parse import urlsplit

from gateway.errors import BadRequest
from gateway.plane.route import Route, find
from gateway.plane.tokens import Client as TokenClient
from gateway.plane.tokens import TokenSource
from gateway.providers import Provider
from gateway.terms import Account, Body, Deadlines, Deployment
from gateway.wire.lines import lines


class Exchange(Protocol):
    """One request in progress at a vendor."""

    status: int
    headers: list[tuple[bytes, bytes]]

    async def read(self, limit_bytes: int) -> bytes:
        """Return the whole body, decoded; raises UpstreamFault."""
        ...

    async def chunks(self) -> bytes:
        """Return all that has arrived, b"" at the end; raises UpstreamFault."""
        ...

    def heard(self) -> tuple[bytes, int]:
        """Return what came of a body that `read` did not finish, as far as it is readable, and how many bytes came; asked before `close`."""
        ...

    def close(self) -> None:
        """End the exchange at once; idempotent."""
        ...


class Client(Protocol):
    """A transport to one origin."""

    async def open(self, head: bytes, body: Body, deadlines: Deadlines | None = None) -> Exchange:
        """Send a request and return when status and headers are in; raises UpstreamFault."""
        ...

    async def aclose(self) -> None:
        """Close idle connections now and the others when their exchange ends."""
        ...


class Pool:
    """One account in use."""

    __slots__ = ("_busy", "_heads", "_routes", "_sign", "_told", "_via", "account", "client", "in_flight", "provider", "sockets", "tokens")

    def __init__(self, account: Account, provider: Provider, client: Client, via: bytes, sockets: Client | None = None) -> None:
        """`sockets` opens WebSockets where `client` makes requests."""
        self.account, self.provider, self.client, self.sockets = account, provider, client, sockets
        self.in_flight = 0
        self._busy: dict[str, int] = {}
        self._via = via
        self._heads: dict[tuple[str, str, bool], bytes] = {}
        self._routes: dict[str, Route | None] = {}
        self._told: dict[tuple[str, str], bytes] = {}
        self._sign = provider.signer(account.credential, account.options) if provider.signer is not None else None
        # where the credential is exchanged for an access token; heads hold it, and are made anew with every new one
        self.tokens: TokenSource | None = None

    def exchange(self, make_client: Callable[[str], TokenClient], wall: Callable[[], float]) -> None:
        """Begin to exchange the credential for access tokens, at an endpoint whose client is made from its URL."""
        self.tokens = TokenSource(self.account, self.provider, make_client, wall, self._heads.clear)
        self.tokens.begin()

    def is_full(self, deployment: Deployment) -> bool:
        """Return whether the account or the deployment has as many calls in flight as it may."""
        if self.account.max_parallel and self.in_flight >= self.account.max_parallel:
            return True
        return bool(deployment.max_parallel) and self._busy.get(deployment.id, 0) >= deployment.max_parallel

    def enter(self, deployment: Deployment) -> None:
        """Count a call in."""
        self.in_flight += 1
        if deployment.max_parallel:
            self._busy[deployment.id] = self._busy.get(deployment.id, 0) + 1

    def leave(self, deployment: Deployment) -> None:
        """Count a call out."""
        self.in_flight -= 1
        if deployment.max_parallel:
            self._busy[deployment.id] -= 1

    def route(self, endpoint: str) -> Route:
        """Return the way for calls of an endpoint. Raises BadRequest where this provider has none."""
        found = self._routes.get(endpoint)
        if found is None:
            found = self._routes[endpoint] = find(self.provider, endpoint)
            if found is None:
                raise BadRequest(f"The provider of this model does not serve /{endpoint}. Choose another model.", param="model")
        return found

    def head(self, endpoint: str, upstream_model: str, stream: bool, content_type: bytes = b"") -> bytes:
        """Return the head of a POST to the provider's own endpoint, without content-length and the blank line; prepared for JSON (b"")."""
        if content_type:
            path = self.provider.path(endpoint, upstream_model, self.account.options, stream)
            return self.raw_head("POST", path, content_type)
        head = self._heads.get((endpoint, upstream_model, stream))
        if head is None:
            path = self.provider.path(endpoint, upstream_model, self.account.options, stream)
            head = self._heads[endpoint, upstream_model, stream] = self.raw_head("POST", path)
        return head

    def signed(self, head: bytes, body: Body) -> bytes:
        """Return a request's head with the headers that sign it, where its vendor wants them; else as it is. Raises UnsafeHeader."""
        if self._sign is None:
            return head
        method, target, _ = head.split(b" ", 2)
        parts = urlsplit(self.account.base_url)
        url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{target.decode()}"
        digest = sha256()
        for block in (body,) if isinstance(body, bytes) else body.blocks():
            digest.update(block)
        return head + lines(self._sign(method.decode(), url, digest.hexdigest()))

    def told(self, model: str, deployment: str) -> bytes:
        """Return the prepared header lines that tell a caller who served them. Raises UnsafeHeader."""
        told = self._told.get((model, deployment))
        if told is None:
            told = self._told[model, deployment] = lines(
                (
                    (b"x-sgw-model", model.encode()),
                    (b"x-sgw-provider", self.provider.slug.encode()),
                    (b"x-sgw-deployment", deployment.encode()),
                    (b"x-sgw-cache", b"off"),
                )
            )
        return told

    def raw_head(self, method: str, path: str, content_type: bytes = b"application/json") -> bytes:
        """Return the head of any request to a path under the account's base URL. Raises ValueError when a line would break it."""
        parts = urlsplit(self.account.base_url)
        base = parts.path.rstrip("/")
        if path.startswith(self.provider.at_root):
            base = base.removesuffix("/v1")
        lines = [
            f"{method} {base}{path} HTTP/1.1\r\nhost: {parts.netloc.rpartition('@')[2]}\r\n".encode(),
            b"content-type: " + content_type + b"\r\naccept-encoding: identity\r\nuser-agent: symbiosis-gateway\r\nvia: 1.1 " + self._via + b"\r\n",
        ]
        for name, value in self.provider.headers(self.account.credential if self.tokens is None else self.tokens.token):
            if b"\r" in value or b"\n" in value:
                raise ValueError("a credential may not hold line breaks")
            lines.append(name + b": " + value + b"\r\n")
        return b"".join(lines)


class Pools:
    """All pools by account slug; follows the snapshot."""

    def __init__(
        self,
        shelf: Mapping[str, Provider],
        make_client: Callable[[Account], Client],
        via: bytes,
        make_token_client: Callable[[Account, str], TokenClient] | None = None,
        wall: Callable[[], float] = time.time,
        make_sockets: Callable[[Account], Client] | None = None,
    ) -> None:
        """`make_token_client` makes the client to an account's token endpoint from its URL; `wall` gives Unix seconds."""
        self._shelf, self._make_client, self._via = shelf, make_client, via
        self._make_token_client, self._wall, self._make_sockets = make_token_client, wall, make_sockets
        self._pools: dict[str, Pool] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def __getitem__(self, slug: str) -> Pool:
        return self._pools[slug]

    def adopt(self, accounts: Mapping[str, Account]) -> None:
        """Make pools for new or changed accounts and let go of the old ones; their running calls end in peace. Raises ValueError."""
        pools = {}
        for slug, account in accounts.items():
            pool = self._pools.get(slug)
            if pool is None or pool.account.revision != account.revision:
                sockets = self._make_sockets(account) if self._make_sockets is not None else None
                pool = Pool(account, self._shelf[account.provider], self._make_client(account), self._via, sockets)
                if pool.provider.token_request is not None and self._make_token_client is not None:
                    pool.exchange(partial(self._make_token_client, account), self._wall)
            pools[slug] = pool
        old, self._pools = self._pools, pools
        for slug, pool in old.items():
            if pools.get(slug) is not pool:
                self._let_go(pool)

    def _let_go(self, pool: Pool) -> None:
        task = asyncio.ensure_future(_close(pool))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def aclose(self) -> None:
        """Close every client."""
        self.adopt({})
        if self._closing:
            await asyncio.wait(set(self._closing), timeout=5)


async def _close(pool: Pool) -> None:
    if pool.tokens is not None:
        await pool.tokens.stop()
    await pool.client.aclose()
