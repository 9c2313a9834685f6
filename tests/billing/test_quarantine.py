"""Receipts put aside: their money stays held through the death of their worker, until they are recorded or a person releases it."""

from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from billing.actions import NotReleasable, release_quarantined
from billing.credits import release_dispute
from billing.intake import Intake
from billing.leases import take
from billing.models import DisputedHold, Lease, Posting, QuarantinedReceipt, UsageRecord
from billing.receipts import Settle, encode
from billing.segments import host_of
from billing.verification import verify
from gateway.plane.journal import Journal
from tests.billing.budgets import budget, figures, project, taking, want
from tests.billing.receipts import settle, write_segment

pytestmark = pytest.mark.django_db
# cached tokens beyond the input: no row can hold that
BAD: dict[str, Any] = {"cached_tokens": 9_999}


@pytest.fixture
def window(tmp_path: Path) -> str:
    """A window of 1000 nano-USD of which worker w0 has leased 500."""
    money = want(budget(1000), 500)
    take(host_of(tmp_path / "journal"), taking(money, worker="w0"))
    return money.window


def receipt(call_id: str, window: str, **changes: Any) -> Settle:
    return settle(call_id, **{"project": project().pk.hex, "cost_nanousd": 120, "quote_nanousd": 200, "worker": "w0", "windows": window, **changes})


def taken_in(directory: Path, *receipts: Settle) -> None:
    """Take in what a dead worker wrote, and give its leases back."""
    write_segment(directory / "journal", *receipts)
    intake = Intake(directory / "journal")
    intake.run_once()
    intake.run_once()


def disputes() -> list[tuple[str, int, bool]]:
    return [(row.call_id, row.amount, row.released_at is None) for row in DisputedHold.objects.order_by("call_id")]


def test_the_money_of_a_receipt_put_aside_stays_held_when_its_worker_is_gone(tmp_path: Path, window: str) -> None:
    taken_in(tmp_path, receipt("call_1", window), receipt("call_2", window, **BAD))
    assert (Lease.objects.count(), disputes()) == (0, [("call_2", 120, True)])
    assert figures(window) == {"base": 1000, "credit": 0, "spent": 120, "held": 120, "overrun": 0}
    assert verify().first_bad == ""


def test_a_receipt_that_is_recorded_after_all_spends_what_was_held_for_it(tmp_path: Path, window: str) -> None:
    taken_in(tmp_path, receipt("call_2", window, **BAD))
    assert release_quarantined(QuarantinedReceipt.objects.get()) is True
    assert (UsageRecord.objects.get().flags, disputes()) == ("mended", [("call_2", 120, False)])
    assert figures(window) == {"base": 1000, "credit": 0, "spent": 120, "held": 0, "overrun": 0}
    assert verify().first_bad == ""


def test_a_person_releases_what_is_held_for_a_receipt_that_stays_aside(tmp_path: Path, window: str) -> None:
    taken_in(tmp_path, receipt("call_2", window, **BAD))
    who = User.objects.create_user("fay@example.com", role="finance")
    assert release_dispute(DisputedHold.objects.get(), who, "the vendor billed nothing") is True
    assert figures(window) == {"base": 1000, "credit": 0, "spent": 0, "held": 0, "overrun": 0}
    assert Posting.objects.get(kind="release").reason == "the vendor billed nothing"
    release_quarantined(QuarantinedReceipt.objects.get())
    assert (figures(window)["overrun"], verify().first_bad) == (120, "")


def test_an_absurd_cost_keeps_held_what_was_quoted(tmp_path: Path, window: str) -> None:
    taken_in(tmp_path, receipt("call_2", window, cost_nanousd=-5))
    assert (disputes(), figures(window)["held"]) == ([("call_2", 200, True)], 200)


def test_no_more_stays_held_than_the_worker_had_leased(tmp_path: Path, window: str) -> None:
    taken_in(tmp_path, receipt("call_2", window, cost_nanousd=900, **BAD))
    assert (disputes(), figures(window)["held"]) == ([("call_2", 500, True)], 500)
    release_quarantined(QuarantinedReceipt.objects.get())
    assert figures(window) == {"base": 1000, "credit": 0, "spent": 900, "held": 0, "overrun": 400}
    assert verify().first_bad == ""


def test_a_receipt_whose_call_id_no_row_can_hold_stays_held_until_a_person_decides(tmp_path: Path, window: str) -> None:
    taken_in(tmp_path, receipt("c" * 99, window), receipt("nul\0", window))
    assert ([amount for _, amount, _ in disputes()], figures(window)["held"]) == ([120, 120], 240)
    for aside in QuarantinedReceipt.objects.all():
        with pytest.raises(NotReleasable):
            release_quarantined(aside)


def test_a_receipt_put_aside_twice_is_held_for_once(tmp_path: Path, window: str) -> None:
    taken_in(tmp_path, receipt("call_2", window, **BAD), receipt("call_2", window, tags="again", **BAD))
    assert (QuarantinedReceipt.objects.count(), disputes()) == (2, [("call_2", 120, True)])


def test_what_a_living_worker_still_holds_stays_its_own(tmp_path: Path, window: str) -> None:
    journal = Journal(tmp_path / "journal", "w0")
    journal.append(encode(receipt("call_2", window, **BAD)))
    Intake(tmp_path / "journal").run_once()
    assert (figures(window)["held"], disputes()) == (500, [("call_2", 120, True)])
    journal.close()


def test_tokens_stay_held_in_tokens(tmp_path: Path) -> None:
    tokens = want(budget(9_000, unit="tokens"), 5_000)
    take(host_of(tmp_path / "journal"), taking(tokens, worker="w0"))
    taken_in(tmp_path, receipt("call_2", tokens.window, cached_tokens=2_000, output_tokens=300))
    assert (disputes(), figures(tokens.window)["held"]) == ([("call_2", 2_000 + 300, True)], 2_300)
