"""Counters and histograms of one worker: plain numbers, added up over workers by the steward. Knows no exposition format."""

from bisect import bisect_left
from typing import Literal

from billing.receipts import Charge
from gateway.terms import Attempt, Frozen, Usage

BOUNDS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 600.0)
SEPARATOR = "\x1f"


class Family(Frozen, frozen=True):
    """What a metric is called and labelled; every label's values are bounded by the configuration or by code."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


FAMILIES = (
    Family(
        name="sgw_calls",
        kind="counter",
        help="Calls by endpoint, catalogue model, provider account and status.",
        labels=("endpoint", "model", "account", "status"),
    ),
    Family(name="sgw_refusals", kind="counter", help="Calls refused before their caller was known, by code.", labels=("code",)),
    Family(name="sgw_call_duration_seconds", kind="histogram", help="Time from first header to last byte.", labels=("endpoint",)),
    Family(name="sgw_gateway_overhead_seconds", kind="histogram", help="Time a call spent in the gateway itself.", labels=("endpoint",)),
    Family(name="sgw_first_byte_seconds", kind="histogram", help="Time to the first byte given to the caller.", labels=("endpoint",)),
    Family(name="sgw_tokens", kind="counter", help="Tokens by catalogue model and kind.", labels=("model", "kind")),
    Family(name="sgw_cost_nanousd", kind="counter", help="Cost in nano-USD by catalogue model and provider account.", labels=("model", "account")),
    Family(name="sgw_upstream_attempts", kind="counter", help="Tries at a provider account by outcome.", labels=("account", "outcome")),
    Family(name="sgw_cut_calls", kind="counter", help="Running calls ended because their key was revoked as compromised."),
    Family(name="sgw_unsettled", kind="counter", help="Receipts the journal would not take at first."),
    Family(name="sgw_unstored", kind="counter", help="Responses that were to be stored and could not be."),
    Family(name="sgw_in_flight", kind="gauge", help="Calls being served now."),
    Family(name="sgw_deployments_open", kind="gauge", help="Deployments whose circuit is not closed, summed over workers."),
    Family(name="sgw_bad_snapshots", kind="counter", help="Configurations a worker refused; the one before stays in use."),
)


class Histogram:
    """How often a duration fell under each bound, and the sum of all in seconds."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Put a duration in."""
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds


class Times:
    """The histograms of an endpoint."""

    __slots__ = ("duration", "first_byte", "gateway")

    def __init__(self) -> None:
        self.duration, self.gateway, self.first_byte = Histogram(), Histogram(), Histogram()


class Series:
    """Calls of one endpoint, model, account and status: one look-up per call instead of one per figure."""

    __slots__ = ("calls", "spent", "times")

    def __init__(self, times: Times, spent: "Spent") -> None:
        self.calls = 0
        self.times = times
        self.spent = spent


class Spent:
    """Tokens and cost in nano-USD of one model at one account."""

    __slots__ = ("cached_tokens", "cost_nanousd", "input_tokens", "output_tokens", "reasoning_tokens")

    def __init__(self) -> None:
        self.input_tokens = self.output_tokens = self.cached_tokens = self.reasoning_tokens = self.cost_nanousd = 0


class Figures:
    """Everything one worker counted since its start."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, ...], float] = {}
        self._times: dict[str, Times] = {}
        self._series: dict[tuple[str, str, str, int], Series] = {}
        self._spent: dict[tuple[str, str], Spent] = {}
        self.in_flight = 0

    def add(self, *key: str, by: float = 1) -> None:
        """Raise a counter; `key` is the family's name and its label values in order."""
        self._counts[key] = self._counts.get(key, 0) + by

    def count_call(
        self, endpoint: str, model: str, account: str, status: int, duration_s: float, gateway_s: float, first_byte_s: float, usage: Usage, cost_nanousd: int
    ) -> None:
        """Count a settled call, its times, tokens and cost."""
        series = self._series.get((endpoint, model, account, status))
        if series is None:
            series = self._begin(endpoint, model, account, status)
        series.calls += 1
        times, spent = series.times, series.spent
        times.duration.observe(duration_s)
        times.gateway.observe(gateway_s)
        if first_byte_s > 0:
            times.first_byte.observe(first_byte_s)
        spent.input_tokens += usage.input_tokens
        spent.output_tokens += usage.output_tokens
        spent.cached_tokens += usage.cached_tokens
        spent.reasoning_tokens += usage.reasoning_tokens
        spent.cost_nanousd += cost_nanousd

    def _begin(self, endpoint: str, model: str, account: str, status: int) -> Series:
        times = self._times.setdefault(endpoint, Times())
        spent = self._spent.setdefault((model, account), Spent())
        series = self._series[endpoint, model, account, status] = Series(times, spent)
        return series

    def count_attempts(self, model: str, attempts: list[Attempt]) -> None:
        """Count the tries of a call for this model, and what those cost that served nobody."""
        for attempt in attempts:
            key = ("sgw_upstream_attempts", attempt.account, attempt.outcome)
            self._counts[key] = self._counts.get(key, 0) + 1
            if attempt.charge is not None:
                self._count_charge(model, attempt.account, attempt.charge)

    def _count_charge(self, model: str, account: str, charge: Charge) -> None:
        spent = self._spent.setdefault((model, account), Spent())
        spent.input_tokens += charge.input_tokens
        spent.output_tokens += charge.output_tokens
        spent.cached_tokens += charge.cached_tokens
        spent.reasoning_tokens += charge.reasoning_tokens
        spent.cost_nanousd += charge.cost_nanousd

    def flat(self, deployments_open: int) -> dict[str, float]:
        """Return all figures as one mapping; keys are the name and label values (for a histogram also the bucket) joined by U+001F."""
        values: dict[str, float] = {SEPARATOR.join(key): count for key, count in self._counts.items()}
        for (endpoint, model, account, status), series in self._series.items():
            values[SEPARATOR.join(("sgw_calls", endpoint, model, account, str(status)))] = series.calls
        for (model, account), spent in self._spent.items():
            for kind, tokens in (
                ("input", spent.input_tokens),
                ("output", spent.output_tokens),
                ("cached", spent.cached_tokens),
                ("reasoning", spent.reasoning_tokens),
            ):
                if tokens:
                    key = SEPARATOR.join(("sgw_tokens", model, kind))
                    values[key] = values.get(key, 0) + tokens
            if spent.cost_nanousd:
                values[SEPARATOR.join(("sgw_cost_nanousd", model, account))] = spent.cost_nanousd
        for endpoint, times in self._times.items():
            for name, histogram in (
                ("sgw_call_duration_seconds", times.duration),
                ("sgw_gateway_overhead_seconds", times.gateway),
                ("sgw_first_byte_seconds", times.first_byte),
            ):
                if any(histogram.counts):
                    for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), histogram.counts, strict=True):
                        values[SEPARATOR.join((name, endpoint, bound))] = count
                    values[SEPARATOR.join((name, endpoint, "sum"))] = histogram.sum_s
        values["sgw_in_flight"] = self.in_flight
        values["sgw_deployments_open"] = deployments_open
        return values
