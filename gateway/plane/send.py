"""Tries the plan's deployments in order until one answers: failover, cool-down, bulkheads. Knows nothing of keys, money or the caller's connection."""

from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from math import ceil
from operator import attrgetter
from typing import Generic, Protocol, TypeVar

from billing.receipts import Charge
from gateway.errors import Overloaded, Refusal, TooFast, UpstreamFailed, UpstreamFault, UpstreamTimeout
from gateway.plane.health import Health
from gateway.plane.pools import Client, Exchange, Pool, Pools
from gateway.terms import Attempt, Body, Deadlines, Deployment, Frozen, Headers

T = TypeVar("T")

RETRYABLE = frozenset({408, 409, 425, 429})
LIMITED = frozenset({429})
BUSY = frozenset({503, 529})
OUR_FAULT = frozenset({401, 402, 403, 407})
ERROR_BODY_BYTES = 64 * 1024
VENDOR_HEADERS = frozenset(
    {
        b"openai-processing-ms",
        b"openai-version",
        b"x-ratelimit-limit-requests",
        b"x-ratelimit-limit-tokens",
        b"x-ratelimit-remaining-requests",
        b"x-ratelimit-remaining-tokens",
        b"x-ratelimit-reset-requests",
        b"x-ratelimit-reset-tokens",
    }
)


class CredentialRefused(UpstreamFailed):
    """Every provider refused our credential: the same call will meet the same answer."""

    retryable = False


class VendorRefusal(Exception):
    """A vendor's 4xx about the request itself: passed on, never tried elsewhere."""

    def __init__(self, status: int, body: bytes, pool: Pool) -> None:
        super().__init__(f"the vendor refused with {status}")
        self.status, self.body, self.pool = status, body, pool


class Sent(Frozen, Generic[T], frozen=True):
    """An exchange whose first bytes are good, and what `first` made of them."""

    pool: Pool
    deployment: Deployment
    exchange: Exchange
    opening: T
    headers: Headers


class Tries(Protocol):
    """The call that is sent, as far as its tries concern it."""

    def prepare(self, deployment: Deployment, pool: Pool) -> tuple[bytes, Body]:
        """Return head and body; called right before each try."""
        ...

    async def again(self) -> None:
        """Make ready for a further try; raises Refusal when there must be none."""
        ...

    def broken(self, deployment: Deployment, pool: Pool, exchange: Exchange | None, outcome: str) -> Charge | None:
        """Return what a try cost that served nobody, None for nothing; `exchange` is None where not even an answer's head came."""
        ...


def retry_after_s(headers: list[tuple[bytes, bytes]], wall_s: float) -> float | None:
    """Return what a vendor's Retry-After asks for in seconds (RFC 9110 §10.2.3: a number or a date), or None."""
    for name, value in headers:
        if name == b"retry-after-ms" and value.isdigit():
            return int(value) / 1000
        if name == b"retry-after":
            text = value.decode("latin-1").strip()
            if text.replace(".", "", 1).isdecimal() and text.isascii():
                return float(text[:12])
            try:
                return max(0.0, parsedate_to_datetime(text).timestamp() - wall_s)
            except (ValueError, TypeError):
                return None
    return None


class Sender:
    """Sends calls of one worker; `clock` and `wall` give monotonic and Unix seconds."""

    def __init__(
        self,
        pools: Pools,
        health: Health,
        clock: Callable[[], float],
        wall: Callable[[], float],
        stable: Callable[[], Awaitable[None]] | None = None,
        client_of: Callable[[Pool], Client] = attrgetter("client"),
    ) -> None:
        """`stable`, if given, is awaited between preparing a try and its first byte: it returns once what was noted is on stable storage.

        `client_of` tells which of a pool's clients opens the exchanges.
        """
        self._pools, self._health, self._clock, self._wall, self._stable, self._client_of = pools, health, clock, wall, stable, client_of

    async def send(
        self,
        deployments: tuple[Deployment, ...],
        tries: Tries,
        first: Callable[[Exchange, Pool, Deployment], Awaitable[T]],
        attempts: list[Attempt],
        timeout_ms: int,
    ) -> Sent[T]:
        """Return the first deployment's exchange that answers well; every try is appended to `attempts`.

        `first` reads the beginning and raises UpstreamFault when it is no good. `timeout_ms` is what the caller allows for all tries
        together, 0 for no limit of theirs. Raises VendorRefusal, TooFast, Overloaded, UpstreamFailed, UpstreamTimeout, and what `tries` raise.
        """
        health, began = self._health, self._clock()
        health.counted_call()
        skipped: list[Deployment] = []
        waits: list[float] = []
        for deployment in deployments:
            pool = self._pools[deployment.account]
            left_ms = self._left_ms(timeout_ms, began)
            if attempts and (left_ms == 1 or not health.may_retry()):
                break
            if pool.is_full(deployment):
                attempts_note(attempts, deployment, "busy")
                continue
            if not health.admits(deployment.id):
                skipped.append(deployment)
                continue
            if attempts:
                await tries.again()
            sent = await self._try(deployment, pool, tries, first, attempts, waits, left_ms)
            if sent is not None:
                return sent
        if not any(attempt.elapsed_ms >= 0 and attempt.outcome != "busy" for attempt in attempts):
            for deployment in skipped:
                # never leave every deployment out: the one that did not ask for patience gets the call after all
                if health.retry_after_s(deployment.id) is None:
                    sent = await self._try(deployment, self._pools[deployment.account], tries, first, attempts, waits, self._left_ms(timeout_ms, began))
                    if sent is not None:
                        return sent
                    break
        waits.extend(wait for d in skipped if (wait := health.retry_after_s(d.id)) is not None)
        raise verdict(attempts, waits)

    def reaching(self, deployments: tuple[Deployment, ...], endpoint: str) -> tuple[Deployment, ...]:
        """Return the deployments whose providers have an endpoint themselves."""
        return tuple(one for one in deployments if endpoint in self._pools[one.account].provider.wires)

    def _left_ms(self, timeout_ms: int, began: float) -> int:
        """Return what is left of the caller's limit in milliseconds, at least 1; 0 when they set none."""
        return max(1, timeout_ms - int((self._clock() - began) * 1000)) if timeout_ms else 0

    async def _try(
        self,
        deployment: Deployment,
        pool: Pool,
        tries: Tries,
        first: Callable[[Exchange, Pool, Deployment], Awaitable[T]],
        attempts: list[Attempt],
        waits: list[float],
        timeout_ms: int,
    ) -> Sent[T] | None:
        began = self._clock()
        exchange: Exchange | None = None
        outcome, status, kept, asked = "abandoned", 0, False, False
        charge: Charge | None = None
        pool.enter(deployment)
        try:
            if pool.tokens is not None:
                await pool.tokens.ready(pool.account.deadlines.connect_ms / 1000)
            head, body = tries.prepare(deployment, pool)
            if self._stable is not None:
                await self._stable()
            asked = True
            exchange = await self._client_of(pool).open(head, body, deadlines(pool.account.deadlines, timeout_ms) if timeout_ms else None)
            status = exchange.status
            if 200 <= status < 300:
                opening = await first(exchange, pool, deployment)
                outcome, kept = "ok", True
                self._health.succeeded(deployment.id)
                return Sent(pool, deployment, exchange, opening, passed_headers(exchange, pool))
            outcome = str(status)
            if status in RETRYABLE or status >= 500 or status in OUR_FAULT or status < 400:
                wait_s = await self._wait_s(exchange, pool) if status in LIMITED or status in BUSY else None
                if wait_s is not None:
                    waits.append(wait_s)
                self._health.failed(deployment.id, wait_s)
                return None
            refusal = await exchange.read(ERROR_BODY_BYTES)
            self._health.succeeded(deployment.id)
            raise VendorRefusal(status, refusal, pool)
        except UpstreamFault as fault:
            outcome = fault.kind
            if impatient(fault, pool.account.deadlines, timeout_ms):
                self._health.abandoned(deployment.id)
            else:
                self._health.failed(deployment.id)
            return None
        finally:
            if outcome == "abandoned":
                self._health.abandoned(deployment.id)
            if not kept:
                pool.leave(deployment)
                try:
                    charge = tries.broken(deployment, pool, exchange, outcome) if asked else None
                finally:
                    if exchange is not None:
                        exchange.close()
            attempts.append(Attempt(deployment.slug, deployment.account, outcome, status, int((self._clock() - began) * 1000), charge))


    async def _wait_s(self, exchange: Exchange, pool: Pool) -> float | None:
        """Return how long a busy vendor wants to be left alone, in seconds: by its headers, else by its words."""
        wait_s = retry_after_s(exchange.headers, self._wall())
        if wait_s is not None or pool.provider.read_wait is None:
            return wait_s
        try:
            return pool.provider.read_wait(await exchange.read(ERROR_BODY_BYTES))
        except UpstreamFault:
            # it is busy, whatever became of its words
            return None


def attempts_note(attempts: list[Attempt], deployment: Deployment, outcome: str) -> None:
    """Record a deployment that was passed over."""
    attempts.append(Attempt(deployment=deployment.slug, account=deployment.account, outcome=outcome, status=0, elapsed_ms=0))


def deadlines(account: Deadlines, timeout_ms: int) -> Deadlines:
    """Return an account's deadlines shortened to what the caller allows."""
    return Deadlines(
        connect_ms=min(account.connect_ms, timeout_ms),
        first_byte_ms=min(account.first_byte_ms, timeout_ms),
        idle_ms=min(account.idle_ms, timeout_ms),
        total_ms=min(account.total_ms, timeout_ms),
    )


def impatient(fault: UpstreamFault, account: Deadlines, timeout_ms: int) -> bool:
    """Return whether a caller's own limit ended a try before the account's would have: that says nothing about the deployment."""
    if not timeout_ms or not fault.kind.endswith("_timeout"):
        return False
    own_ms: int = getattr(account, f"{fault.kind.removesuffix('_timeout')}_ms")
    return timeout_ms < own_ms


def passed_headers(exchange: Exchange, pool: Pool) -> Headers:
    """Return the vendor's headers that callers may see."""
    allowed = VENDOR_HEADERS | pool.provider.reads_headers if pool.provider.reads_headers else VENDOR_HEADERS
    return tuple([header for header in exchange.headers if header[0] in allowed])


def verdict(attempts: list[Attempt], waits: list[float]) -> Refusal:
    """Return the refusal that sums up why no deployment served the call."""
    outcomes = [attempt.outcome for attempt in attempts]
    wait_s = max(1, ceil(min(waits))) if waits else None
    detail = {"attempts": [{"deployment": a.deployment, "outcome": a.outcome} for a in attempts]}
    if all(outcome == "429" for outcome in outcomes) and (outcomes or waits):
        return TooFast("Every deployment of this model is rate limited by its provider. Try again later.", retry_after_s=wait_s or 1, detail=detail)
    if all(outcome in {"503", "529", "429", "busy"} for outcome in outcomes):
        return Overloaded("Every deployment of this model is overloaded. Try again later.", retry_after_s=wait_s or 1, detail=detail)
    if all(outcome.endswith("_timeout") or outcome in {"408", "504"} for outcome in outcomes):
        return UpstreamTimeout("No deployment of this model answered in time. Try again, or raise the account's deadlines.", detail=detail)
    if outcomes and all(outcome in {"401", "402", "403", "407"} for outcome in outcomes):
        return CredentialRefused("The provider refuses the gateway's own credential. Tell your IT administrator.", detail=detail)
    tried = ", ".join(outcomes)
    return UpstreamFailed(f"No deployment of this model could answer ({tried}). Try again; if it lasts, tell your IT administrator.", detail=detail)
