"""The statements that add undivided usage rows up in the database itself, on Postgres and on SQLite. Knows no calls one by one and no position."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from billing.cached_input import Saving
from billing.given import as_given, given
from billing.models import DayRollup, HourRollup, LabelRollup, UsageRecord
from billing.models.rollups import FACTS, MEASURES
from billing.money import HALF_RATE, TOKENS_PER_RATE
from billing.receipts import ATTEMPTS_BILLED

ERRORS = frozenset({"refused", "failed", "unknown"})
Facts = tuple[Any, ...]

_usage = UsageRecord._meta.db_table
# Rows of a span of ids whose tokens and cost all belong to where the call ended.
_PLAIN = f"u.id > %s AND u.id <= %s AND (u.flags = '' OR (',' || u.flags || ',') NOT LIKE '%%,{ATTEMPTS_BILLED.replace('_', '!_')},%%' ESCAPE '!')"
_DIVIDED = (
    Q(flags=ATTEMPTS_BILLED)
    | Q(flags__startswith=f"{ATTEMPTS_BILLED},")
    | Q(flags__endswith=f",{ATTEMPTS_BILLED}")
    | Q(flags__contains=f",{ATTEMPTS_BILLED},")
)
_ERRORS = ", ".join(f"'{outcome}'" for outcome in sorted(ERRORS))
# Facts that may be missing; a hash join needs the others.
_NULLABLE = frozenset({"business_unit", "project"})
_SPACES = "' \t\r\n\v\f'"


class Span(NamedTuple):
    """Usage rows with an id above `after` up to and including `upto`."""

    after: int
    upto: int


def facts_in(span: Span) -> set[Facts]:
    """Return every combination of facts that plain rows of the span have."""
    rows = UsageRecord.objects.filter(~_DIVIDED, id__gt=span.after, id__lte=span.upto)
    return set(rows.order_by().values_list(*FACTS).distinct())


def add_hours(span: Span, series: Mapping[Facts, int], savings: Sequence[Saving]) -> None:
    """Add the span's plain rows to the hours they began in."""
    hour = "date_trunc('hour', u.started_at, 'UTC')" if _is_postgres() else "substr(u.started_at, 1, 13) || ':00:00'"
    _add_series(HourRollup, "hour", hour, span, series, savings)


def add_days(span: Span, series: Mapping[Facts, int], savings: Sequence[Saving]) -> None:
    """Add the span's plain rows to the days they began on."""
    _add_series(DayRollup, "day", _day(), span, series, savings)


def add_labels(span: Span, savings: Sequence[Saving]) -> None:
    """Add the span's plain rows to their end users and to each of their tags."""
    _add_label(LabelRollup.Kind.END_USER, f'"{_usage}" u', "u.end_user", "u.end_user <> ''", span, savings)
    if _is_postgres():
        tags = f"LATERAL (SELECT DISTINCT btrim(part, E{_SPACES}) AS tag FROM unnest(string_to_array(u.tags, ',')) AS part) t"  # noqa: S608  # our own names
        _add_label(LabelRollup.Kind.TAG, f'"{_usage}" u CROSS JOIN {tags}', "t.tag", "t.tag <> ''", span, savings)
        return
    # within a JSON text a comma stands for itself alone, so the tags become a JSON array
    parts = "json_each('[' || replace(json_quote(u.tags), ',', '\",\"') || ']')"
    tags = f'(SELECT DISTINCT u.id AS usage, trim(value, {_SPACES}) AS tag FROM "{_usage}" u, {parts} WHERE {_PLAIN} AND u.tags <> \'\') t'  # noqa: S608  # our own names
    _add_label(LabelRollup.Kind.TAG, f'{tags} JOIN "{_usage}" u ON u.id = t.usage', "t.tag", "t.tag <> ''", span, savings, spans=2)


def prices_in(span: Span) -> list[UUID]:
    """Return the prices by which cached input of the span's plain rows was billed."""
    rows = UsageRecord.objects.filter(id__gt=span.after, id__lte=span.upto, cached_tokens__gt=0)
    return [price for price in rows.order_by().values_list("price", flat=True).distinct() if price is not None]


def divided_in(span: Span) -> QuerySet[UsageRecord]:
    """Return the span's other rows, each billed for more than the attempt that served it, in order."""
    return UsageRecord.objects.filter(_DIVIDED, id__gt=span.after, id__lte=span.upto).order_by("id")


def derive_day(day: date) -> None:
    """Write a day's rows, of which there are none yet, as the sums of its hours."""
    start = datetime.combine(day, time.min, UTC)
    sums = ", ".join(f"sum({name})" for name in MEASURES)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {DayRollup._meta.db_table} (day, series_id, {', '.join(MEASURES)}) "  # noqa: S608  # our own names
            f"SELECT {'%s::date' if _is_postgres() else '%s'}, series_id, {sums} FROM {HourRollup._meta.db_table} "
            "WHERE hour >= %s AND hour < %s GROUP BY series_id ORDER BY series_id",
            [day, *(value if _is_postgres() else str(value.replace(tzinfo=None)) for value in (start, start + timedelta(days=1)))],
        )


def _add_series(model: type[HourRollup | DayRollup], unit: str, at: str, span: Span, series: Mapping[Facts, int], savings: Sequence[Saving]) -> None:
    kinds = {name: "uuid" if name in _NULLABLE else "boolean" if name == "is_demo" else "text" for name in FACTS}
    same = " AND ".join(f"u.{name} {_same(name)} s.{name}" for name in FACTS)
    rows = given("s", series="bigint", **kinds)
    if _is_postgres():
        source = f'"{_usage}" u JOIN {rows} ON {same}'
    else:
        # one look at each call, with an index on the combinations that only a table or a materialized query can have
        source = f'"{_usage}" u CROSS JOIN (WITH s AS MATERIALIZED (SELECT * FROM {rows}) SELECT * FROM s) AS s ON {same}'  # noqa: S608  # our own names
    wanted = as_given((number, *(fact.hex if isinstance(fact, UUID) else fact for fact in facts)) for facts, number in series.items())
    _upsert(model._meta.db_table, (unit, "series_id"), (at, "s.series"), source, "", span, savings, [wanted])


def _add_label(kind: str, source: str, label: str, where: str, span: Span, savings: Sequence[Saving], spans: int = 1) -> None:
    key = ("day", "kind", "project", "label", "is_demo")
    values = (_day(), f"'{kind}'", "u.project", label, "u.is_demo")
    _upsert(LabelRollup._meta.db_table, key, values, source, f" AND u.project IS NOT NULL AND {where}", span, savings, [*span] * (spans - 1))


def _upsert(
    table: str, key: Sequence[str], values: Sequence[str], source: str, where: str, span: Span, savings: Sequence[Saving], parameters: Iterable[Any]
) -> None:
    """Add the sums of the source's rows to the table's rows with these keys, in key order so that two writers never wait in a circle."""
    saving, join, given_savings = _saved(savings)
    sums = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in MEASURES)
    places = ", ".join(str(number + 1) for number in range(len(key)))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({', '.join(key)}, {', '.join(MEASURES)}) "  # noqa: S608  # our own names
            f"SELECT {', '.join(values)}, {', '.join(_sum(name, saving) for name in MEASURES)} "
            f"FROM {source}{join} WHERE {_PLAIN}{where} GROUP BY {places} ORDER BY {places} "
            f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sums}",
            [*parameters, *given_savings, *span],
        )


def _sum(name: str, saving: str) -> str:
    """Return the sum of a measure; a correction counts with its cost alone."""
    if name == "cost_nanousd":
        return "sum(u.cost_nanousd)"
    of_a_call = {"calls": "1", "errors": f"CASE WHEN u.outcome IN ({_ERRORS}) THEN 1 ELSE 0 END", "cache_saving_nanousd": saving}.get(name, f"u.{name}")
    return f"sum(CASE WHEN u.kind = '{UsageRecord.Kind.CALL.value}' THEN {of_a_call} ELSE 0 END)"


def _saved(savings: Sequence[Saving]) -> tuple[str, str, list[str]]:
    """Return the saving of one row, rounded half up, with the join it needs and that join's parameter."""
    if not savings:
        return "0", "", []
    rows = given("p", price="uuid", above="bigint", most="bigint", nanousd="bigint")
    join = f" LEFT JOIN {rows} ON u.cached_tokens > 0 AND u.price = p.price AND u.input_tokens > p.above AND u.input_tokens <= p.most"
    wanted = as_given((saving.price.hex, *saving[1:]) for saving in savings)
    if _is_postgres():
        return f"coalesce(floor((u.cached_tokens::numeric * p.nanousd + {HALF_RATE}) / {TOKENS_PER_RATE}), 0)", join, [wanted]
    # whole numbers are cut towards zero, and where cached input is the dearer one there is less than nothing to save
    total = f"(u.cached_tokens * p.nanousd + {HALF_RATE})"
    floor = f"CASE WHEN {total} >= 0 THEN {total} / {TOKENS_PER_RATE} ELSE -((-{total} + {TOKENS_PER_RATE - 1}) / {TOKENS_PER_RATE}) END"
    return f"coalesce({floor}, 0)", join, [wanted]


def _same(name: str) -> str:
    if name not in _NULLABLE:
        return "="
    return "IS NOT DISTINCT FROM" if _is_postgres() else "IS"


def _day() -> str:
    return "(u.started_at AT TIME ZONE 'UTC')::date" if _is_postgres() else "substr(u.started_at, 1, 10)"


def _is_postgres() -> bool:
    return connection.vendor == "postgresql"

