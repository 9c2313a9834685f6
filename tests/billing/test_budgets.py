"""Budgets and limits change their open windows and the ledger together."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts.models import User
from billing import budgets
from billing.holds import Span, span_of
from billing.leases import recalled, take
from billing.ledger import balance
from billing.models import Budget, BudgetChange, Lease, Limit, Posting, Window
from billing.standing import standings
from billing.windows import span_named
from tests.billing.budgets import budget, figures, limit, project, taking, want

pytestmark = pytest.mark.django_db


def test_a_budget_is_checked_when_it_is_made() -> None:
    made = budgets.save_budget(Budget(project=project(), name="b", amount=5))
    assert Budget.objects.get() == made
    for wrong in ({"name": ""}, {"thresholds": ["x"]}, {"thresholds": [0]}, {"amount": 2**62 + 1}, {"period": "fixed"}, {"starts_at": datetime.now(UTC)}):
        with pytest.raises(ValidationError):
            budgets.save_budget(Budget(**{"project": project(), "name": "c", "amount": 5, **wrong}))
    with pytest.raises(ValidationError, match="Choose one project"):
        budgets.save_budget(Budget(name="c", amount=5))


def test_raising_and_lowering_a_budget_changes_its_open_window_and_is_posted_with_a_reason() -> None:
    one = budget(1000)
    asked = want(one, 600)
    take("h1", taking(asked))
    one.amount = 1500
    with pytest.raises(ValidationError, match="Say why"):
        budgets.save_budget(one)
    budgets.save_budget(one, None, "a large order")
    assert (figures(asked.window)["base"], balance(f"window:{asked.window}:free"), recalled("h1")) == (1500, 900, {})
    one.amount = 100
    budgets.save_budget(one, None, "cancelled")
    assert (figures(asked.window)["base"], balance(f"window:{asked.window}:free"), recalled("h1")) == (100, -500, {asked.window: 1})
    assert list(Posting.objects.filter(kind="adjust").order_by("id").values_list("reason", flat=True)) == ["a large order", "cancelled"]
    assert take("h1", taking(want(one, 1), worker="w2")).grants[0].amount == 0


def test_a_budget_keeps_its_unit_and_its_scope() -> None:
    one = budget(1000)
    one.unit = "tokens"
    with pytest.raises(ValidationError, match="keeps its unit"):
        budgets.save_budget(one, None, "r")


def test_another_period_ends_the_windows_of_the_old_one() -> None:
    one = budget(1000, period="total")
    old = want(one, 10)
    take("h1", taking(old))
    one.period = "daily"
    budgets.save_budget(one)
    ended = Window.objects.get(id=old.window).closes_at
    assert ended is not None
    assert ended <= datetime.now(UTC)
    assert take("h1", taking(want(one, 10))).grants[0].amount == 10


def test_a_fixed_budgets_window_moves_with_its_days() -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    one = budget(1000, period="fixed", starts_at=now - timedelta(days=1), ends_at=now + timedelta(days=1))
    asked = want(one, 10)
    take("h1", taking(asked))
    one.ends_at = now + timedelta(days=9)
    budgets.save_budget(one)
    assert Window.objects.get().closes_at == one.ends_at


def test_freezing_stops_leases_calls_idle_ones_back_and_can_be_undone() -> None:
    one = budget(1000)
    asked = want(one, 10)
    take("h1", taking(asked))
    assert [budgets.set_frozen(one, True, None, "r"), budgets.set_frozen(one, True, None, "r")] == [True, False]
    assert (take("h1", taking(asked)).grants[0].reason, recalled("h1")) == ("frozen", {asked.window: 1})
    budgets.set_frozen(one, False, None, "r")
    assert take("h1", taking(asked)).grants[0].amount == 10
    with pytest.raises(ValidationError, match="Say why"):
        budgets.archive(one)
    assert (budgets.archive(one, None, "r"), Budget.objects.get().is_archived) == (True, True)


def test_a_limit_changes_with_its_windows_and_goes_with_them() -> None:
    one = limit(3)
    asked = want(one, 2)
    take("h1", taking(asked))
    one.amount = 9
    with pytest.raises(ValidationError, match="Say why"):
        budgets.save_limit(one)
    budgets.save_limit(one, None, "season")
    assert figures(asked.window)["base"] == 9
    one.kind = "tpm"
    with pytest.raises(ValidationError, match="keeps its kind"):
        budgets.save_limit(one)
    with pytest.raises(ValidationError, match="Say why"):
        budgets.delete_limit(one, None, " ")
    budgets.delete_limit(one, None, "over")
    assert (Limit.objects.count(), Window.objects.count(), Lease.objects.count()) == (0, 0, 0)


def stamp(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("period", "at", "label", "opens", "closes"),
    [
        ("monthly", "2028-02-29T23:59:59+00:00", "2028-02", "2028-02-01", "2028-03-01"),
        ("monthly", "2026-12-31T23:59:59+00:00", "2026-12", "2026-12-01", "2027-01-01"),
        ("monthly", "2026-12-31T19:00:00-06:00", "2027-01", "2027-01-01", "2027-02-01"),
        ("weekly", "2026-12-31T12:00:00+00:00", "2026-W53", "2026-12-28", "2027-01-04"),
        ("weekly", "2027-01-03T23:59:59+00:00", "2026-W53", "2026-12-28", "2027-01-04"),
        ("daily", "2028-02-29T00:00:00+00:00", "2028-02-29", "2028-02-29", "2028-03-01"),
        # the night clocks change in Berlin: the day in UTC has 24 hours all the same
        ("daily", "2026-03-29T02:30:00+02:00", "2026-03-29", "2026-03-29", "2026-03-30"),
        ("daily", "2026-10-25T00:30:00+00:00", "2026-10-25", "2026-10-25", "2026-10-26"),
    ],
)
def test_windows_begin_and_end_in_utc(period: str, at: str, label: str, opens: str, closes: str) -> None:
    expected = Span(label, int(stamp(f"{opens}T00:00:00+00:00")), int(stamp(f"{closes}T00:00:00+00:00")))
    assert span_of(period, stamp(at)) == expected
    assert span_named(Budget(period=period), label) == expected


def test_labels_that_are_no_span_of_the_period_are_none() -> None:
    labels = ("2026-13", "2026-11-24", "now", "", "2026-1")
    assert [span_named(Budget(period="monthly"), label) for label in labels] == [None] * 5
    assert span_named(Budget(period="total"), "total") == Span("total", 0, 0)
    assert span_of("minute", time.time()).closes_at_s - span_of("minute", time.time()).opens_at_s == 60


def changes() -> list[tuple[str, str, dict[str, object], dict[str, object], str, str]]:
    return [
        (change.subject[:4], change.kind, change.before, change.after, str(change.actor or ""), change.reason) for change in BudgetChange.objects.order_by("id")
    ]


def test_who_changed_a_budget_and_why_is_kept() -> None:
    who = User.objects.create_user("fay@example.com", role="finance")
    one = budget(1000)
    one.amount = 2000
    budgets.save_budget(one, who, "season")
    budgets.save_budget(one, who, "nothing differs")
    budgets.set_frozen(one, True, who, " audit ")
    budgets.set_frozen(one, True, who, "again")
    budgets.set_frozen(one, False, who, "done")
    budgets.archive(one, who, "over")
    assert changes() == [
        ("bud_", "changed", {"amount": 1000}, {"amount": 2000}, "fay@example.com", "season"),
        ("bud_", "frozen", {"is_frozen": False}, {"is_frozen": True}, "fay@example.com", "audit"),
        ("bud_", "unfrozen", {"is_frozen": True}, {"is_frozen": False}, "fay@example.com", "done"),
        ("bud_", "archived", {"is_archived": False}, {"is_archived": True}, "fay@example.com", "over"),
    ]


def test_who_made_changed_and_deleted_a_limit_is_kept() -> None:
    place = {"project_id": str(project().pk)}
    one = budgets.save_limit(Limit(project=project(), kind="rpm", amount=10), None, "start")
    one.amount = 20
    budgets.save_limit(one, None, "more")
    budgets.delete_limit(one, None, "gone")
    assert changes() == [
        ("lim_", "created", {}, {"kind": "rpm", "amount": 10, **place}, "", "start"),
        ("lim_", "changed", {"amount": 10}, {"amount": 20}, "", "more"),
        ("lim_", "deleted", {"kind": "rpm", "amount": 20, **place}, {}, "", "gone"),
    ]


def test_a_kept_change_is_never_changed() -> None:
    budgets.save_limit(limit(10))
    budgets.set_frozen(budget(), True, None, "audit")
    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        BudgetChange.objects.update(reason="x")


def test_a_budget_lowered_under_what_is_used_has_nothing_left_and_gives_nothing() -> None:
    one = budget(1000)
    asked = want(one, 600)
    take("h1", taking(asked))
    one.amount = 100
    budgets.save_budget(one, None, "cancelled")
    assert (standings([one])[one.id].left, Window.objects.get().left) == (0, 0)
    assert [take("h1", taking(want(one, 1), worker=name)).grants[0].amount for name in ("w1", "w2")] == [0, 0]
