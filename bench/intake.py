"""How many receipts a second intake takes into the database, and how fast they are added up then.

    .venv/bin/python -m bench.intake                             # SQLite in a temporary folder
    .venv/bin/python -m bench.intake --database-url postgresql://..  # an empty database of yours

Each round writes a journal as one dead worker leaves it and takes it in with one process: an intent and a settlement for each call, calls of
many keys, each held against a budget of its key, project, unit and of the whole organisation, out of leases. The first round is not counted.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from bench.usage_10m import MODELS, organisation, prepare

# A lease of this much for each window of each round lasts, and the budget for all rounds.
LEASE_NANOUSD, BUDGET_NANOUSD = 10**13, 10**16


class Round(NamedTuple):
    """What one round took: wall time, CPU of this process and of its Postgres backend (0 where there is none to see), in microseconds per receipt."""

    wall_us: float
    cpu_us: float
    backend_us: float


class Caller(NamedTuple):
    """A key with the windows its calls are held against."""

    key: str
    project: UUID
    unit: UUID
    windows: tuple[str, ...]


def callers(keys: int, levels: int) -> list[Caller]:
    """Return keys of an organisation with budgets on this many levels: key, project, unit, all."""
    from tests.billing.budgets import budget, want

    windows: dict[str, str] = {}

    def window(scope: str) -> str:
        if scope not in windows:
            windows[scope] = want(budget(BUDGET_NANOUSD, name=scope), 0).window
        return windows[scope]

    found = []
    for key, project, unit in organisation(random.Random(1))[:keys]:
        scopes = (f"key {key}", f"project {project}", f"unit {unit}", "all")[:levels]
        found.append(Caller(key, project, unit, tuple(window(scope) for scope in scopes)))
    return found


def journal(people: list[Caller], worker: str, receipts: int, chance: random.Random) -> Iterator[bytes]:
    """Yield the records of so many calls, dozens of them open at once."""
    from billing.receipts import Attempted, encode
    from tests.billing.receipts import intent, settle

    weights = list(accumulate(1 / (n + 1) for n in range(len(people))))
    open_calls: list[bytes] = []
    start_ms = int(time.time() * 1000)
    for number in range(receipts):
        caller = people[bisect(weights, chance.random() * weights[-1])]
        model = int(chance.triangular(0, MODELS, 0)) % MODELS
        took = int(chance.lognormvariate(7.2, 0.9))
        vendor = f"vendor-{model % 3}"
        facts: dict[str, Any] = {
            "call_id": f"call_{start_ms + number // 10:011x}{chance.getrandbits(64):016x}", "started_at_ms": start_ms + number // 10, "key": caller.key,
            "project": str(caller.project), "business_unit": str(caller.unit), "model": f"model-{model}", "deployment": f"model-{model}@{vendor}-eu",
            "account": f"{vendor}-eu", "provider": vendor, "upstream_model": f"model-{model}-2026-01", "stream": number % 2 == 0,
            "price": str(UUID(int=model + 1)), "worker": worker, "windows": " ".join(caller.windows), "quote_nanousd": 1_000_000, "quote_tokens": 9_000,
        }  # fmt: skip
        yield encode(intent(**facts))
        open_calls.append(encode(settle(
            **facts, duration_ms=took, first_byte_ms=took // 3, input_tokens=chance.randrange(1000, 4000), output_tokens=chance.randrange(100, 900),
            cost_nanousd=chance.randrange(100_000, 900_000), attempts=(Attempted(facts["deployment"], facts["account"], "ok", 200, took),),
            end_user=f"person-{chance.randrange(2000)}", session=f"s-{number // 5}", ip=f"10.0.{number % 7}.{number % 250}",
            client_request_id=f"req_{chance.getrandbits(64):016x}",
        )))  # fmt: skip
        if len(open_calls) > 50:
            yield open_calls.pop(chance.randrange(50))
    yield from open_calls


def backend_s() -> float:
    """Return the CPU seconds our Postgres backend has used so far, 0 when it cannot be seen from here."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return 0
    connection.ensure_connection()
    try:
        return int(Path(f"/proc/{connection.connection.info.backend_pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0


def one_round(directory: Path, people: list[Caller], number: int, receipts: int) -> Round:
    """Write a journal of a worker of its own and take it in."""
    from billing.intake import Intake
    from billing.leases import take
    from billing.models import Budget
    from tests.billing.budgets import taking, want
    from tests.billing.receipts import write_segment

    intake, worker = Intake(directory), f"w{number}"
    if wants := [want(budget, LEASE_NANOUSD) for budget in Budget.objects.all()]:
        take(intake.host, taking(*wants, worker=worker))
    write_segment(directory, *journal(people, worker, receipts, random.Random(number)), worker=worker)
    wall, cpu, backend = time.perf_counter(), time.process_time(), backend_s()
    taken = intake.run_once()
    spent = (time.perf_counter() - wall, time.process_time() - cpu, backend_s() - backend)
    assert (taken.rows, taken.quarantined) == (receipts, 0), taken
    return Round(*(seconds * 1e6 / receipts for seconds in spent))


def adding_up() -> Round:
    """Add everything up and return what that took per call."""
    from billing.rollups import fold

    wall, cpu, backend = time.perf_counter(), time.process_time(), backend_s()
    calls = fold()
    return Round(*(seconds * 1e6 / calls for seconds in (time.perf_counter() - wall, time.process_time() - cpu, backend_s() - backend)))


def main() -> None:
    """Measure some rounds and print one line each, then their medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--receipts", type=int, default=50_000, help="calls of a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keys", type=int, default=200, help="keys that call, up to 200")
    parser.add_argument("--windows", type=int, default=4, choices=range(5), help="budget windows each call is held against")
    parser.add_argument("--database-url", default="", help="an empty database; SQLite in a temporary directory if left out")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sgw-intake-") as place:
        prepare(chosen.database_url, Path(place))
        from django.db import connection

        from billing.verification import verify

        people = callers(chosen.keys, chosen.windows)
        rounds = []
        for number in range(chosen.rounds + 1):
            rounds.append(one_round(Path(place, "journal"), people, number, chosen.receipts))
            sys.stdout.write(f"{number}: {_line(rounds[-1])}\n")
            sys.stdout.flush()
        folded = adding_up()
        difference = verify().first_bad
        assert difference == "", difference
        median = Round(*(statistics.median(figures) for figures in zip(*rounds[1:], strict=True)))
        sys.stdout.write(f"{connection.vendor}, {chosen.keys} keys, {chosen.windows} windows a call, median of {chosen.rounds}: {_line(median)}\n")
        sys.stdout.write(f"added up by hour, day and label: {_line(folded)}\n")


def _line(one: Round) -> str:
    return f"{1e6 / one.wall_us:,.0f} calls/s, CPU per call {one.cpu_us:.1f} µs here and {one.backend_us:.1f} µs in the Postgres backend"


if __name__ == "__main__":
    main()
