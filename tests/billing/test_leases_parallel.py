"""Many workers on two hosts, each with a connection of its own, take from the same windows at the same moment."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from billing import budgets, consumption, credits  # noqa: A004  # the subject's name
from billing.holds import Want
from billing.intake import Intake
from billing.leases import give_back, take
from billing.models import Budget
from billing.verification import verify
from tests.billing.budgets import budget, figures, outstanding, project, returning, taking, want
from tests.billing.receipts import settle, write_segment

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


def at_once(work: list[Callable[[], int]]) -> list[int]:
    """Run everything at the same time, each in a thread of its own, and return the results."""

    def closing(one: Callable[[], int]) -> int:
        try:
            return one()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(work)) as threads:
        return list(threads.map(closing, work))


def greedy(host: str, worker: str, *wants: Want) -> Callable[[], int]:
    """Take until nothing is given any more, giving back a little in between; returns what is kept of the first window."""

    def run() -> int:
        kept = refused = returned = 0
        while refused < 2:
            grants = take(host, taking(*wants, worker=worker)).grants
            assert all(grant.spent + grant.held <= grant.limit for grant in grants)
            kept += grants[0].amount
            refused = 0 if grants[0].amount else refused + 1
            if kept > 30 and not refused and returned < 5:
                returned += 1
                give_back(host, returning(worker, **{grants[0].window: 3}))
                kept -= 3
        return kept

    return run


def test_sixteen_workers_on_two_hosts_fill_a_window_exactly() -> None:
    narrow, wide = want(budget(997), 1, 50), want(budget(5000, name="wide"), 1, 50)
    work = [greedy(f"h{n % 2}", f"w{n}", narrow, wide) for n in range(16)]
    kept = at_once(work)
    assert (sum(kept), figures(narrow.window)["held"]) == (997, 997)
    assert verify().first_bad == ""


def test_taking_intake_and_changes_of_the_budget_do_not_wait_in_a_circle(tmp_path: Path) -> None:
    one, other = budget(100_000), budget(100_000, name="o")
    wants = want(one, 5, 40), want(other, 5, 40)
    account = credits.open_account(project(), "c")
    for number in range(8):
        names = f"{wants[number % 2].window} {wants[1 - number % 2].window}"
        calls = [settle(f"call_{number}_{call}", cost_nanousd=3, worker=f"w{number}", windows=names) for call in range(50)]
        write_segment(tmp_path / f"{number % 2}", *calls, worker=f"w{number}")

    def taker(number: int) -> Callable[[], int]:
        def run() -> int:
            order = wants if number % 2 else wants[::-1]
            return sum(take(f"h{number % 2}", taking(*order, worker=f"w{number}")).grants[0].amount for _ in range(20))

        return run

    def changer() -> int:
        for amount in (90_000, 110_000, 100_000):
            for each in (one, other):
                mine = Budget.objects.get(pk=each.pk)
                mine.amount = amount
                budgets.save_budget(mine, None, "r")
            credits.grant(account, 10, datetime.now(UTC) + timedelta(days=1), None, "r")
        return 0

    at_once([*[taker(n) for n in range(6)], changer, *[lambda n=n: Intake(tmp_path / f"{n}").run_once().rows for n in range(2)]])  # type: ignore[misc]
    assert sum(figures(asked.window)["spent"] for asked in wants) == 2 * 8 * 50 * 3
    assert sum(outstanding().values()) == sum(figures(asked.window)["held"] for asked in wants)
    assert verify().first_bad == ""


def test_a_window_that_is_opened_between_two_looks_is_spent_from_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = want(budget(1000), 1)
    take("h", taking(asked, worker="w"))
    looks: list[int] = []

    def locked(names: Iterable[str], look: Callable[..., Any] = consumption._locked) -> dict[str, Any]:
        # the first look comes a moment before what opened the window is committed
        looks.append(1)
        found: dict[str, Any] = look(names)
        return found if len(looks) > 1 else {}

    monkeypatch.setattr(consumption, "_locked", locked)
    write_segment(tmp_path, settle("call_1", cost_nanousd=3, worker="w", windows=asked.window), worker="w")
    assert Intake(tmp_path).run_once().rows == 1
    assert (figures(asked.window)["spent"], len(looks), verify().first_bad) == (3, 2, "")


def test_a_window_is_opened_once_by_many() -> None:
    asked = want(budget(1000), 1)
    assert at_once([lambda n=n: take("h", taking(asked, worker=f"w{n}")).grants[0].amount for n in range(8)]) == [1] * 8  # type: ignore[misc]
    assert (figures(asked.window)["held"], verify().first_bad) == (8, "")
