"""Adds usage rows up by hour, day and label, each exactly once. Knows no budgets and no ledger: what a row says is what it counts."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import Max

from billing.attempts import costly, is_divided, price_of
from billing.models import DayRollup, HourRollup, LabelRollup, Price, RollupPosition, Series, UsageRecord
from billing.models.rollups import FACTS, MEASURES
from billing.money import HALF_RATE, TOKENS_PER_RATE, Rates
from billing.prices import as_terms
from billing.receipts import ATTEMPTS_BILLED, Attempted, Charge

# Rows per transaction: half a second on SQLite, so that intake never waits long for its turn.
FOLD_ROWS = 20_000
LOCK_TIMEOUT_MS = 2_000
ERRORS = frozenset({"refused", "failed", "unknown"})
# In the order of MEASURES, without calls, errors, cost and saving, which are worked out.
TOKENS = MEASURES[2:9]
DURATIONS = MEASURES[11:]
SAVING = MEASURES.index("cache_saving_nanousd")
COLUMNS = (*FACTS, "started_at", "kind", "outcome", "end_user", "tags", "price", "cost_nanousd", "flags", *TOKENS, *DURATIONS)

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
            _derive_day(day)
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
    rows = UsageRecord.objects.filter(id__gt=after, id__lte=last).order_by("id").values_list("id", *COLUMNS)[:FOLD_ROWS]
    hours: Totals = {}
    labels: Totals = {}
    savings = Savings()
    count, reached = 0, after
    divided: dict[int, dict[str, Any]] = {}
    for pk, *values in rows.iterator(chunk_size=5_000):
        count, reached = count + 1, pk
        row = dict(zip(COLUMNS, values, strict=True))
        if ATTEMPTS_BILLED in row["flags"] and is_divided(row["flags"]):
            divided[pk] = row
        else:
            _add(hours, labels, savings, row)
    for pk, kept in _attempts_of(list(divided)):
        _add(hours, labels, savings, divided[pk], costly(kept))
    if count < FOLD_ROWS:
        reached = max(last, after)
    series = _series_of({facts for _, facts in hours})
    _write(HourRollup, ("hour", "series_id"), {(hour, series[facts]): totals for (hour, facts), totals in hours.items()})
    if with_days:
        days: Totals = {}
        for (hour, facts), totals in hours.items():
            _sum(days, (hour.date(), series[facts]), totals)
        _write(DayRollup, ("day", "series_id"), days)
    _write(LabelRollup, ("day", "kind", "project", "label", "is_demo"), labels)
    return count, reached


def _attempts_of(ids: list[int]) -> Iterator[tuple[int, Any]]:
    for start in range(0, len(ids), 500):
        yield from UsageRecord.objects.filter(id__in=ids[start : start + 500]).order_by("id").values_list("id", "attempts")


def _add(hours: Totals, labels: Totals, savings: "Savings", row: dict[str, Any], charges: list[tuple[Attempted, Charge]] | None = None) -> None:
    """Add one usage row; a correction counts with its cost alone. What attempts cost counts where they were made, the call where it ended."""
    if row["kind"] == UsageRecord.Kind.CALL:
        totals = [1, int(row["outcome"] in ERRORS), *(row[name] for name in TOKENS), row["cost_nanousd"], savings.of(row)]
        totals += [row[name] for name in DURATIONS]
    else:
        totals = [0] * len(MEASURES)
        totals[MEASURES.index("cost_nanousd")] = row["cost_nanousd"]
    started_at = row["started_at"]
    hour = started_at.replace(minute=0, second=0, microsecond=0)
    rest = totals
    for attempt, charge in charges or ():
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


def _measured(charge: Charge, savings: "Savings") -> list[int]:
    """What one attempt adds: tokens, cost and saving, and no call."""
    cached = {"cached_tokens": charge.cached_tokens, "input_tokens": charge.input_tokens, "price": price_of(charge)}
    return [0, 0, *(getattr(charge, name) for name in TOKENS), charge.cost_nanousd, savings.of(cached), *[0] * len(DURATIONS)]


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
    sums = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in MEASURES)
    sql = (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))}) "  # noqa: S608 (names from the models)
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sums}"
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


def _derive_day(day: date) -> None:
    """Write a day's rows as the sums of its hours."""
    hours = HourRollup.objects.filter(**_hours_of(day)).values_list("series_id", *MEASURES)
    days: Totals = {}
    for series, *values in hours.iterator(chunk_size=5_000):
        _sum(days, (day, series), values)
    _write(DayRollup, ("day", "series_id"), days)


class Savings:
    """What cached input saved against the plain input price, in nano-USD rounded half up per call; remembers prices it has read."""

    def __init__(self) -> None:
        self._rates: dict[UUID, tuple[Rates, ...]] = {}

    def of(self, row: dict[str, Any]) -> int:
        """Return the saving of one usage row; nothing is known without its price."""
        if not row["cached_tokens"] or row["price"] is None:
            return 0
        chosen: Rates | None = None
        for rates in self._tiers(row["price"]):
            if chosen is None or row["input_tokens"] > rates.above_input_tokens:
                chosen = rates
        if chosen is None or chosen.cached_nanousd is None:
            return 0
        return int((row["cached_tokens"] * (chosen.input_nanousd - chosen.cached_nanousd) + HALF_RATE) // TOKENS_PER_RATE)

    def _tiers(self, price: UUID) -> tuple[Rates, ...]:
        if price not in self._rates:
            row = Price.objects.filter(pk=price).first()
            terms = as_terms(row) if row else None
            self._rates[price] = (terms.rates, *terms.tiers) if terms else ()
        return self._rates[price]
