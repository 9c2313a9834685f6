"""What a worker counted, as it is told to the steward."""

from gateway.plane.figures import BOUNDS_S, SEPARATOR, Figures
from gateway.terms import Attempt, Usage

GAUGES = {"sgw_in_flight": 0.0, "sgw_deployments_open": 2.0}


def key(*labels: str) -> str:
    """Return a flat key."""
    return SEPARATOR.join(labels)


def test_nothing_counted_is_nothing_told() -> None:
    assert Figures().flat(2) == GAUGES


def test_calls_add_up_by_their_labels() -> None:
    figures = Figures()
    for account, status in (("acme", 200), ("acme", 200), ("other", 200), ("acme", 503)):
        figures.count_call("embeddings", "m", account, status, 0.02, 0.0002, 0.0, Usage(), 0)
    told = figures.flat(2)
    assert {name: count for name, count in told.items() if name.startswith("sgw_calls")} == {
        key("sgw_calls", "embeddings", "m", "acme", "200"): 2,
        key("sgw_calls", "embeddings", "m", "other", "200"): 1,
        key("sgw_calls", "embeddings", "m", "acme", "503"): 1,
    }
    duration = {bound: told[key("sgw_call_duration_seconds", "embeddings", bound)] for bound in (*map(str, BOUNDS_S), "+Inf", "sum")}
    assert duration == {**dict.fromkeys((*map(str, BOUNDS_S), "+Inf"), 0), "0.025": 4, "sum": 0.08}
    assert not any(name.startswith("sgw_first_byte_seconds") for name in told)


def test_tokens_and_cost_add_up_over_accounts() -> None:
    figures = Figures()
    figures.count_call("embeddings", "m", "acme", 200, 0.02, 0.0002, 0.0, Usage(input_tokens=3, cached_tokens=1, output_tokens=5, reasoning_tokens=2), 70)
    figures.count_call("embeddings", "m", "other", 200, 0.02, 0.0002, 0.0, Usage(input_tokens=4), 0)
    figures.count_attempts("m", [Attempt(deployment="d", account="acme", outcome="ok", status=200, elapsed_ms=1)] * 2)
    figures.add("sgw_unsettled")
    told = {name: value for name, value in figures.flat(2).items() if not name.startswith(("sgw_call", "sgw_gateway"))}
    assert told == {
        **GAUGES,
        "sgw_unsettled": 1,
        key("sgw_upstream_attempts", "acme", "ok"): 2,
        key("sgw_tokens", "m", "input"): 7,
        key("sgw_tokens", "m", "output"): 5,
        key("sgw_tokens", "m", "cached"): 1,
        key("sgw_tokens", "m", "reasoning"): 2,
        key("sgw_cost_nanousd", "m", "acme"): 70,
    }
