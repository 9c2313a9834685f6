"""Prices settled calls anew: what they would have cost under the prices that hold for them now, and corrections of their usage, windows and ledger.

A correction is a row of the same call whose cost is the difference. The next run counts it, so nothing is posted twice.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Count, Q, Sum

from accounts.models import Project
from billing import attempts, ledger, money
from billing.ledger import Movement
from billing.models import Posting, Price, Unit, UsageRecord, Window
from billing.prices import as_terms
from billing.receipts import ATTEMPTS_BILLED
from billing.windows import Change, change, ledger_free, lock

AT_ONCE = 1_000
Kind = UsageRecord.Kind
PriceOf = Callable[[UsageRecord], Price | None]


class Line(NamedTuple):
    """Calls of one model in one project whose cost changes: how many, and their cost before and after in nano-USD."""

    project: str
    model: str
    calls: int
    before_nanousd: int
    after_nanousd: int


class Rerated(NamedTuple):
    """Calls looked at, those without any price, what changes, and how many corrections were posted."""

    calls: int
    unpriced: int
    lines: tuple[Line, ...]
    posted: int


class Repriced(NamedTuple):
    """One call whose cost changes: `earlier` corrections it has, its cost so far and the price and cost it should have.

    `changes_nanousd` is what is to be added to each attempt that cost, where the call is billed for several.
    """

    call: UsageRecord
    earlier: int
    before_nanousd: int
    price: Price
    after_nanousd: int
    changes_nanousd: tuple[int, ...] = ()

    @property
    def difference_nanousd(self) -> int:
        """Return what is to be added to its cost."""
        return self.after_nanousd - self.before_nanousd


def rerate(since: datetime, until: datetime, price_of: PriceOf, model: str = "") -> Rerated:
    """Return what would change for calls that began from `since` until before `until`, writing nothing."""
    return _run(since, until, price_of, model, None)


def post_rerate(since: datetime, until: datetime, price_of: PriceOf, reason: str, model: str = "") -> Rerated:
    """Post what changes, a thousand calls at a time, each whole or not at all; raises ValidationError without a reason or beside another run."""
    if not reason.strip():
        raise ValidationError("Say why: the reason stands in the ledger.")
    return _run(since, until, price_of, model, reason.strip())


def _run(since: datetime, until: datetime, price_of: PriceOf, model: str, reason: str | None) -> Rerated:
    calls = unpriced = posted = 0
    totals: dict[tuple[UUID | None, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for batch in _batches(since, until, model):
        with transaction.atomic():
            found, without = _reprice(batch, price_of)
            if reason is not None:
                posted += _post(found, reason)
        calls, unpriced = calls + len(batch), unpriced + without
        for one in found:
            total = totals[one.call.project, one.call.model]
            for index, amount in enumerate((1, one.before_nanousd, one.after_nanousd)):
                total[index] += amount
    named: dict[UUID | None, str] = dict(Project.objects.filter(pk__in={project for project, _ in totals if project}).values_list("pk", "name"))
    lines = [Line(named.get(project, str(project or "-")), name, *total) for (project, name), total in totals.items()]
    return Rerated(calls, unpriced, tuple(sorted(lines)), posted)


def _batches(since: datetime, until: datetime, model: str) -> Iterator[list[UsageRecord]]:
    """Yield settled calls that a vendor was reached for; those mended from an unreadable receipt keep their cost."""
    rows = UsageRecord.objects.filter(kind=Kind.CALL, started_at__lt=until).exclude(usage_source="none").exclude(flags__contains="mended")
    if model:
        rows = rows.filter(model=model)
    rows = rows.order_by("started_at", "id")
    at, last = since, 0
    while batch := list(rows.filter(started_at__gte=at).filter(Q(started_at__gt=at) | Q(id__gt=last))[:AT_ONCE]):
        yield batch
        at, last = batch[-1].started_at, batch[-1].pk


def _reprice(batch: Sequence[UsageRecord], price_of: PriceOf) -> tuple[list[Repriced], int]:
    corrections = UsageRecord.objects.filter(call_id__in=[call.call_id for call in batch], kind__startswith=Kind.RERATE)
    sums = corrections.values_list("call_id").annotate(Count("id"), Sum("cost_nanousd")).order_by()
    earlier = {call_id: (count, int(total)) for call_id, count, total in sums}
    corrected = _corrected([call.call_id for call in batch if attempts.is_divided(call.flags)])
    found, unpriced = [], 0
    for call in batch:
        count, total = earlier.get(call.call_id, (0, 0))
        before = call.cost_nanousd + total
        if parts := attempts.parts(call):
            one = _divided(call, count, before, parts, corrected[call.call_id], price_of)
        else:
            price = price_of(call)
            one = None if price is None else Repriced(call, count, before, price, cost_of(call, price))
        if one is None:
            unpriced += 1
        elif one.difference_nanousd or any(one.changes_nanousd):
            found.append(one)
    return found, unpriced


def _corrected(call_ids: Sequence[str]) -> dict[str, list[list[int]]]:
    """Return the changes of each attempt that cost, correction by correction, of calls that are billed for several."""
    changes: dict[str, list[list[int]]] = defaultdict(list)
    if call_ids:
        rows = UsageRecord.objects.filter(call_id__in=call_ids, kind__startswith=Kind.RERATE)
        for call_id, kept in rows.values_list("call_id", "attempts"):
            changes[call_id].append([charge.cost_nanousd for _, charge in attempts.costly(kept)])
    return changes


def _divided(
    call: UsageRecord, earlier: int, before: int, parts: Sequence[UsageRecord], corrected: Sequence[Sequence[int]], price_of: PriceOf
) -> Repriced | None:
    """Return a call priced anew attempt by attempt, None when no price is known for any; an attempt without one keeps its cost."""
    prices = [price_of(part) for part in parts]
    known = [price for price in prices if price is not None]
    if not known:
        return None
    costs = [part.cost_nanousd + sum(one[index] for one in corrected) for index, part in enumerate(parts)]
    changes = tuple(
        0 if price is None else cost_of(part, price) - cost for part, price, cost in zip(parts, prices, costs, strict=True)
    )
    return Repriced(call, earlier, before, known[-1], before + sum(changes), changes)


def cost_of(call: UsageRecord, price: Price) -> int:
    """Return what a recorded call costs under a price, in nano-USD, in the service tier it was served in."""
    tier = next((flag.removeprefix("tier_") for flag in call.flags.split(",") if flag.startswith("tier_") and flag != "tier_unpriced"), "")
    return money.cost_nanousd(
        _terms(price),
        input_tokens=call.input_tokens,
        cached_tokens=call.cached_tokens,
        cache_write_tokens=call.cache_write_tokens,
        cache_write_1h_tokens=call.cache_write_1h_tokens,
        audio_input_tokens=call.audio_input_tokens,
        output_tokens=call.output_tokens,
        reasoning_tokens=call.reasoning_tokens,
        audio_output_tokens=call.audio_output_tokens,
        web_searches=call.web_searches,
        mode=tier,
    )


@lru_cache(256)
def _terms(price: Price) -> money.Price:
    return as_terms(price)


def _post(found: Sequence[Repriced], reason: str) -> int:
    """Write corrections and bring windows and ledger along, in one transaction of the caller's."""
    if not found:
        return 0
    wanted = {name for one in found for name in one.call.windows.split()}
    windows = {name: window for name, window in lock(wanted).items() if window.budget is not None and window.unit == Unit.NANOUSD}
    posting_id = ledger.next_posting_id() if windows else None
    try:
        with transaction.atomic():
            UsageRecord.objects.bulk_create([_correction(one, posting_id, windows) for one in found])
    except IntegrityError as error:
        raise ValidationError("Another run priced these calls anew meanwhile. Run it again to see what is left.") from error
    changes: dict[str, Change] = {}
    movements: list[Movement] = []
    for name, amount in sorted(_by_window(found).items()):
        if name in windows:
            changes[name] = _spend(windows[name], amount, movements)
    change(changes)
    if posting_id is not None:
        ledger.post(Posting.Kind.RERATE, ledger.once("rerate"), movements, None, reason, posting_id=posting_id)
    return len(found)


def _by_window(found: Sequence[Repriced]) -> dict[str, int]:
    amounts: dict[str, int] = defaultdict(int)
    for one in found:
        for name in dict.fromkeys(one.call.windows.split()):
            amounts[name] += one.difference_nanousd
    return amounts


def _correction(one: Repriced, posting_id: int | None, windows: Mapping[str, Window]) -> UsageRecord:
    """Return the row that carries a call's difference, with the facts of the call and none of its measures."""
    call = one.call
    facts: dict[str, Any] = {
        name: getattr(call, name)
        for name in (
            "call_id", "started_at", "key", "project", "business_unit", "person", "model", "deployment", "account", "provider", "upstream_model", "endpoint",
            "stream", "status", "outcome", "usage_source", "end_user", "session", "tags", "worker", "windows", "is_demo",
        )
    }  # fmt: skip
    is_held = any(name in windows for name in call.windows.split())
    return UsageRecord(
        **facts,
        kind=f"{Kind.RERATE.value}:{one.earlier + 1}" if one.earlier else Kind.RERATE.value,
        duration_ms=0,
        price=one.price.pk,
        flags=ATTEMPTS_BILLED if one.changes_nanousd else "",
        attempts=attempts.differences(call.attempts, one.changes_nanousd) if one.changes_nanousd else [],
        cost_nanousd=one.difference_nanousd,
        posting=posting_id if is_held else None,
    )


def _spend(window: Window, amount: int, movements: list[Movement]) -> Change:
    """Spend more out of what is free, the rest as overrun; or give back, overrun first."""
    free, used = ledger.free(window.id), ledger.consumed(window.id)
    if amount >= 0:
        freely = min(amount, max(0, ledger_free(window)))
        movements += [Movement(free, used, freely), Movement(ledger.OVERRUN, used, amount - freely)]
        return Change(spent=amount, overrun=amount - freely)
    unrun = min(window.overrun, -amount)
    movements += [Movement(used, ledger.OVERRUN, unrun), Movement(used, free, -amount - unrun)]
    return Change(spent=amount, overrun=-unrun)
