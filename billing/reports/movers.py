"""Who spends much more or less than in the period before."""

from django.db.models import QuerySet

from accounts.models import Project
from billing.reports.periods import Period
from billing.reports.spend import Line, Spend, spend


def movers(projects: QuerySet[Project], dimension: str, period: Period, count: int = 10) -> tuple[Line, ...]:
    """Return the values of a dimension whose cost changed most against the period before, in either direction, greatest change first."""
    return moved(spend(projects, dimension, period), count)


def moved(found: Spend, count: int = 10) -> tuple[Line, ...]:
    """Return the lines of a spend report whose cost changed most, greatest change first."""
    lines = [line for line in found.lines if line.change_nanousd]
    return tuple(sorted(lines, key=lambda line: (-abs(line.change_nanousd), line.value))[:count])
