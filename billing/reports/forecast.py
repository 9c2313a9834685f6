"""What will have been spent by the end of a period: the mean of each weekday, with a band from how far past days were off it."""

from dataclasses import dataclass
from datetime import date, timedelta
from math import isqrt

from django.db.models import QuerySet

from accounts.models import Project
from billing.reports.periods import Period
from billing.reports.spend import by_day

HISTORY_DAYS = 56
# A day's distance from its weekday's mean that four of five past days stayed within.
BAND_PERCENT = 80


@dataclass(frozen=True)
class Forecast:
    """Amounts in nano-USD: what is spent up to now, what is expected by the period's end, and the band around it."""

    period: Period
    spent: int
    expected: int
    low: int
    high: int
    history_days: int


def forecast(projects: QuerySet[Project], period: Period, today: date, **only: str) -> Forecast:
    """Return the forecast for the period's end as of `today`, whose own spend so far counts as spent.

    The band of n independent days is the 80 % quantile of one day's distance times the root of n. Days before the first spend are no
    history; without history nothing more is expected.
    """
    days = by_day(projects, Period(min(period.first, today - timedelta(days=HISTORY_DAYS)), period.last), **only)
    costs = {point.at: point.measured.cost_nanousd for point in days}
    spent = sum(cost for day, cost in costs.items() if period.first <= day)
    history = _history([(day, costs[day]) for day in Period(today - timedelta(days=HISTORY_DAYS), today - timedelta(days=1)).dates()])
    if not history or today > period.last:
        return Forecast(period, spent, spent, spent, spent, len(history))
    means = _means(history)
    band = quantile([abs(cost - means[day.weekday()]) for day, cost in history], BAND_PERCENT)
    coming = Period(max(today, period.first), period.last).dates()
    rest = sum(max(0, means[day.weekday()] - costs[day]) for day in coming)
    width = isqrt(band * band * len(coming))
    return Forecast(period, spent, spent + rest, spent + max(0, rest - width), spent + rest + width, len(history))


def quantile(values: list[int], percent: int) -> int:
    """Return the smallest value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _history(days: list[tuple[date, int]]) -> list[tuple[date, int]]:
    """The days from the first spend on."""
    for number, (_, cost) in enumerate(days):
        if cost:
            return days[number:]
    return []


def _means(history: list[tuple[date, int]]) -> list[int]:
    """The mean of each weekday, Monday first; a weekday not in the history takes the mean of all days."""
    overall = sum(cost for _, cost in history) // len(history)
    means = []
    for weekday in range(7):
        same = [cost for day, cost in history if day.weekday() == weekday]
        means.append(sum(same) // len(same) if same else overall)
    return means
