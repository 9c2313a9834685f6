"""Windows: how they come into being, how they are locked and how their figures change. Whoever changes a window's leases locks the window first.

Locks are taken in this order, so that nobody waits in a circle: budget or limit, windows by id, credit account, grants.
"""

import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import structlog
from django.db import DatabaseError, connection, transaction

from billing import ledger
from billing.given import as_given, given
from billing.holds import Span, span_of
from billing.models import Budget, Limit, Posting, Unit, Window

log = structlog.get_logger(__name__)
LIMIT_UNITS = {"rpm": Unit.CALLS, "tpm": Unit.TOKENS, "spend": Unit.NANOUSD, "parallel": Unit.CALLS}
PARALLEL = Span("now", 0, 0)


class Opening(NamedTuple):
    """A window as a worker names it; borders in Unix seconds, 0 for no end."""

    id: str
    owner: str
    subject: str
    opens_at_s: int
    closes_at_s: int


class Change(NamedTuple):
    """What is added to a window's figures, in its unit. `within` keeps spent + held inside base + credit."""

    spent: int = 0
    held: int = 0
    overrun: int = 0
    credit: int = 0
    within: bool = False


class Refused(DatabaseError):
    """A window would have gone beyond what may be spent; the transaction must not be committed."""


def database_now() -> datetime:
    """Return the moment on the database's clock, which alone decides about windows."""
    if connection.vendor != "postgresql":
        return datetime.fromtimestamp(time.time(), UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


def moment(seconds: int) -> datetime:
    """Return Unix seconds as a moment."""
    return datetime.fromtimestamp(seconds, UTC)


def span_named(budget: Budget, label: str) -> Span | None:
    """Return the span of a budget that bears this label, or None if there is none."""
    starts_at_s = int(budget.starts_at.timestamp()) if budget.starts_at else 0
    ends_at_s = int(budget.ends_at.timestamp()) if budget.ends_at else 0
    patterns = {"daily": "%Y-%m-%d", "weekly": "%G-W%V-%u", "monthly": "%Y-%m"}
    try:
        pattern = patterns.get(budget.period)
        text = f"{label}-1" if budget.period == "weekly" else label
        inside = datetime.strptime(text, pattern).replace(tzinfo=UTC) if pattern else moment(0)
    except ValueError:
        return None
    span = span_of(budget.period, inside.timestamp(), starts_at_s, ends_at_s)
    return span if span.label == label else None


def lock(names: Collection[str]) -> dict[str, Window]:
    """Lock those of the named windows that exist, in the order of their ids, and return them with their budget or limit."""
    rows = Window.objects.select_for_update(no_key=True, of=("self",)).select_related("budget", "limit")
    return {window.id: window for window in rows.filter(id__in=names).order_by("id")}


@transaction.atomic
def open_window(opening: Opening) -> bool:
    """Create a window with its `open` posting unless it exists; False when its owner is gone or knows no such span."""
    kind, _, owner_id = opening.owner.partition(":")
    label = opening.id.rpartition(":")[2]
    if not opening.id.startswith(f"{owner_id}:") or len(opening.id) > 100:
        return False
    closes_at = moment(opening.closes_at_s) if opening.closes_at_s else None
    fields = {"subject": opening.subject.replace("\0", "")[:200], "opens_at": moment(opening.opens_at_s), "closes_at": closes_at}
    if kind == "l":
        limit = Limit.objects.select_for_update(no_key=True).filter(pk=owner_id).first()
        if limit is None:
            return False
        span = PARALLEL if limit.kind == Limit.Kind.PARALLEL else span_of("minute", opening.opens_at_s)
        if not opening.id.endswith(f":{span.label}") or (span.opens_at_s, span.closes_at_s) != (opening.opens_at_s, opening.closes_at_s):
            return False
        Window.objects.get_or_create(id=opening.id, defaults={**fields, "limit": limit, "unit": LIMIT_UNITS[limit.kind], "base": limit.amount})
        return True
    # locked, so that a change of its amount cannot pass between reading it and the new window
    budget = Budget.objects.select_for_update(no_key=True).filter(pk=owner_id).first()
    if budget is None:
        return False
    named = span_named(budget, label)
    if named is None or (named.opens_at_s, named.closes_at_s) != (opening.opens_at_s, opening.closes_at_s):
        return False
    window, is_new = Window.objects.get_or_create(id=opening.id, defaults={**fields, "budget": budget, "unit": budget.unit, "base": budget.amount})
    if is_new and budget.unit == Unit.NANOUSD and budget.amount:
        ledger.post(Posting.Kind.OPEN, f"open:{window.id}", [ledger.Movement(ledger.BUDGETS, ledger.free(window.id), budget.amount)])
    return True


def change(changes: Mapping[str, Change]) -> None:
    """Add to the figures of locked windows in one statement; raises Refused when one would go beyond its limit, then nothing may be committed."""
    wanted = {name: delta for name, delta in sorted(changes.items()) if any(delta[:4])}
    if not wanted:
        return
    table = Window._meta.db_table
    more = given("v", id="text", spent="bigint", held="bigint", overrun="bigint", credit="bigint", within="bigint")
    statement = (
        f'UPDATE "{table}" SET spent = "{table}".spent + v.spent, held = "{table}".held + v.held, overrun = "{table}".overrun + v.overrun, '  # noqa: S608  # names of our own
        f'credit = "{table}".credit + v.credit FROM {more} WHERE "{table}".id = v.id '
        f'AND (v.within = 0 OR "{table}".spent + v.spent + "{table}".held + v.held <= base + "{table}".credit + v.credit)'
    )
    values = as_given((name, *delta[:4], int(delta.within)) for name, delta in wanted.items())
    with connection.cursor() as cursor:
        cursor.execute(statement, [values])
        if cursor.rowcount != len(wanted):
            raise Refused(f"Of {len(wanted)} windows only {cursor.rowcount} could change.")


def ledger_free(window: Window) -> int:
    """Return what is neither held nor spent out of the window, in its unit: its `free` account; below zero after its budget was lowered under what is used."""
    return window.amount - window.held - window.spent + window.overrun
