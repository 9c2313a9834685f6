"""Deployment health: opens after repeated failures, cools down as told, lets one probe through. Knows nothing about prices."""

from collections.abc import Callable

FAILURES_TO_OPEN = 5
WINDOW_S = 30.0
FIRST_COOL_S = 2.0
LONGEST_COOL_S = 60.0
LONGEST_RETRY_AFTER_S = 600.0
RETRY_SHARE = 0.1
RETRIES_PER_S = 10.0
RETRY_BURST = 100.0


class Breaker:
    """The state of one deployment: closed, open until a moment, or half-open with one probe under way."""

    __slots__ = ("cool_s", "failures", "limited", "open_until", "probing", "since")

    def __init__(self) -> None:
        self.failures = 0
        self.since = 0.0
        self.open_until = 0.0
        self.cool_s = FIRST_COOL_S
        self.probing = False
        self.limited = False


class Health:
    """Breakers by deployment id and the worker's retry budget; `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._breakers: dict[str, Breaker] = {}
        self._retries = RETRY_BURST
        self._refilled_at = clock()

    def admits(self, deployment: str) -> bool:
        """Return whether a call may try this deployment now; in half-open state the caller becomes the one probe."""
        breaker = self._breakers.get(deployment)
        if breaker is None or breaker.open_until == 0.0:
            return True
        if self._clock() < breaker.open_until or breaker.probing:
            return False
        breaker.probing = True
        return True

    def retry_after_s(self, deployment: str) -> float | None:
        """Return the seconds until a deployment that asked for patience may be tried again; None if it did not ask."""
        breaker = self._breakers.get(deployment)
        if breaker is None or not breaker.limited:
            return None
        left_s = breaker.open_until - self._clock()
        return left_s if left_s > 0 else None

    def state(self, deployment: str) -> str:
        """Return closed, open or half_open."""
        breaker = self._breakers.get(deployment)
        if breaker is None or breaker.open_until == 0.0:
            return "closed"
        return "open" if self._clock() < breaker.open_until else "half_open"

    def succeeded(self, deployment: str) -> None:
        """Close the breaker."""
        if self._breakers:
            self._breakers.pop(deployment, None)

    def abandoned(self, deployment: str) -> None:
        """Give the probe back when a try ended without saying anything about the deployment."""
        breaker = self._breakers.get(deployment)
        if breaker is not None:
            breaker.probing = False

    def failed(self, deployment: str, retry_after_s: float | None = None) -> None:
        """Count a failure; a vendor's Retry-After cools the deployment at once, capped at ten minutes."""
        now = self._clock()
        breaker = self._breakers.setdefault(deployment, Breaker())
        probing, breaker.probing = breaker.probing, False
        if retry_after_s is not None:
            breaker.limited = True
            breaker.open_until = now + min(max(retry_after_s, 0.0), LONGEST_RETRY_AFTER_S)
            return
        if now - breaker.since > WINDOW_S:
            breaker.since, breaker.failures = now, 0
        breaker.failures += 1
        if probing or breaker.failures >= FAILURES_TO_OPEN:
            breaker.limited = False
            breaker.open_until = now + breaker.cool_s
            breaker.cool_s = min(breaker.cool_s * 2, LONGEST_COOL_S)

    def counted_call(self) -> None:
        """Earn a tenth of a retry."""
        if self._retries < RETRY_BURST:
            self._retries += RETRY_SHARE

    def may_retry(self) -> bool:
        """Take one retry from the budget (a tenth of all calls and ten a second); False when it is used up."""
        now = self._clock()
        self._retries = min(RETRY_BURST, self._retries + (now - self._refilled_at) * RETRIES_PER_S)
        self._refilled_at = now
        if self._retries < 1:
            return False
        self._retries -= 1
        return True

    def open_count(self) -> int:
        """Return how many deployments are not closed."""
        return sum(1 for breaker in self._breakers.values() if breaker.open_until)
