"""Settled calls spend their windows: out of their worker's lease, beyond it as overrun, one posting for many calls. Only intake knows what is new."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import structlog
from django.db import connection, transaction

from billing import ledger
from billing.given import as_given, given
from billing.ledger import Movement
from billing.models import Budget, DisputedHold, Lease, Posting, Unit, Window
from billing.receipts import Settle, encode
from billing.windows import Change, Opening, change, database_now, open_window, span_named

log = structlog.get_logger(__name__)
# No window is spent beyond this (nano-USD: 4.6 billion USD), so that sums stay within 63 bits.
MOST_SPENT = 2**62
MOST_ID_CHARACTERS = 40


@dataclass
class Use:
    """What calls of one worker used of one window, in nano-USD and in tokens."""

    nanousd: int = 0
    tokens: int = 0

    def of(self, window: "Account") -> int:
        """Return the use in the window's unit."""
        return self.nanousd if window.is_money else self.tokens


@dataclass(slots=True)
class Account:
    """The figures of a budget's locked window, in its unit; `free` is neither held nor spent, and below zero after its budget was lowered."""

    id: str
    is_money: bool
    is_soft: bool
    spent: int
    free: int


@dataclass(slots=True)
class Held:
    """What a worker's lease has outstanding, in its window's unit, now and before this batch."""

    id: int
    outstanding: int
    before: int


def consume(settles: Iterable[Settle], posting_id: int, reference: str, *, are_orphans: bool = False, were_aside: bool = False) -> None:
    """Spend newly recorded calls in their windows and post it, within the transaction that records them.

    Of orphans, what was held beyond their cost stays held as disputed. Calls whose receipts `were_aside` spend what was kept held for them.
    """
    calls = [settle for settle in settles if settle.windows]
    if not calls:
        return
    uses, samples = _added_up(calls)
    windows = _opened(samples)
    if len(windows) < len(samples):
        log.error("receipts_name_unknown_windows", windows=sorted(samples.keys() - windows.keys()))
    leases = _leases(pair for pair in uses if pair[1] in windows)
    kept = _kept(calls, windows) if were_aside else {}
    movements: list[Movement] = []
    changes = {name: Change() for name in windows}
    for (worker, name), use in sorted(uses.items()):
        if name in windows:
            source = kept.get((worker, name)) or leases.get((worker, name))
            changes[name] = _plus(changes[name], _spend(windows[name], use, source, movements))
    change(changes)
    _end(kept.values())
    if are_orphans:
        _dispute(calls, windows, leases)
    _keep(leases.values())
    ledger.post(Posting.Kind.CONSUME, reference, _merged(movements), posting_id=posting_id)


def _opened(samples: dict[str, Settle]) -> dict[str, Account]:
    """Lock the windows; those nobody has opened yet are opened before, for a budget is locked before its windows."""
    with transaction.atomic():
        windows = _locked(samples)
        others = samples.keys() - windows.keys()
        # what others open between these two looks has to be locked as well; windows of nobody's budget are not
        there = dict(Window.objects.filter(id__in=others).values_list("id", "budget_id")) if others else {}
        is_whole = len(there) == len(others) and not any(there.values())
        # gives the locks back
        transaction.set_rollback(not is_whole)
    if is_whole:
        return windows
    for name in sorted(others - there.keys()):
        _open(name, samples[name])
    return _locked(samples)


def _locked(names: Iterable[str]) -> dict[str, Account]:
    """Lock those of the named windows that are a budget's, in the order of their ids."""
    lock = " FOR NO KEY UPDATE OF w" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT w.id, w.unit, b.mode, w.spent, w.base + w.credit - w.held - w.spent + w.overrun "  # noqa: S608  # names of our own
            f'FROM "{Window._meta.db_table}" w JOIN "{Budget._meta.db_table}" b ON b.id = w.budget_id '
            f"WHERE w.id IN (SELECT id FROM {given('v', id='text')}) ORDER BY w.id{lock}",
            [as_given([name] for name in sorted(names))],
        )
        return {name: Account(name, unit == Unit.NANOUSD, mode == Budget.Mode.SOFT, spent, free) for name, unit, mode, spent, free in cursor.fetchall()}


def _leases(wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Held]:
    """Return what these leases, by worker and window, have outstanding."""
    pairs = given("v", worker="text", window_id="text")
    with connection.cursor() as cursor:
        cursor.execute(
            f'SELECT l.worker, l.window_id, l.id, l.outstanding FROM "{Lease._meta.db_table}" l '  # noqa: S608  # names of our own
            f"JOIN {pairs} ON l.worker = v.worker AND l.window_id = v.window_id",
            [as_given(wanted)],
        )
        return {(worker, window): Held(pk, outstanding, outstanding) for worker, window, pk, outstanding in cursor.fetchall()}


def _keep(leases: Iterable[Held]) -> None:
    """Write what leases have outstanding now; their windows are locked, so nobody else changes them."""
    table, rows = Lease._meta.db_table, given("v", id="bigint", outstanding="bigint")
    changed = [(lease.id, lease.outstanding) for lease in leases if lease.outstanding != lease.before]
    if changed:
        with connection.cursor() as cursor:
            cursor.execute(f'UPDATE "{table}" SET outstanding = v.outstanding FROM {rows} WHERE "{table}".id = v.id', [as_given(changed)])  # noqa: S608  # names of our own


def _added_up(calls: list[Settle]) -> tuple[dict[tuple[str, str], Use], dict[str, Settle]]:
    """Return the use by worker and window, and one receipt of each window."""
    together: dict[tuple[str, str], tuple[Use, Settle]] = {}
    for settle in calls:
        place = settle.worker, settle.windows
        if place not in together:
            together[place] = (Use(), settle)
        use = together[place][0]
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


def _spend(window: Account, use: Use, lease: Held | None, movements: list[Movement]) -> Change:
    """Spend a use out of the lease, a soft window's rest out of what is free, the rest as overrun; the lease and window follow in memory."""
    cost = min(use.of(window), max(0, MOST_SPENT - window.spent))
    leased = min(cost, lease.outstanding) if lease is not None else 0
    freely = min(cost - leased, max(0, window.free)) if window.is_soft else 0
    overrun = cost - leased - freely
    if lease is not None:
        lease.outstanding -= leased
    window.spent += cost
    window.free -= freely
    if window.is_money:
        target = ledger.consumed(window.id)
        movements += [
            Movement(ledger.held(window.id), target, leased),
            Movement(ledger.free(window.id), target, freely),
            Movement(ledger.OVERRUN, target, overrun),
        ]
    return Change(spent=cost, held=-leased, overrun=overrun)


def _dispute(orphans: list[Settle], windows: dict[str, Account], leases: dict[tuple[str, str], Held]) -> None:
    disputes = []
    for settle in orphans:
        for name in dict.fromkeys(settle.windows.split()):
            lease = leases.get((settle.worker, name))
            if lease is None:
                continue
            rest = settle.quote_nanousd - settle.cost_nanousd if windows[name].is_money else settle.quote_tokens - settle.input_tokens - settle.output_tokens
            amount = min(rest, lease.outstanding)
            if amount > 0:
                lease.outstanding -= amount
                disputes.append(DisputedHold(call_id=settle.call_id, window_id=name, amount=amount))
    DisputedHold.objects.bulk_create(disputes)


def keep_held(settles: Iterable[Settle]) -> None:
    """Keep what these calls cost out of their worker's leases as disputed, within the transaction that puts their receipts aside.

    Else it would be free again once the worker is gone, though it was spent. A call held in a window already stays as it is there.
    """
    calls = {disputed_id(settle): settle for settle in settles if settle.windows}
    pairs = {(settle.worker, name) for settle in calls.values() for name in settle.windows.split()}
    windows = _locked({name for _, name in pairs}) if pairs else {}
    leases = _leases(pair for pair in pairs if pair[1] in windows) if windows else {}
    known = set(DisputedHold.objects.filter(call_id__in=list(calls), window__in=list(windows)).values_list("call_id", "window_id"))
    disputes = []
    for call_id, settle in calls.items():
        for name in dict.fromkeys(settle.windows.split()):
            lease = leases.get((settle.worker, name))
            if lease is None or (call_id, name) in known:
                continue
            use = Use(settle.cost_nanousd, settle.input_tokens + settle.output_tokens)
            amount = min(use.of(windows[name]), lease.outstanding)
            if amount > 0:
                lease.outstanding -= amount
                disputes.append(DisputedHold(call_id=call_id, window_id=name, amount=amount, reason="Its receipt was put aside."))
    DisputedHold.objects.bulk_create(disputes)
    _keep(leases.values())


def disputed_id(settle: Settle) -> str:
    """Return the id under which a call's money is disputed: its own, or where no row can hold that, a digest of the receipt."""
    call_id = settle.call_id
    return call_id if 0 < len(call_id) <= MOST_ID_CHARACTERS and "\0" not in call_id else hashlib.sha256(encode(settle)).hexdigest()[:MOST_ID_CHARACTERS]


def _kept(calls: Iterable[Settle], windows: Mapping[str, Account]) -> dict[tuple[str, str], Held]:
    """Return what is kept held for calls whose receipts were put aside, by worker and window."""
    workers = {disputed_id(settle): settle.worker for settle in calls}
    rows = DisputedHold.objects.filter(call_id__in=list(workers), window__in=list(windows), released_at=None)
    return {(workers[call_id], name): Held(pk, amount, amount) for call_id, name, pk, amount in rows.values_list("call_id", "window_id", "id", "amount")}


def _end(kept: Iterable[Held]) -> None:
    """End disputes whose amount is spent; of others the rest stays for whoever releases it."""
    for dispute in kept:
        row = DisputedHold.objects.filter(pk=dispute.id)
        if dispute.outstanding:
            row.update(amount=dispute.outstanding)
        else:
            row.update(released_at=database_now(), reason="Its receipt was recorded.")


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
