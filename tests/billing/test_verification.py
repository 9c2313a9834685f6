"""The ledger explains everything, and says the first thing that it does not."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from billing import leases
from billing.intake import Intake
from billing.leases import take
from billing.models import CreditGrant, Host, Lease, Window
from billing.receipts import Attempted, Charge
from billing.verification import Verified, verify
from tests.billing.budgets import budget, credit, figures, taking, want
from tests.billing.receipts import settle, write_segment

pytestmark = pytest.mark.django_db


def output(command: str, **options: object) -> str:
    out = StringIO()
    call_command(command, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def spent(tmp_path: Path) -> str:
    """A window two calls of 100 nano-USD were spent in, 50 of them beyond the lease."""
    money = want(budget(1000), 150)
    take("h", taking(money))
    write_segment(tmp_path, *[settle(f"call_{n}", cost_nanousd=100, worker="w1", windows=money.window) for n in range(2)])
    Intake(tmp_path).run_once()
    return money.window


def test_everything_adds_up(spent: str) -> None:
    assert verify() == Verified(checked=2, explained_ratio=1.0, first_bad="")
    leases.heard_of("h")
    assert output("ledger_verify") == "2 figures compared, 100.00% of what was consumed is explained by calls.\n"
    assert output("reconcile") == "Every open window is right.\n"


def attempts(*costs: int) -> tuple[Attempted, ...]:
    """Attempts that cost so many nano-USD, of which the last served."""
    last = len(costs) - 1
    return tuple(
        Attempted("d", "a", "ok" if number == last else "reset", 200, 1, Charge("p", "m", "", "provider", "", 1200, 1000, 0, 0, 300, 100, 0, cost))
        for number, cost in enumerate(costs)
    )


def test_what_calls_paid_for_attempts_is_explained_too(tmp_path: Path) -> None:
    tokens = {"input_tokens": 2400, "cached_tokens": 2000, "output_tokens": 600, "reasoning_tokens": 200, "flags": "attempts_billed"}
    write_segment(tmp_path, settle("call_1", cost_nanousd=500, attempts=attempts(200, 300), **tokens))
    Intake(tmp_path).run_once()
    assert verify() == Verified(checked=1, explained_ratio=1.0, first_bad="", attempts_nanousd=200)
    assert "0.000000200 USD of it went to attempts that broke" in output("ledger_verify")
    write_segment(tmp_path, settle("call_2", cost_nanousd=501, attempts=attempts(200, 300), **tokens))
    Intake(tmp_path).run_once()
    assert verify().first_bad == "Call call_2 (call) has cost_nanousd 501, its attempts add up to 500."


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("spent", 201, "spent is 201 nano-USD, the ledger says 200"),
        ("held", 5, "says that 5 are held, its leases and disputes say 0"),
        ("base", 999, "base is 999 nano-USD, the ledger says 1000"),
        ("overrun", 0, "overrun is 0 nano-USD, the ledger says 50"),
    ],
)
def test_a_figure_that_was_changed_is_found(spent: str, field: str, value: int, says: str) -> None:
    Window.objects.update(**{field: value})
    with pytest.raises(CommandError, match=says):
        output("ledger_verify")


def test_a_grant_that_was_changed_is_found() -> None:
    credit((50, None))
    assert "Credit grant" in verify().first_bad
    assert CreditGrant.objects.count() == 1


def test_a_call_that_vanished_leaves_what_it_consumed_unexplained(spent: str) -> None:
    from billing.models import UsageRecord

    UsageRecord.objects.filter(call_id="call_1").delete()
    found = verify()
    assert (found.explained_ratio, "consumed 200 nano-USD" in found.first_bad) == (0.5, True)


def test_reconcile_repairs_by_postings(spent: str) -> None:
    Window.objects.update(spent=170, held=9, overrun=0)
    shown = output("reconcile")
    assert shown == f"{spent}: spent 170, by its calls 200; held 9, by leases and disputes 0\n1 windows differ.\n"
    with pytest.raises(CommandError, match="Say why"):
        output("reconcile", post=True)
    assert "1 windows repaired." in output("reconcile", post=True, reason="restored from a backup")
    assert (figures(spent), verify().first_bad) == ({"base": 1000, "credit": 0, "spent": 200, "held": 0, "overrun": 50}, "")


def test_reconcile_follows_the_calls_where_the_ledger_is_wrong(spent: str) -> None:
    from billing.models import UsageRecord

    UsageRecord.objects.filter(call_id="call_1").delete()
    output("reconcile", post=True, reason="a call recorded by mistake")
    assert figures(spent) == {"base": 1000, "credit": 0, "spent": 100, "held": 0, "overrun": 0}
    assert output("reconcile") == "Every open window is right.\n"


def test_leases_of_a_lost_host_are_shown_and_end_only_by_name() -> None:
    take("lost", taking(want(budget(1000), 150)))
    Host.objects.create(id="lost", seen_at=datetime.now(UTC) - timedelta(minutes=11))
    assert "w1 holds 150 of" in output("ledger_verify")
    assert "Released 150 of window" in output("ledger_verify", release_worker="w1")
    assert Lease.objects.count() == 0
    with pytest.raises(CommandError, match="No silent host"):
        output("ledger_verify", release_worker="w1")
