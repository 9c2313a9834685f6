"""Credit: granted, moved, drawn, returned and expired, each with its posting."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction

from accounts.models import BusinessUnit
from billing import credits, ledger  # noqa: A004  # the subject's name
from billing.leases import give_back, reclaim, take
from billing.ledger import balance
from billing.models import BudgetChange, CreditAccount, CreditGrant, DisputedHold, Entry, Lease, Posting, Window
from billing.tasks import close_windows
from billing.verification import verify
from tests.billing.budgets import budget, figures, limit, outstanding, project, returning, taking, want

pytestmark = pytest.mark.django_db


def soon(days: float = 1) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def remaining() -> list[int]:
    return list(CreditGrant.objects.order_by("id").values_list("remaining_nanousd", flat=True))


def test_one_account_for_each_scope() -> None:
    account = credits.open_account(project(), "c")
    assert CreditAccount.objects.get() == account
    with pytest.raises(ValidationError):
        credits.open_account(project(), "again")


def test_a_grant_is_posted_and_needs_a_reason_an_amount_and_a_future() -> None:
    account = credits.open_account(project(), "c")
    made = credits.grant(account, 500, None, None, " launch ")
    assert (made.reason, balance(f"grant:{made.id}"), balance("credits")) == ("launch", 500, -500)
    for amount, end, reason in ((0, None, "r"), (-5, None, "r"), (2**62, None, "r"), (5, soon(-1), "r"), (5, None, "  "), (5, None, "x" * 501)):
        with pytest.raises(ValidationError):
            credits.grant(account, amount, end, None, reason)
    assert verify().first_bad == ""


def test_credit_moves_with_its_end_the_earliest_first() -> None:
    source, target = credits.open_account(project(), "c"), credits.open_account(BusinessUnit.objects.create(name="U"), "u")
    end = soon()
    credits.grant(source, 100, None, None, "r")
    credits.grant(source, 30, end, None, "r")
    made = credits.move(source, target, 40, None, "r")
    assert [(grant.amount_nanousd, grant.expires_at) for grant in made] == [(30, end), (10, None)]
    assert remaining() == [90, 0, 30, 10]
    for amount in (91, 0):
        with pytest.raises(ValidationError):
            credits.move(source, target, amount, None, "r")
    with pytest.raises(ValidationError, match="different"):
        credits.move(source, source, 1, None, "r")
    assert verify().first_bad == ""


def test_a_grant_nobody_used_can_be_taken_back_once() -> None:
    account = credits.open_account(project(), "c")
    made = credits.grant(account, 500, None, None, "r")
    credits.take_back(made, None, "wrong account")
    assert (remaining(), balance("credits"), verify().first_bad) == ([0], 0, "")
    with pytest.raises(ValidationError):
        credits.take_back(made, None, "again")
    with pytest.raises(ValidationError, match="reversed before"):
        ledger.reverse(Posting.objects.get(kind="grant"), None, "again")


def test_a_frozen_account_lends_nothing() -> None:
    account = credits.open_account(project(), "c")
    credits.grant(account, 500, None, None, "r")
    assert [credits.set_frozen(account, True, None, "r"), credits.set_frozen(account, True, None, "r")] == [True, False]
    assert take("h", taking(want(budget(10), 11))).grants[0].amount == 0


def test_a_budget_is_raised_until_a_moment() -> None:
    one = budget(10)
    credits.raise_temporarily(one, 90, soon(), None, "the fair")
    assert take("h", taking(want(one, 100))).grants[0].amount == 100
    with pytest.raises(ValidationError, match="hard budget in money"):
        credits.raise_temporarily(budget(10, unit="tokens", name="t"), 5, soon(), None, "r")


def test_expired_credit_is_gone_but_what_was_drawn_stays() -> None:
    one, account = budget(10, period="total"), credits.open_account(project(), "c")
    credits.grant(account, 100, soon(1), None, "r")
    credits.grant(account, 7, None, None, "r")
    take("h", taking(want(one, 40)))
    CreditGrant.objects.filter(amount_nanousd=100).update(expires_at=soon(-1))
    assert [credits.expire_due(), credits.expire_due()] == [1, 0]
    assert (remaining(), balance("expired"), figures(want(one, 1).window)["credit"], verify().first_bad) == ([0, 7], 70, 30, "")


def closed_yesterday(window: str) -> None:
    """Let a window have ended; what its clock says is the only difference."""
    Window.objects.filter(id=window).update(closes_at=soon(-1))


def test_when_a_window_closes_unused_credit_goes_back_to_those_drawn_last_first() -> None:
    one, account = budget(10), credits.open_account(project(), "c")
    credits.grant(account, 30, soon(), None, "r")
    credits.grant(account, 50, None, None, "r")
    asked = want(one, 20)
    take("h", taking(asked))
    take("h", taking(asked, worker="w2"))
    take("h", taking(asked, worker="w3"))
    assert (remaining(), figures(asked.window)["credit"]) == ([0, 30], 50)
    closed_yesterday(asked.window)
    assert credits.close_windows() == 0
    reclaim("w3")
    give_back("h", returning("w2", **{asked.window: 20}))
    give_back("h", returning("w1", **{asked.window: 15}))
    reclaim("w1")
    Lease.objects.all().delete()
    assert [credits.close_windows(), credits.close_windows()] == [1, 0]
    assert (remaining(), figures(asked.window)["credit"]) == ([30, 50], 0)
    assert (outstanding(), verify().first_bad) == ({}, "")
    assert take("h", taking(asked)).grants[0].reason == "exhausted"


def test_a_window_closes_only_when_nobody_holds_it_and_calls_its_leases_back() -> None:
    asked = want(budget(10), 5)
    take("h", taking(asked))
    closed_yesterday(asked.window)
    assert (credits.close_windows(), Window.objects.get().recall, Window.objects.get().closed_at) == (0, 1, None)


def test_windows_of_limits_are_deleted_after_their_minute() -> None:
    minute, parallel = want(limit(5), 1), want(limit(5, "parallel"), 1)
    take("h", taking(minute, parallel))
    closed_yesterday(minute.window)
    assert (close_windows(), [window.id for window in Window.objects.all()]) == (1, [parallel.window])


def test_credit_drawn_from_a_grant_that_ended_expires_at_the_close() -> None:
    one, account = budget(10), credits.open_account(project(), "c")
    credits.grant(account, 30, soon(), None, "r")
    asked = want(one, 20)
    take("h", taking(asked))
    reclaim("w1")
    CreditGrant.objects.update(expires_at=soon(-1))
    credits.expire_due()
    closed_yesterday(asked.window)
    credits.close_windows()
    assert (remaining(), balance("expired"), figures(asked.window)["credit"], verify().first_bad) == ([0], 30, 0, "")


def test_a_dispute_is_released_once_also_after_its_window_closed() -> None:
    one, account = budget(10), credits.open_account(project(), "c")
    credits.grant(account, 30, None, None, "r")
    asked = want(one, 30)
    take("h", taking(asked))
    dispute = DisputedHold.objects.create(call_id="c1", window_id=asked.window, amount=30)
    Lease.objects.all().delete()
    closed_yesterday(asked.window)
    assert credits.close_windows() == 1
    assert [credits.release_dispute(dispute, None, "the vendor shows nothing"), credits.release_dispute(dispute, None, "again")] == [True, False]
    assert (figures(asked.window), remaining(), verify().first_bad) == ({"base": 10, "credit": 0, "spent": 0, "held": 0, "overrun": 0}, [30], "")


def test_the_database_refuses_to_change_the_ledger() -> None:
    credits.grant(credits.open_account(project(), "c"), 500, None, None, "r")
    for attempt in (
        lambda: Entry.objects.update(amount_nanousd=1),
        lambda: Posting.objects.update(reason="x"),
        lambda: Entry.objects.all().delete(),
        lambda: Posting.objects.all().delete(),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            attempt()
    assert (Entry.objects.count(), Posting.objects.count()) == (1, 1)


def test_an_event_is_posted_once() -> None:
    ledger.post("adjust", "once", [ledger.Movement("budgets", "window:x:free", 5)])
    with pytest.raises(ValidationError, match="posted before"):
        ledger.post("adjust", "once", [])


def test_an_account_is_renamed_and_who_did_it_is_kept() -> None:
    account = credits.open_account(project(), "c")
    with pytest.raises(ValidationError):
        credits.rename(account, " ")
    credits.rename(account, " Launch ", None, "clearer")
    kept = BudgetChange.objects.values("subject", "kind", "before", "after", "reason").get(kind="changed")
    assert (CreditAccount.objects.get().name, kept) == (
        "Launch",
        {"subject": f"crd_{account.pk}", "kind": "changed", "before": {"name": "c"}, "after": {"name": "Launch"}, "reason": "clearer"},
    )
