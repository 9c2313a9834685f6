"""Intake spends windows: exactly once, out of leases first, with the ledger and the windows telling the same."""

from pathlib import Path

import pytest

from billing.actions import release_quarantined
from billing.intake import Intake
from billing.leases import take
from billing.ledger import balance
from billing.models import Budget, DisputedHold, Lease, Posting, QuarantinedReceipt, UsageRecord, Window
from billing.receipts import Progress, encode
from gateway.plane.journal import Journal
from tests.billing.budgets import budget, figures, outstanding, taking, want
from tests.billing.receipts import STARTED_AT_MS, intent, settle, write_segment

pytestmark = pytest.mark.django_db


def accounts(window: str) -> tuple[int, int, int]:
    """What the ledger says is free, held and consumed."""
    return balance(f"window:{window}:free"), balance(f"window:{window}:held"), balance(f"window:{window}:consumed")


def test_a_batch_spends_the_workers_lease_in_one_posting(tmp_path: Path) -> None:
    money, wide = want(budget(1000), 500), want(budget(9000, name="wide"), 600)
    journal, names = Journal(tmp_path, "w1"), f"{money.window} {wide.window}"
    intake = Intake(tmp_path)
    take(intake.host, taking(money, wide))
    for number in range(3):
        journal.append(encode(settle(f"call_{number}", cost_nanousd=100, worker="w1", windows=names)))
    journal.append(encode(settle("call_4", cost_nanousd=7)))
    intake.run_once()
    assert figures(money.window) == {"base": 1000, "credit": 0, "spent": 300, "held": 200, "overrun": 0}
    assert (accounts(money.window), accounts(wide.window)) == ((500, 200, 300), (8400, 300, 300))
    consumed = Posting.objects.get(kind="consume")
    assert list(UsageRecord.objects.order_by("call_id").values_list("posting", "worker", "windows")) == [(consumed.id, "w1", names)] * 3 + [(None, "", "")]
    assert consumed.entries.count() == 2
    journal.close()
    intake.run_once()
    assert (Lease.objects.count(), figures(money.window)["held"], accounts(wide.window)) == (0, 0, (8700, 0, 300))


def test_the_same_receipts_again_spend_nothing(tmp_path: Path) -> None:
    money = want(budget(1000), 500)
    take("elsewhere", taking(money))
    for number in (1, 2):
        write_segment(tmp_path, *[settle(cost_nanousd=100, worker="w1", windows=money.window)] * 2, number=number)
    Intake(tmp_path).run_once()
    assert (figures(money.window)["spent"], Posting.objects.filter(kind="consume").count()) == (100, 1)


def test_what_vendors_used_beyond_the_lease_is_overrun(tmp_path: Path) -> None:
    money = want(budget(1000), 50)
    take("elsewhere", taking(money))
    write_segment(
        tmp_path, settle(cost_nanousd=80, worker="w1", windows=money.window), settle("call_2", cost_nanousd=5, worker="stranger", windows=money.window)
    )
    Intake(tmp_path).run_once()
    assert figures(money.window) == {"base": 1000, "credit": 0, "spent": 85, "held": 0, "overrun": 35}
    assert (accounts(money.window), balance("overrun")) == ((950, 0, 85), -35)


def test_a_soft_window_opens_with_its_first_receipt_and_goes_over(tmp_path: Path) -> None:
    soft = budget(150, mode=Budget.Mode.SOFT, per="session")
    window = want(soft, 1, subject="abc").window
    write_segment(tmp_path, *[settle(f"call_{n}", cost_nanousd=100, worker="w1", windows=window, session="s 1") for n in range(3)])
    Intake(tmp_path).run_once()
    assert figures(window) == {"base": 150, "credit": 0, "spent": 300, "held": 0, "overrun": 150}
    assert (accounts(window), Window.objects.get().subject) == ((0, 0, 300), "s 1")


def test_a_token_budget_counts_tokens_and_has_no_ledger(tmp_path: Path) -> None:
    tokens = want(budget(5000, unit="tokens"), 2000)
    take("elsewhere", taking(tokens))
    write_segment(tmp_path, settle(worker="w1", windows=tokens.window))
    Intake(tmp_path).run_once()
    assert figures(tokens.window) == {"base": 5000, "credit": 0, "spent": 1500, "held": 500, "overrun": 0}
    assert list(Posting.objects.values_list("kind", "entries__id")) == [("consume", None)]


def test_of_an_orphan_the_rest_of_its_hold_stays_disputed_and_the_lease_goes_back(tmp_path: Path) -> None:
    money, tokens = want(budget(1000), 700), want(budget(1000, unit="tokens", name="t"), 700)
    intake, names = Intake(tmp_path), f"{money.window} {tokens.window}"
    take(intake.host, taking(money, tokens))
    held = dict(worker="w1", windows=names, quote_nanousd=300, quote_tokens=200)
    write_segment(tmp_path, intent("call_1", input_nanousd=50, **held), intent("call_2", **held), Progress("call_2", STARTED_AT_MS, 40, 77, 120), worker="w1")
    intake.run_once()
    disputes = DisputedHold.objects.order_by("call_id", "amount").values_list("call_id", "window", "amount")
    assert list(disputes) == [("call_1", tokens.window, 160), ("call_1", money.window, 250), ("call_2", tokens.window, 83), ("call_2", money.window, 180)]
    assert figures(money.window) == {"base": 1000, "credit": 0, "spent": 170, "held": 430, "overrun": 0}
    assert (figures(tokens.window)["held"], accounts(money.window), outstanding()) == (243, (400, 430, 170), {})


def test_a_living_workers_leases_are_never_reclaimed(tmp_path: Path) -> None:
    money, intake, journal = want(budget(1000), 70), Intake(tmp_path), Journal(tmp_path, "w1")
    take(intake.host, taking(money))
    intake.run_once()
    assert outstanding() == {"w1": 70}
    journal.close()
    intake.run_once()
    assert outstanding() == {}


def test_a_lease_given_after_its_worker_died_goes_back_all_the_same(tmp_path: Path) -> None:
    money, intake = want(budget(1000), 70), Intake(tmp_path)
    Journal(tmp_path, "w1").close()
    intake.run_once()
    take(intake.host, taking(money))
    intake.run_once()
    assert (outstanding(), figures(money.window)["held"]) == ({}, 0)


def test_an_absurd_receipt_spends_when_it_is_released(tmp_path: Path) -> None:
    money = want(budget(1000), 300)
    take("elsewhere", taking(money))
    write_segment(tmp_path, settle(cost_nanousd=-5, quote_nanousd=200, worker="w1", windows=money.window, end_user="a\0b"))
    Intake(tmp_path).run_once()
    assert figures(money.window)["spent"] == 0
    assert release_quarantined(QuarantinedReceipt.objects.get()) is True
    assert (figures(money.window)["spent"], accounts(money.window)) == (200, (700, 100, 200))


def test_receipts_of_windows_nobody_knows_are_recorded_all_the_same(tmp_path: Path) -> None:
    write_segment(tmp_path, settle(worker="w1", windows="nobody:2026-11 x"), settle("call_2", cost_nanousd=2**63 - 1, windows=want(budget(), 1).window))
    Intake(tmp_path).run_once()
    assert (UsageRecord.objects.count(), Window.objects.get().spent) == (2, 2**62)
