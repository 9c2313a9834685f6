"""Spend by any dimension and period, beside the period before. Amounts in nano-USD."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.db.models import BooleanField, ExpressionWrapper, F, Q, QuerySet, Sum

from accounts.models import BusinessUnit, Project, VirtualKey
from billing.models import DayRollup, HourRollup, LabelRollup
from billing.reports.periods import Period

SERIES_DIMENSIONS = ("business_unit", "project", "key", "model", "upstream_model", "provider", "account", "deployment")
LABEL_DIMENSIONS = ("end_user", "tag")
DIMENSIONS = (*SERIES_DIMENSIONS, *LABEL_DIMENSIONS)
SUMMED = ("calls", "errors", "input_tokens", "cached_tokens", "output_tokens", "cost_nanousd", "cache_saving_nanousd", "duration_ms")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was added up; `saved_nanousd` is what cached input saved, durations are sums in milliseconds."""

    calls: int = 0
    errors: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_nanousd: int = 0
    saved_nanousd: int = 0
    duration_ms: int = 0

    @property
    def mean_duration_ms(self) -> int:
        """Return the mean duration of a call in milliseconds."""
        return self.duration_ms // self.calls if self.calls else 0


NOTHING = Measured()


@dataclass(frozen=True)
class Line:
    """One value of a dimension: what it is, how people call it, this period and the period before."""

    value: str
    name: str
    now: Measured
    before: Measured

    @property
    def change_nanousd(self) -> int:
        """Return how much more was spent than in the period before."""
        return self.now.cost_nanousd - self.before.cost_nanousd


@dataclass(frozen=True)
class Spend:
    """Lines by cost, dearest first. By tag, a call counts under each of its tags, so that lines may add up to more than the total."""

    period: Period
    total: Measured
    before: Measured
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Point:
    """A day or an hour."""

    at: date | datetime
    measured: Measured


def spend(projects: QuerySet[Project], dimension: str, period: Period, **only: str) -> Spend:
    """Return what the projects spent by `dimension`, narrowed to values of other dimensions such as `model="gpt-5"`.

    Raises ValueError for an unknown dimension, and for `only` together with an end user or a tag except by project.
    """
    now, before = _by(projects, dimension, period, only)
    values = sorted(now.keys() | before.keys(), key=lambda value: (-now.get(value, NOTHING).cost_nanousd, value))
    names = names_of(dimension, values)
    lines = tuple(Line(value, names.get(value, value), now.get(value, NOTHING), before.get(value, NOTHING)) for value in values)
    return Spend(period, total(projects, period, **only), total(projects, period.before, **only), lines)


def total(projects: QuerySet[Project], period: Period, **only: str) -> Measured:
    """Return what the projects spent in all."""
    return _measured(_days(projects, period, only).aggregate(**_sums()))


def by_day(projects: QuerySet[Project], period: Period, **only: str) -> tuple[Point, ...]:
    """Return every day of the period in order, also those without a call."""
    rows = _days(projects, period, only).values("day").order_by("day").annotate(**_sums())
    found = {row["day"]: _measured(row) for row in rows}
    return tuple(Point(day, found.get(day, NOTHING)) for day in period.dates())


def by_hour(projects: QuerySet[Project], period: Period, **only: str) -> tuple[Point, ...]:
    """Return the hours of the period that had calls, in order."""
    rows = HourRollup.objects.filter(hour__gte=period.starts_at, hour__lt=period.ends_at, **_within(projects), **_narrowed(only))
    return tuple(Point(row["hour"], _measured(row)) for row in rows.values("hour").order_by("hour").annotate(**_sums()))


def costs_by_day(projects: QuerySet[Project], dimension: str, period: Period, **only: str) -> dict[str, dict[date, int]]:
    """Return the cost in nano-USD of each value of a dimension on each day that had any."""
    rows = _days(projects, period, only).values_list(f"series__{_known(dimension)}", "day").order_by().annotate(Sum("cost_nanousd"))
    costs: dict[str, dict[date, int]] = {}
    for value, day, cost in rows:
        costs.setdefault(_text(value), {})[day] = int(cost)
    return costs


def names_of(dimension: str, values: Iterable[str]) -> dict[str, str]:
    """Return how people call the values of a dimension; those gone since keep their id."""
    if dimension == "key":
        return dict(VirtualKey.objects.filter(public_id__in=list(values)).values_list("public_id", "name"))
    ids = [value for value in values if value]
    if dimension == "project":
        return {str(pk): name for pk, name in Project.objects.filter(pk__in=ids).values_list("pk", "name")}
    if dimension == "business_unit":
        return {str(pk): name for pk, name in BusinessUnit.objects.filter(pk__in=ids).values_list("pk", "name")}
    return {}


def _by(projects: QuerySet[Project], dimension: str, period: Period, only: dict[str, str]) -> tuple[dict[str, Measured], dict[str, Measured]]:
    """Return what each value has in the period and in the one before it, which ends where it begins, read at once."""
    both = Period(period.before.first, period.last)
    if dimension in LABEL_DIMENSIONS:
        if set(only) - {"project"}:
            raise ValueError("Spend by end user or tag can be narrowed by project only.")
        narrowed = {name: UUID(value) for name, value in only.items()}
        rows: QuerySet[Any] = LabelRollup.objects.filter(day__range=both, kind=dimension, project__in=projects.values("pk"), **narrowed)
        value = F("label")
    else:
        rows, value = _days(projects, both, only), F(f"series__{_known(dimension)}")
    is_now = ExpressionWrapper(Q(day__gte=period.first), output_field=BooleanField())
    now: dict[str, Measured] = {}
    before: dict[str, Measured] = {}
    for row in rows.values(value=value, is_now=is_now).order_by().annotate(**_sums()):
        (now if row["is_now"] else before)[_text(row["value"])] = _measured(row)
    return now, before


def _days(projects: QuerySet[Project], period: Period, only: dict[str, str]) -> QuerySet[DayRollup]:
    return DayRollup.objects.filter(day__range=period, **_within(projects), **_narrowed(only))


def _within(projects: QuerySet[Project]) -> dict[str, Any]:
    return {"series__project__in": projects.values("pk")}


def _narrowed(only: dict[str, str]) -> dict[str, str]:
    return {f"series__{_known(name)}": value for name, value in only.items()}


def _known(dimension: str) -> str:
    if dimension not in SERIES_DIMENSIONS:
        raise ValueError(f"{dimension} is no dimension; choose one of {', '.join(DIMENSIONS)}.")
    return dimension


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _sums() -> dict[str, Sum]:
    # The alias must differ from the column, or a second aggregate could not name it.
    return {f"sum_{name}": Sum(name, default=0) for name in SUMMED}


def _measured(row: Any) -> Measured:
    return Measured(
        calls=int(row["sum_calls"]),
        errors=int(row["sum_errors"]),
        input_tokens=int(row["sum_input_tokens"]),
        cached_tokens=int(row["sum_cached_tokens"]),
        output_tokens=int(row["sum_output_tokens"]),
        cost_nanousd=int(row["sum_cost_nanousd"]),
        saved_nanousd=int(row["sum_cache_saving_nanousd"]),
        duration_ms=int(row["sum_duration_ms"]),
    )
