"""Leases: never more than there is, each question once, idle amounts back, whatever the clocks say."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from billing import leases
from billing.holds import GiveBack, Grant
from billing.leases import give_back, reclaim, take, undo
from billing.ledger import balance
from billing.models import Budget, DisputedHold, Entry, Lease, Posting, Window
from billing.verification import verify
from tests.billing.budgets import budget, credit, figures, limit, outstanding, returning, taking, want

pytestmark = pytest.mark.django_db


def granted(*wants: object, worker: str = "w1", host: str = "h1") -> list[tuple[int, str]]:
    """Amount and reason of each answer."""
    return [(grant.amount, grant.reason) for grant in take(host, taking(*wants, worker=worker)).grants]  # type: ignore[arg-type]


def test_a_window_opens_with_its_first_lease_and_everything_is_posted() -> None:
    asked = want(budget(1000), 10, 500)
    answer = take("h1", taking(asked))
    assert answer.grants == (Grant(asked.window, 125, 1000, 0, 125),)
    assert figures(asked.window) == {"base": 1000, "credit": 0, "spent": 0, "held": 125, "overrun": 0}
    assert list(Posting.objects.order_by("id").values_list("kind", flat=True)) == ["open", "lease"]
    assert [balance(f"window:{asked.window}:{account}") for account in ("free", "held", "consumed")] == [875, 125, 0]
    assert balance("budgets") == -1000


def test_slices_shrink_to_exactly_what_a_call_needs_and_then_it_is_over() -> None:
    one = budget(100)
    amounts = [granted(want(one, 10, 1000), worker=f"w{n}")[0] for n in range(10)]
    assert amounts == [(12, ""), (11, ""), *[(10, "")] * 7, (0, "held")]
    assert figures(want(one, 1).window)["held"] == 93
    assert granted(want(one, 7)) == [(7, "")]


def test_the_same_question_again_is_answered_alike_and_granted_once() -> None:
    asked = taking(want(budget(100), 10, 80))
    first = take("h1", asked)
    assert [take("h1", asked).grants[0].amount for _ in range(3)] == [first.grants[0].amount] * 3 == [12] * 3
    assert (outstanding(), Entry.objects.count()) == ({"w1": 12}, 2)


def test_what_is_given_back_twice_comes_back_once_and_never_more_than_was_held() -> None:
    asked = want(budget(100), 40)
    take("h1", taking(asked))
    again = returning(**{asked.window: 15})
    give_back("h1", again)
    give_back("h1", again)
    assert outstanding() == {"w1": 25}
    give_back("h1", returning(**{asked.window: 1000}))
    give_back("h1", returning(worker="stranger", **{asked.window: 5, "nobody:2026-11": 5}))
    assert (outstanding(), figures(asked.window)["held"], balance(f"window:{asked.window}:free")) == ({"w1": 0}, 0, 100)


def test_an_ended_lease_keeps_nothing_unless_it_was_granted_later() -> None:
    asked, at_once, per_minute = want(budget(100), 40), want(limit(10, "parallel"), 2), want(limit(10), 3)
    wants = (asked, at_once, per_minute)
    take("h1", taking(*wants, number=5))
    said = GiveBack(6, "w1", {}, tuple(one.window for one in wants))
    leases.end("h2", said)
    assert [figures(one.window)["held"] for one in wants] == [40, 2, 3]
    leases.end("h1", said)
    leases.end("h1", said)
    # what was taken of a minute stays counted
    assert [figures(one.window)["held"] for one in wants] == [0, 0, 3]
    assert (balance(f"window:{asked.window}:held"), verify().first_bad) == (0, "")
    take("h1", taking(*wants, number=7))
    leases.end("h1", said)
    assert [figures(one.window)["held"] for one in wants] == [40, 2, 6]


def test_an_answer_nobody_heard_is_undone_once_and_may_be_asked_again() -> None:
    question = taking(want(budget(100), 40))
    take("h1", question)
    undo("h1", question)
    undo("h1", question)
    assert outstanding() == {"w1": 0}
    assert [grant.amount for grant in take("h1", question).grants] == [40]
    assert outstanding() == {"w1": 40}


def test_each_level_answers_for_itself() -> None:
    wide, narrow = budget(1000), budget(5, name="n")
    assert granted(want(wide, 10), want(narrow, 10)) == [(10, ""), (0, "exhausted")]


def test_a_frozen_budget_says_so() -> None:
    assert granted(want(budget(is_frozen=True), 1)) == [(0, "frozen")]


def test_a_soft_window_gives_whatever_is_asked() -> None:
    one = budget(10, mode=Budget.Mode.SOFT)
    assert granted(want(one, 100), want(budget(10, name="h"), 11)) == [(100, ""), (0, "exhausted")]


@pytest.mark.parametrize(
    ("period", "off_s", "expected"),
    [
        ("minute", -7 * 60, (0, "exhausted")),
        ("minute", +6 * 60, (0, "exhausted")),
        ("minute", -60, (1, "")),
        ("minute", +60, (1, "")),
        ("daily", -2 * 86_400, (0, "exhausted")),
        ("daily", +2 * 86_400, (0, "exhausted")),
    ],
)
def test_a_worker_whose_clock_is_off_gets_nothing_from_another_time(period: str, off_s: int, expected: tuple[int, str]) -> None:
    owner = limit(10) if period == "minute" else budget(period=period)
    assert granted(want(owner, 1, at_s=time.time() + off_s)) == [expected]


def test_borders_that_are_not_the_periods_open_no_window() -> None:
    asked = want(budget(), 1)
    stretched = type(asked)(asked.window, asked.owner, "", asked.opens_at_s, asked.closes_at_s + 86_400, 1, 1)
    other = type(asked)(f"x{asked.window}", asked.owner, "", asked.opens_at_s, asked.closes_at_s, 1, 1)
    assert (granted(stretched, other), Window.objects.count()) == ([(0, "exhausted")] * 2, 0)


def test_a_limit_counts_and_one_that_is_gone_limits_nothing() -> None:
    calls = limit(3)
    asked = want(calls, 1)
    assert [granted(asked)[0] for _ in range(4)] == [(1, "")] * 3 + [(0, "held")]
    Window.objects.all().delete()
    calls.delete()
    assert (granted(asked), Lease.objects.count(), Posting.objects.count()) == ([(1, "")], 0, 0)


def test_credit_is_drawn_exactly_as_needed_and_the_earliest_end_first() -> None:
    now, one = datetime.now(UTC), budget(10)
    account = credit((100, None), (30, now + timedelta(days=9)), (5, now + timedelta(days=1)), (99, now - timedelta(days=1)))
    assert granted(want(one, 22, 1000)) == [(22, "")]
    assert list(account.grants.order_by("id").values_list("remaining_nanousd", flat=True)) == [100, 23, 0, 99]
    assert figures(want(one, 1).window) == {"base": 10, "credit": 12, "spent": 0, "held": 22, "overrun": 0}
    assert granted(want(one, 124)) == [(0, "held")]
    assert granted(want(one, 123)) == [(123, "")]
    account.is_frozen = True
    account.save()
    assert granted(want(one, 1)) == [(0, "held")]


def test_a_dead_workers_leases_go_back_but_a_minutes_calls_stay_counted() -> None:
    money, calls, parallel = want(budget(100), 40), want(limit(3), 2), want(limit(9, "parallel"), 2)
    take("h1", taking(money, calls, parallel))
    take("h1", taking(money, worker="w2"))
    assert leases.workers_of("h1") == {"w1", "w2"}
    assert reclaim("w1") == {money.window: 40, parallel.window: 2}
    assert reclaim("w1") == {}
    assert (figures(money.window)["held"], figures(calls.window)["held"], figures(parallel.window)["held"]) == (40, 2, 0)
    assert balance(f"window:{money.window}:free") == 60


def test_what_only_a_dispute_keeps_is_exhausted_not_held() -> None:
    one = want(budget(100), 100)
    take("h1", taking(one))
    DisputedHold.objects.create(call_id="c", window_id=one.window, amount=100)
    Lease.objects.update(outstanding=0)
    assert granted(one, worker="w2") == [(0, "exhausted")]


def test_a_recall_waits_for_living_hosts_until_they_have_followed() -> None:
    one = want(budget(100), 40)
    take("h1", taking(one))
    take("h2", taking(one, worker="w2"))
    leases.heard_of("h2")
    assert leases.held_elsewhere("h1", [one.window]) == {one.window}
    leases.recall("h1", [one.window])
    assert (leases.recalled("h1"), leases.recalled("h2")) == ({}, {one.window: 1})
    assert leases.held_elsewhere("h1", [one.window], unanswered=True) == {one.window}
    leases.follow("h2", {one.window: 1})
    assert leases.held_elsewhere("h1", [one.window], unanswered=True) == set()
    assert leases.held_elsewhere("h2", [one.window]) == set()  # nobody hears of h1


def test_leases_of_a_host_that_fell_silent_are_shown_not_reclaimed() -> None:
    take("h1", taking(want(budget(100), 40)))
    take("h2", taking(want(budget(100, name="o"), 40), worker="w2"))
    leases.heard_of("h2")
    assert [lease.worker for lease in leases.abandoned()] == ["w1"]
