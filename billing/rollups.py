"""Adds usage rows up by hour, day and label, each exactly once. Knows no budgets and no ledger: what a row says is what it counts."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import Count, Max

from billing import sums
from billing.attempts import costly, price_of
from billing.cached_input import Savings
from billing.models import DayRollup, HourRollup, LabelRollup, RollupPosition, Series, UsageRecord
from billing.models.rollups import FACTS, MEASURES
from billing.receipts import Attempted, Charge
from billing.sums import ERRORS, Span

# Rows per transaction: half a second on SQLite, so that intake never waits long for its turn.
FOLD_ROWS = 20_000
LOCK_TIMEOUT_MS = 2_000
# In the order of MEASURES, without calls, errors, cost and saving, which are worked out.
COUNTS = MEASURES[2:11]
DURATIONS = MEASURES[13:]
SAVING = MEASURES.index("cache_saving_nanousd")
COLUMNS = (*FACTS, "started_at", "kind", "outcome", "end_user", "tags", "price", "cost_nanousd", *COUNTS, *DURATIONS)

Totals = dict[Any, list[int]]
logger = structlog.get_logger(__name__)


def fold() -> int:
    """Add every usage row not yet added and return how many; two at once add nothing twice."""
    last = _last_committed()
    folded = 0
    while True:
        with transaction.atomic():
            position = _locked_position()
            added, reached = _fold_chunk(position.last_usage, last)
            position.last_usage = reached
            position.save()
        folded += added
        if reached >= last:
            return folded


def rebuild() -> int:
    """Add all usage rows up anew in one transaction and return how many. Days without a usage row, such as archived ones, stay as they are.

    Readers see the old figures until it is done and a fold waits; on SQLite intake waits as well.
    """
    last = _last_committed()
    with transaction.atomic():
        position = _locked_position()
        days = _days_with_usage()
        for day in days:
            HourRollup.objects.filter(**_hours_of(day)).delete()
            DayRollup.objects.filter(day=day).delete()
            LabelRollup.objects.filter(day=day).delete()
        folded = reached = 0
        last = max(last, position.last_usage)
        while reached < last:
            added, reached = _fold_chunk(reached, last, with_days=False)
            folded += added
        for day in days:
            sums.derive_day(day)
        position.last_usage = last
        position.save()
    logger.info("rollups_rebuilt", rows=folded)
    return folded


def forget_demo() -> None:
    """Delete what demo calls added up to, when demo content goes."""
    Series.objects.filter(is_demo=True).delete()
    LabelRollup.objects.filter(is_demo=True).delete()


def settled_up_to() -> int:
    """Return the last usage row that is added up; rows above it may still be arriving."""
    return RollupPosition.objects.filter(pk=1).values_list("last_usage", flat=True).first() or 0


def _last_committed() -> int:
    """The highest id below which no transaction can still add a row.

    Postgres numbers rows when they are inserted, not when they are committed. The lock waits for the writers of this moment, which
    take a few milliseconds, and holds up new ones as long; raises OperationalError if one takes longer, and the next fold tries again.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
            cursor.execute(f"LOCK TABLE {UsageRecord._meta.db_table} IN SHARE MODE")
        return UsageRecord.objects.aggregate(last=Max("id"))["last"] or 0


def _locked_position() -> RollupPosition:
    RollupPosition.objects.get_or_create(pk=1)
    return RollupPosition.objects.select_for_update().get(pk=1)


def _fold_chunk(after: int, last: int, *, with_days: bool = True) -> tuple[int, int]:
    """Add the next rows above `after`; return how many they were and which was the last."""
    rows = UsageRecord.objects.filter(id__gt=after, id__lte=last).order_by("id").values("id")[:FOLD_ROWS]
    found = rows.aggregate(count=Count("id"), last=Max("id"))
    span = Span(after, found["last"] if found["count"] == FOLD_ROWS else max(last, after))
    if found["count"]:
        savings = Savings()
        _add_plain(span, savings, with_days=with_days)
        _add_divided(span, savings, with_days=with_days)
    return found["count"], span.upto


def _add_plain(span: Span, savings: Savings, *, with_days: bool) -> None:
    """Add rows that cost where they ended: nearly all."""
    series = _series_of(sums.facts_in(span))
    tiers = [saving for price in sums.prices_in(span) for saving in savings.by_tier(price)]
    sums.add_hours(span, series, tiers)
    if with_days:
        sums.add_days(span, series, tiers)
    sums.add_labels(span, tiers)


def _add_divided(span: Span, savings: Savings, *, with_days: bool) -> None:
    """Add the few rows of which several attempts cost: each where it was made, the call where it ended."""
    hours: Totals = {}
    labels: Totals = {}
    for kept, *values in sums.divided_in(span).values_list("attempts", *COLUMNS).iterator(chunk_size=500):
        _add(hours, labels, savings, dict(zip(COLUMNS, values, strict=True)), costly(kept))
    series = _series_of({facts for _, facts in hours})
    _write(HourRollup, ("hour", "series_id"), {(hour, series[facts]): totals for (hour, facts), totals in hours.items()})
    if with_days:
        days: Totals = {}
        for (hour, facts), totals in hours.items():
            _sum(days, (hour.date(), series[facts]), totals)
        _write(DayRollup, ("day", "series_id"), days)
    _write(LabelRollup, ("day", "kind", "project", "label", "is_demo"), labels)


def _add(hours: Totals, labels: Totals, savings: Savings, row: dict[str, Any], charges: list[tuple[Attempted, Charge]]) -> None:
    """Add one usage row; a correction counts with its cost alone. What attempts cost counts where they were made, the call where it ended."""
    if row["kind"] == UsageRecord.Kind.CALL:
        saved = savings.of(row["price"], row["cached_tokens"], row["input_tokens"])
        totals = [1, int(row["outcome"] in ERRORS), *(row[name] for name in COUNTS), row["cost_nanousd"], saved]
        totals += [row[name] for name in DURATIONS]
    else:
        totals = [0] * len(MEASURES)
        totals[MEASURES.index("cost_nanousd")] = row["cost_nanousd"]
    started_at = row["started_at"]
    hour = started_at.replace(minute=0, second=0, microsecond=0)
    rest = totals
    for attempt, charge in charges:
        where = {"deployment": attempt.deployment, "account": attempt.account, "provider": charge.provider, "upstream_model": charge.upstream_model}
        part = _measured(charge, savings)
        _sum(hours, (hour, tuple((row | where)[name] for name in FACTS)), part)
        rest = [a - b for a, b in zip(rest, part, strict=True)]
    if charges:
        # cached input is worth what each attempt's own price says, never the price of the call
        rest[SAVING] = 0
        totals = [*totals[:SAVING], sum(_measured(charge, savings)[SAVING] for _, charge in charges), *totals[SAVING + 1 :]]
    _sum(hours, (hour, tuple(row[name] for name in FACTS)), rest)
    if row["project"] is None:
        return
    place = partial(_place, started_at.date(), row["project"], row["is_demo"])
    if row["end_user"]:
        _sum(labels, place(LabelRollup.Kind.END_USER, row["end_user"]), totals)
    for tag in {part.strip() for part in row["tags"].split(",")} - {""}:
        _sum(labels, place(LabelRollup.Kind.TAG, tag), totals)


def _measured(charge: Charge, savings: Savings) -> list[int]:
    """What one attempt adds: tokens, cost and saving, and no call."""
    saved = savings.of(price_of(charge), charge.cached_tokens, charge.input_tokens)
    return [0, 0, *(getattr(charge, name) for name in COUNTS), charge.cost_nanousd, saved, *[0] * len(DURATIONS)]


def _place(day: date, project: UUID, is_demo: bool, kind: str, label: str) -> tuple[Any, ...]:
    return (day, str(kind), project, label, is_demo)


def _sum(into: Totals, key: Any, totals: list[int]) -> None:
    held = into.get(key)
    into[key] = totals if held is None else [a + b for a, b in zip(held, totals, strict=True)]


def _series_of(wanted: set[tuple[Any, ...]]) -> dict[tuple[Any, ...], int]:
    """The series id of each combination of facts, made where it is new."""
    digests = {facts: hashlib.sha256(repr(tuple(map(str, facts))).encode()).hexdigest() for facts in wanted}
    found = dict(_in_batches(list(digests.values())))
    missing = [facts for facts, digest in digests.items() if digest not in found]
    if missing:
        rows = [Series(digest=digests[facts], **dict(zip(FACTS, facts, strict=True))) for facts in sorted(missing, key=str)]
        Series.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)
        found.update(_in_batches([digests[facts] for facts in missing]))
    return {facts: found[digest] for facts, digest in digests.items()}


def _in_batches(digests: list[str]) -> Iterator[tuple[str, int]]:
    for start in range(0, len(digests), 500):
        yield from Series.objects.filter(digest__in=digests[start : start + 500]).values_list("digest", "id")


def _write(model: type[HourRollup | DayRollup | LabelRollup], key: tuple[str, ...], totals: Totals) -> None:
    """Add totals to the rows with these keys in one statement each, in key order so that two writers never wait in a circle."""
    if not totals:
        return
    table, columns = model._meta.db_table, (*key, *MEASURES)
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in MEASURES)
    sql = (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))}) "  # noqa: S608 (names from the models)
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {added}"
    )
    fields = [next(field for field in model._meta.concrete_fields if field.column == name) for name in key]
    rows = [
        [*(field.get_db_prep_save(value, connection) for field, value in zip(fields, place, strict=True)), *values]
        for place, values in sorted(totals.items(), key=lambda item: str(item[0]))
    ]
    with connection.cursor() as cursor:
        cursor.executemany(sql, rows)


def _days_with_usage() -> list[date]:
    """The days that have a usage row, each found by one look at the index by time."""
    days = []
    after = datetime.min.replace(tzinfo=UTC)
    while (found := UsageRecord.objects.filter(started_at__gte=after).order_by("started_at").values_list("started_at", flat=True).first()) is not None:
        days.append(found.date())
        after = datetime.combine(found.date() + timedelta(days=1), time.min, UTC)
    return days


def _hours_of(day: date) -> dict[str, datetime]:
    start = datetime.combine(day, time.min, UTC)
    return {"hour__gte": start, "hour__lt": start + timedelta(days=1)}
