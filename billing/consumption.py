"""Settled calls spend their windows: out of their worker's lease, beyond it as overrun, one posting for many calls. Only intake knows what is new."""

from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from billing import ledger
from billing.ledger import Movement
from billing.models import Budget, DisputedHold, Lease, Posting, Unit, Window
from billing.receipts import Settle
from billing.windows import Change, Opening, change, ledger_free, lock, missing, open_window, span_named

log = structlog.get_logger(__name__)
# No window is spent beyond this (nano-USD: 4.6 billion USD), so that sums stay within 63 bits.
MOST_SPENT = 2**62


@dataclass
class Use:
    """What calls of one worker used of one window, in nano-USD and in tokens."""

    nanousd: int = 0
    tokens: int = 0

    def of(self, window: Window) -> int:
        """Return the use in the window's unit."""
        return self.nanousd if window.unit == Unit.NANOUSD else self.tokens


def consume(settles: Iterable[Settle], posting_id: int, reference: str, *, are_orphans: bool = False) -> None:
    """Spend newly recorded calls in their windows and post it, within the transaction that records them.

    Of orphans, what was held beyond their cost stays held as disputed.
    """
    calls = [settle for settle in settles if settle.windows]
    if not calls:
        return
    uses, samples = _added_up(calls)
    for name in missing(samples):
        _open(name, samples[name])
    windows = {name: window for name, window in lock(samples).items() if window.budget is not None}
    if len(windows) < len(samples):
        log.error("receipts_name_unknown_windows", windows=sorted(samples.keys() - windows.keys()))
    leases = {(lease.worker, lease.window_id): lease for lease in Lease.objects.filter(worker__in={worker for worker, _ in uses}, window__in=list(windows))}
    movements: list[Movement] = []
    changes = {name: Change() for name in windows}
    for (worker, name), use in sorted(uses.items()):
        if name in windows:
            changes[name] = _plus(changes[name], _spend(windows[name], use, leases.get((worker, name)), movements))
    change(changes)
    if are_orphans:
        _dispute(calls, windows, leases)
    Lease.objects.bulk_update(leases.values(), ["outstanding"])
    ledger.post(Posting.Kind.CONSUME, reference, _merged(movements), posting_id=posting_id)


def _added_up(calls: list[Settle]) -> tuple[dict[tuple[str, str], Use], dict[str, Settle]]:
    """Return the use by worker and window, and one receipt of each window."""
    together: dict[tuple[str, str], tuple[Use, Settle]] = {}
    for settle in calls:
        use = together.setdefault((settle.worker, settle.windows), (Use(), settle))[0]
        use.nanousd += settle.cost_nanousd
        use.tokens += settle.input_tokens + settle.output_tokens
    uses: dict[tuple[str, str], Use] = {}
    samples: dict[str, Settle] = {}
    for (worker, names), (more, settle) in together.items():
        for name in dict.fromkeys(names.split()):
            use = uses.setdefault((worker, name), Use())
            use.nanousd += more.nanousd
            use.tokens += more.tokens
            samples[name] = settle
    return uses, samples


def _spend(window: Window, use: Use, lease: Lease | None, movements: list[Movement]) -> Change:
    """Spend a use out of the lease, a soft window's rest out of what is free, the rest as overrun; the lease and window follow in memory."""
    cost = min(use.of(window), max(0, MOST_SPENT - window.spent))
    leased = min(cost, lease.outstanding) if lease is not None else 0
    is_soft = window.budget is not None and window.budget.mode == Budget.Mode.SOFT
    freely = min(cost - leased, max(0, ledger_free(window))) if is_soft else 0
    overrun = cost - leased - freely
    if lease is not None:
        lease.outstanding -= leased
    window.spent += cost
    window.held -= leased
    window.overrun += overrun
    if window.unit == Unit.NANOUSD:
        target = ledger.consumed(window.id)
        movements += [
            Movement(ledger.held(window.id), target, leased),
            Movement(ledger.free(window.id), target, freely),
            Movement(ledger.OVERRUN, target, overrun),
        ]
    return Change(spent=cost, held=-leased, overrun=overrun)


def _dispute(orphans: list[Settle], windows: dict[str, Window], leases: dict[tuple[str, str], Lease]) -> None:
    disputes = []
    for settle in orphans:
        for name in dict.fromkeys(settle.windows.split()):
            lease = leases.get((settle.worker, name))
            if lease is None:
                continue
            is_money = windows[name].unit == Unit.NANOUSD
            rest = settle.quote_nanousd - settle.cost_nanousd if is_money else settle.quote_tokens - settle.input_tokens - settle.output_tokens
            amount = min(rest, lease.outstanding)
            if amount > 0:
                lease.outstanding -= amount
                disputes.append(DisputedHold(call_id=settle.call_id, window_id=name, amount=amount))
    DisputedHold.objects.bulk_create(disputes)


def _open(name: str, settle: Settle) -> None:
    """Open a window nobody leased from, as a soft budget's; its label says when it is, the receipt for whom."""
    owner, label = name.partition(":")[0], name.rpartition(":")[2]
    budget = Budget.objects.filter(pk=owner).first()
    span = span_named(budget, label) if budget is not None else None
    if budget is not None and span is not None:
        subject = {Budget.Per.SESSION: settle.session, Budget.Per.END_USER: settle.end_user}.get(Budget.Per(budget.per), "")
        open_window(Opening(name, f"b:{owner}", subject, span.opens_at_s, span.closes_at_s))


def _plus(one: Change, other: Change) -> Change:
    return Change(one.spent + other.spent, one.held + other.held, one.overrun + other.overrun)


def _merged(movements: list[Movement]) -> list[Movement]:
    totals: dict[tuple[str, str], int] = {}
    for debit, credit, amount in movements:
        totals[debit, credit] = totals.get((debit, credit), 0) + amount
    return [Movement(debit, credit, amount) for (debit, credit), amount in totals.items() if amount]
