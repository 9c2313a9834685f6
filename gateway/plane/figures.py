"""Counters and histograms of one worker: plain numbers, added up over workers by the steward. Knows no exposition format."""

from bisect import bisect_left
from typing import Literal

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
    Family(name="sgw_unsettled", kind="counter", help="Receipts the journal would not take at first."),
    Family(name="sgw_in_flight", kind="gauge", help="Calls being served now."),
    Family(name="sgw_deployments_open", kind="gauge", help="Deployments whose circuit is not closed, summed over workers."),
    Family(name="sgw_bad_snapshots", kind="counter", help="Configurations a worker refused; the one before stays in use."),
)


class Figures:
    """Everything one worker counted since its start."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, ...], float] = {}
        self._histograms: dict[tuple[str, str], list[float]] = {}
        self.in_flight = 0

    def add(self, *key: str, by: float = 1) -> None:
        """Raise a counter; `key` is the family's name and its label values in order."""
        self._counts[key] = self._counts.get(key, 0) + by

    def observe(self, name: str, endpoint: str, seconds: float) -> None:
        """Put a duration into a histogram."""
        buckets = self._histograms.get((name, endpoint))
        if buckets is None:
            buckets = self._histograms[name, endpoint] = [0.0] * (len(BOUNDS_S) + 2)
        buckets[bisect_left(BOUNDS_S, seconds)] += 1
        buckets[-1] += seconds

    def count_call(self, endpoint: str, model: str, account: str, status: int, *, duration_s: float, gateway_s: float, first_byte_s: float) -> None:
        """Count a settled call and its times."""
        self.add("sgw_calls", endpoint, model, account, str(status))
        self.observe("sgw_call_duration_seconds", endpoint, duration_s)
        self.observe("sgw_gateway_overhead_seconds", endpoint, gateway_s)
        if first_byte_s > 0:
            self.observe("sgw_first_byte_seconds", endpoint, first_byte_s)

    def count_usage(self, model: str, account: str, usage: Usage, cost_nanousd: int) -> None:
        """Count tokens and cost of a call."""
        if usage.input_tokens:
            self.add("sgw_tokens", model, "input", by=usage.input_tokens)
        if usage.output_tokens:
            self.add("sgw_tokens", model, "output", by=usage.output_tokens)
        if usage.cached_tokens:
            self.add("sgw_tokens", model, "cached", by=usage.cached_tokens)
        if usage.reasoning_tokens:
            self.add("sgw_tokens", model, "reasoning", by=usage.reasoning_tokens)
        if cost_nanousd:
            self.add("sgw_cost_nanousd", model, account, by=cost_nanousd)

    def count_attempts(self, attempts: list[Attempt]) -> None:
        """Count the tries of a call."""
        for attempt in attempts:
            self.add("sgw_upstream_attempts", attempt.account, attempt.outcome)

    def flat(self, deployments_open: int) -> dict[str, float]:
        """Return all figures as one mapping; keys are the name and label values (for a histogram also the bucket) joined by U+001F."""
        values = {SEPARATOR.join(key): count for key, count in self._counts.items()}
        for (name, endpoint), buckets in self._histograms.items():
            for bound, count in zip((*map(str, BOUNDS_S), "+Inf", "sum"), buckets, strict=True):
                values[SEPARATOR.join((name, endpoint, bound))] = count
        values["sgw_in_flight"] = self.in_flight
        values["sgw_deployments_open"] = deployments_open
        return values
