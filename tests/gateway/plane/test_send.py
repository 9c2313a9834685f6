"""Which deployment gets a call, and what the caller hears when none can answer."""

from collections.abc import Mapping

import pytest
from msgspec import structs

from billing.receipts import Charge
from gateway import errors
from gateway.plane.health import Health
from gateway.plane.pools import Exchange, Pool, Pools
from gateway.plane.send import CredentialRefused, Sender, Sent, VendorRefusal, retry_after_s
from gateway.providers import Provider
from gateway.terms import Account, Attempt, Deadlines, Deployment

from . import builders


class FakeExchange:
    """An answer with a status."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status, self.headers, self.closed = status, headers, False

    async def read(self, limit_bytes: int) -> bytes:
        return b"body"

    async def chunks(self) -> bytes:
        return b""

    def heard(self) -> tuple[bytes, int]:
        return b"body", 4

    def close(self) -> None:
        self.closed = True


class FakeClient:
    """Answers each request with the next of its outcomes: a status, a status with Retry-After, or a fault."""

    takes_s = 0.0

    def __init__(self, outcomes: list[int | tuple[int, str] | errors.UpstreamFault], clock: "Clock") -> None:
        self.clock = clock
        self.outcomes, self.exchanges, self.totals_ms = outcomes, list[FakeExchange](), list[int]()

    async def open(self, head: bytes, body: bytes, deadlines: Deadlines | None = None) -> Exchange:
        self.clock.now += self.takes_s
        self.totals_ms.append(deadlines.total_ms if deadlines else 0)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, errors.UpstreamFault):
            raise outcome
        status, wait = outcome if isinstance(outcome, tuple) else (outcome, "")
        self.exchanges.append(FakeExchange(status, [(b"retry-after", wait.encode())] if wait else []))
        return self.exchanges[-1]

    async def aclose(self) -> None:
        """Nothing to close."""


class Clock:
    """A clock that a test moves."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Scene:
    """Two accounts with scripted clients."""

    def __init__(
        self, outcomes: Mapping[str, list[int | tuple[int, str] | errors.UpstreamFault]], shelf: Mapping[str, Provider] = builders.SHELF, **account: object
    ) -> None:
        self.clock = Clock()
        self.clients = {slug: FakeClient(list(given), self.clock) for slug, given in outcomes.items()}
        self.pools = Pools(shelf, self._client, b"test")
        self.pools.adopt(builders.snapshot(accounts=tuple(builders.sealed_account(slug, **account) for slug in outcomes)).accounts)
        self.health = Health(self.clock)
        self.sender = Sender(self.pools, self.health, self.clock, self.clock)
        self.attempts: list[Attempt] = []
        self.deployments = tuple(builders.deployment(slug) for slug in outcomes)
        self.broke: list[tuple[str, str, bool]] = []
        self.agains = 0

    def _client(self, account: Account) -> FakeClient:
        return self.clients[account.slug]

    async def send(self, timeout_ms: int = 0) -> Sent[str]:
        """Send one call whose caller allows `timeout_ms`."""

        async def first(exchange: Exchange, pool: Pool, deployment: Deployment) -> str:
            return deployment.account

        return await self.sender.send(self.deployments, self, first, self.attempts, timeout_ms)

    def prepare(self, deployment: Deployment, pool: Pool) -> tuple[bytes, bytes]:
        return b"head", b"body"

    async def again(self) -> None:
        self.agains += 1

    def broken(self, deployment: Deployment, pool: Pool, exchange: Exchange | None, outcome: str) -> Charge | None:
        self.broke.append((deployment.account, outcome, exchange is not None and not self.clients[deployment.account].exchanges[-1].closed))
        return None

    def outcomes(self) -> list[tuple[str, str]]:
        """Return account and outcome of every attempt."""
        return [(attempt.account, attempt.outcome) for attempt in self.attempts]


FAULT = errors.UpstreamFault("connect", "refused", sent=False)


@pytest.mark.parametrize("outcome", [408, 409, 429, 500, 502, 503, 504, 529, 401, 403, 302, FAULT])
async def test_what_another_deployment_might_do_better_fails_over(outcome: int | errors.UpstreamFault) -> None:
    scene = Scene({"one": [outcome], "two": [200]})
    sent = await scene.send()
    label = outcome.kind if isinstance(outcome, errors.UpstreamFault) else str(outcome)
    assert (sent.opening, scene.outcomes()) == ("two", [("one", label), ("two", "ok")])
    assert [exchange.closed for exchange in scene.clients["one"].exchanges] == [True] * len(scene.clients["one"].exchanges)
    assert (scene.agains, scene.broke) == (1, [("one", label, not isinstance(outcome, errors.UpstreamFault))])


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_a_refusal_of_the_request_itself_is_passed_on(status: int) -> None:
    scene = Scene({"one": [status], "two": [200]})
    with pytest.raises(VendorRefusal) as caught:
        await scene.send()
    assert (caught.value.status, caught.value.body, scene.outcomes()) == (status, b"body", [("one", str(status))])


@pytest.mark.parametrize(
    ("outcomes", "refusal", "wait_s"),
    [
        ([(429, "7"), (429, "3")], errors.TooFast, 3),
        ([429, 429], errors.TooFast, 1),
        ([503, 529], errors.Overloaded, 1),
        ([(503, "9"), 429], errors.Overloaded, 9),
        ([errors.UpstreamFault("first_byte_timeout", "", sent=True), 504], errors.UpstreamTimeout, None),
        ([500, 429], errors.UpstreamFailed, None),
        ([401, 401], CredentialRefused, None),
    ],
)
async def test_when_none_can_answer_the_caller_hears_why(
    outcomes: list[int | tuple[int, str] | errors.UpstreamFault], refusal: type[errors.Refusal], wait_s: int | None
) -> None:
    scene = Scene({"one": outcomes[:1], "two": outcomes[1:]})
    with pytest.raises(errors.Refusal) as caught:
        await scene.send()
    assert (type(caught.value), caught.value.retry_after_s) == (refusal, wait_s)


async def test_retry_after_keeps_a_deployment_alone_until_it_is_over() -> None:
    scene = Scene({"one": [(429, "5"), 200], "two": [200, 200]})
    assert [(await scene.send()).opening for _ in range(2)] == ["two", "two"]
    assert len(scene.clients["one"].exchanges) == 1
    scene.clock.now += 5
    assert (await scene.send()).opening == "one"


async def test_the_last_open_deployment_is_tried_all_the_same() -> None:
    scene = Scene({"one": [500] * 5 + [200]})
    for _ in range(5):
        with pytest.raises(errors.UpstreamFailed):
            await scene.send()
        scene.attempts.clear()
    assert scene.health.state("one/up-1") == "open"
    assert (await scene.send()).opening == "one"
    assert scene.health.state("one/up-1") == "closed"


async def test_an_impatient_caller_does_not_open_the_deployment_for_all() -> None:
    late = errors.UpstreamFault("total_timeout", "", sent=True)
    scene = Scene({"one": [late] * 5})
    for _ in range(5):
        with pytest.raises(errors.UpstreamTimeout):
            await scene.send(timeout_ms=200)
        scene.attempts.clear()
    assert scene.health.state("one/up-1") == "closed"
    assert scene.clients["one"].totals_ms == [200] * 5


async def test_a_callers_limit_is_for_all_tries_together() -> None:
    scene = Scene({"one": [500], "two": [500], "three": [200]})
    scene.clients["one"].takes_s, scene.clients["two"].takes_s = 3.0, 2.0
    with pytest.raises(errors.UpstreamFailed):
        await scene.send(timeout_ms=5_000)
    assert [client.totals_ms for client in scene.clients.values()] == [[5_000], [2_000], []]


@pytest.mark.parametrize("limited", ["account", "deployment"])
async def test_what_has_all_its_calls_in_flight_is_passed_over(limited: str) -> None:
    scene = Scene({"one": [200], "two": [200]}, max_parallel=1 if limited == "account" else 0)
    if limited == "deployment":
        scene.deployments = tuple(builders.deployment(slug, max_parallel=1) for slug in ("one", "two"))
    for served in ("one", "two"):
        scene.attempts.clear()
        assert (await scene.send()).opening == served
    scene.attempts.clear()
    with pytest.raises(errors.Overloaded):
        await scene.send()


async def test_a_vendor_that_says_in_words_how_long_it_is_busy_is_left_alone_so_long() -> None:
    talkative = {"openai": structs.replace(builders.SHELF["openai"], read_wait={b"body": 17.0}.get)}
    scene = Scene({"one": [429]}, talkative)
    with pytest.raises(errors.TooFast) as caught:
        await scene.send()
    assert caught.value.retry_after_s == 17
    scene = Scene({"one": [(429, "3")]}, talkative)
    with pytest.raises(errors.TooFast) as caught:
        await scene.send()
    assert caught.value.retry_after_s == 3


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([(b"retry-after", b"2")], 2.0),
        ([(b"retry-after", b"1.5")], 1.5),
        ([(b"retry-after-ms", b"250")], 0.25),
        ([(b"retry-after", b"Thu, 01 Jan 1970 00:16:50 GMT")], 10.0),
        ([(b"retry-after", b"soon")], None),
        ([(b"retry-after", b"-1")], None),
        ([], None),
    ],
)
def test_retry_after_is_read_as_number_or_date(headers: list[tuple[bytes, bytes]], seconds: float | None) -> None:
    assert retry_after_s(headers, 1_000.0) == seconds
