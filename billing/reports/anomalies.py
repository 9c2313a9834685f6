"""Days that cost much more or less than their weekday used to, and what caused it."""

from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median_low

from django.db.models import QuerySet

from accounts.models import Project
from billing.reports.periods import Period
from billing.reports.spend import by_day, costs_by_day, names_of

WEEKS = 8
LEAST_WEEKS = 4
# Three robust standard deviations (1.4826 times the median distance each), at least a fifth of the usual cost.
DISTANCE_PERMILLE = 4448
LEAST_SHARE_PERCENT = 20
LEAST_NANOUSD = 1_000_000_000
CAUSES = ("project", "key", "model", "provider")


@dataclass(frozen=True)
class Cause:
    """The value of a dimension that moved the day's cost most, against its own weekday's usual cost; in nano-USD."""

    dimension: str
    value: str
    name: str
    cost: int
    usual: int


@dataclass(frozen=True)
class Anomaly:
    """A day outside the band `low` to `high` of its weekday's history, in nano-USD."""

    day: date
    cost: int
    usual: int
    low: int
    high: int
    cause: Cause | None

    @property
    def is_high(self) -> bool:
        """Say whether more was spent than usual."""
        return self.cost > self.high


def anomalies(projects: QuerySet[Project], period: Period, least: int = LEAST_NANOUSD, **only: str) -> tuple[Anomaly, ...]:
    """Return the period's days outside their band, latest first.

    A day is judged by the same weekday of the eight weeks before, at least four of them since the first spend. Differences below
    `least` nano-USD are no anomaly.
    """
    days = by_day(projects, Period(period.first - timedelta(weeks=WEEKS), period.last), **only)
    costs = {point.at: point.measured.cost_nanousd for point in days}
    first = next((day for day, cost in costs.items() if cost), None)
    found = []
    for day in reversed(period.dates()):
        history = [] if first is None else [costs[past] for past in _weekdays_before(day) if past >= first]
        if len(history) < LEAST_WEEKS:
            continue
        usual, width = _band(history, least)
        if abs(costs[day] - usual) > width:
            cause = _cause(projects, day, costs[day] - usual, only)
            found.append(Anomaly(day, costs[day], usual, max(0, usual - width), usual + width, cause))
    return tuple(found)


def _weekdays_before(day: date) -> list[date]:
    return [day - timedelta(weeks=week) for week in range(1, WEEKS + 1)]


def _band(history: list[int], least: int) -> tuple[int, int]:
    usual = median_low(history)
    distance = median_low([abs(cost - usual) for cost in history])
    return usual, max(distance * DISTANCE_PERMILLE // 1000, usual * LEAST_SHARE_PERCENT // 100, least)


def _cause(projects: QuerySet[Project], day: date, change: int, only: dict[str, str]) -> Cause | None:
    """The value that explains most of the change with most of its own cost, so that one runaway key is named and not its whole provider."""
    best, best_score = None, 0
    for dimension in CAUSES:
        if dimension in only:
            continue
        by_value = costs_by_day(projects, dimension, Period(day - timedelta(weeks=WEEKS), day), **only)
        for value, costs in by_value.items():
            cost, usual = costs.get(day, 0), median_low([costs.get(past, 0) for past in _weekdays_before(day)])
            moved = (cost - usual) * (1 if change > 0 else -1)
            score = moved * moved // max(cost, usual) if moved > 0 else 0
            if score > best_score:
                best, best_score = Cause(dimension, value, value, cost, usual), score
    if best is None:
        return None
    return Cause(best.dimension, best.value, names_of(best.dimension, [best.value]).get(best.value, best.value), best.cost, best.usual)
