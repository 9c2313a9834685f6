"""Access tokens of accounts whose vendor wants one: had for the credential at its token endpoint, renewed long before they end, off every call's way."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol
from urllib.parse import urlsplit

import msgspec
import structlog

from gateway.errors import UpstreamFault
from gateway.providers import Provider
from gateway.terms import Account, Deadlines

log = structlog.get_logger(__name__)

ANSWER_BYTES = 64 * 1024
# a token is renewed after this part of its life; never more often than every so many seconds
RENEWED_AFTER, LEAST_S, MOST_S = 0.75, 30.0, 3_600.0
PAUSES_S = (1.0, 2.0, 5.0, 15.0, 30.0)


class Answer(Protocol):
    """What a token endpoint answers."""

    status: int

    async def read(self, limit_bytes: int) -> bytes:
        """Return the whole body; raises UpstreamFault."""
        ...

    def close(self) -> None:
        """End the exchange."""
        ...


class Client(Protocol):
    """A transport to the token endpoint, which keeps the rules for addresses as every other does."""

    async def open(self, head: bytes, body: bytes, deadlines: Deadlines | None = None) -> Answer:
        """Send a request; raises UpstreamFault."""
        ...

    async def aclose(self) -> None:
        """Close."""
        ...


class TokenSource:
    """The access token of one account; `changed` is called with every new one. `wall` gives Unix seconds."""

    def __init__(
        self, account: Account, provider: Provider, make_client: Callable[[str], Client], wall: Callable[[], float], changed: Callable[[], None]
    ) -> None:
        self._account, self._provider, self._make_client, self._wall, self._changed = account, provider, make_client, wall, changed
        self.token = ""
        self._ends_at_s = 0.0
        self._had = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Fetch the first token and keep it fresh until `stop`."""
        self._task = asyncio.ensure_future(self._keep())

    async def stop(self) -> None:
        """Fetch no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def ready(self, within_s: float) -> None:
        """Return once there is a token that is good. Raises UpstreamFault when there is none in time."""
        if self.token and self._wall() < self._ends_at_s:
            return
        self._had.clear()
        try:
            async with asyncio.timeout(within_s):
                await self._had.wait()
        except TimeoutError:
            raise UpstreamFault("connect_timeout", "no access token could be had for the account", sent=False) from None

    async def _keep(self) -> None:
        failures = 0
        while True:
            try:
                lifetime_s = await self._renew()
            except (UpstreamFault, ValueError, msgspec.DecodeError) as error:
                pause_s = PAUSES_S[min(failures, len(PAUSES_S) - 1)]
                failures += 1
                log.warning("no access token for a provider account", account=self._account.slug, reason=str(error)[:200])
            else:
                failures, pause_s = 0, max(LEAST_S, lifetime_s * RENEWED_AFTER)
            await asyncio.sleep(pause_s)

    async def _renew(self) -> float:
        """Fetch a token and return its seconds to live. Raises UpstreamFault, ValueError, DecodeError."""
        assert self._provider.token_request is not None
        asked_at_s = self._wall()
        url, form = self._provider.token_request(self._account.credential, asked_at_s)
        client = self._make_client(url)
        try:
            parts = urlsplit(url)
            lines = (
                f"POST {parts.path or '/'}{'?' + parts.query if parts.query else ''} HTTP/1.1",
                f"host: {parts.netloc}",
                "content-type: application/x-www-form-urlencoded",
                "accept-encoding: identity",
                "user-agent: symbiosis-gateway",
            )
            if not all(line.isascii() and line.isprintable() for line in lines):
                raise ValueError("the token endpoint's address holds characters that no address has")
            answer = await client.open("".join(line + "\r\n" for line in lines).encode(), form)
            try:
                body = await answer.read(ANSWER_BYTES)
            finally:
                answer.close()
            if answer.status != 200:
                raise ValueError(f"the token endpoint answered {answer.status}")
            token, told_s = self._provider.read_token(body)
        finally:
            await client.aclose()
        lifetime_s = min(max(told_s, 0.0), MOST_S)
        self.token, self._ends_at_s = token, asked_at_s + lifetime_s
        self._changed()
        self._had.set()
        return lifetime_s
