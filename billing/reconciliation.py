"""Windows computed anew: `spent` from usage rows, `held` from leases and disputes; differences are repaired by postings, never by hand."""

from collections import defaultdict
from typing import NamedTuple

from django.db import transaction
from django.db.models import Sum

from accounts.models import User
from billing import ledger
from billing.budgets import check_reason
from billing.ledger import Movement
from billing.models import DisputedHold, Lease, Posting, Unit, UsageRecord, Window
from billing.verification import Figures, books_of_windows, held_by_window
from billing.windows import lock


class Difference(NamedTuple):
    """What an open window says in its unit, and what its calls, leases and disputes say."""

    window: str
    spent: int
    true_spent: int
    held: int
    true_held: int


def differences() -> list[Difference]:
    """Return the open budget windows whose figures are not what they should be; calls being taken in at this moment may show."""
    windows = {window.id: window for window in Window.objects.filter(closed_at=None).exclude(budget=None).order_by("id")}
    used: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    rows = UsageRecord.objects.exclude(windows="").values_list("windows").order_by()
    for names, cost, came, went in rows.annotate(cost=Sum("cost_nanousd"), came=Sum("input_tokens"), went=Sum("output_tokens")):
        for name in dict.fromkeys(names.split()):
            used[name][0] += int(cost)
            used[name][1] += int(came) + int(went)
    held, books = held_by_window(), books_of_windows()
    found = []
    for name, window in windows.items():
        true = used[name][0] if window.unit == Unit.NANOUSD else used[name][1]
        difference = Difference(name, window.spent, true, window.held, held.get(name, 0))
        booked = books.get(name, Figures())
        is_off_the_books = window.unit == Unit.NANOUSD and (booked.spent, booked.held) != (window.spent, window.held)
        if (window.spent, window.held) != (true, difference.true_held) or is_off_the_books:
            found.append(difference)
    return found


@transaction.atomic
def repair(name: str, actor: User | None, reason: str) -> Difference | None:
    """Bring one window and its ledger to what its calls, leases and disputes say; None when nothing differed. Raises ValidationError."""
    reason = check_reason(reason)
    window = lock([name])[name]
    true_spent, true_held = _spent(window), _held(name)
    booked = books_of_windows().get(name, Figures())
    is_money = window.unit == Unit.NANOUSD
    spent, held = (booked.spent, booked.held) if is_money else (window.spent, window.held)
    difference = Difference(name, window.spent, true_spent, window.held, true_held)
    if (window.spent, window.held, spent, held) == (true_spent, true_held, true_spent, true_held):
        return None
    overrun = booked.overrun if is_money else window.overrun
    more = true_spent - spent
    unrun = min(overrun, max(0, -more))
    if is_money:
        free, consumed, kept = ledger.free(name), ledger.consumed(name), ledger.held(name)
        movements = [
            Movement(ledger.OVERRUN, consumed, max(0, more)),
            Movement(consumed, ledger.OVERRUN, unrun),
            Movement(consumed, free, max(0, -more) - unrun),
            Movement(free, kept, max(0, true_held - held)),
            Movement(kept, free, max(0, held - true_held)),
        ]
        if any(move.amount_nanousd for move in movements):
            ledger.post(Posting.Kind.ADJUST, ledger.once(f"reconcile:{name}"), movements, actor, reason)
    Window.objects.filter(id=name).update(spent=true_spent, held=true_held, overrun=overrun + max(0, more) - unrun)
    return difference


def _spent(window: Window) -> int:
    total = 0
    rows = UsageRecord.objects.filter(windows__contains=window.id).values_list("windows", "cost_nanousd", "input_tokens", "output_tokens")
    for names, cost, came, went in rows.iterator():
        if window.id in names.split():
            total += cost if window.unit == Unit.NANOUSD else came + went
    return total


def _held(name: str) -> int:
    leases = Lease.objects.filter(window=name).aggregate(total=Sum("outstanding"))["total"] or 0
    disputes = DisputedHold.objects.filter(window=name, released_at=None).aggregate(total=Sum("amount"))["total"] or 0
    return int(leases) + int(disputes)
