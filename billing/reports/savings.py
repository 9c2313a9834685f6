"""What cached input saved against the plain input price."""

from dataclasses import dataclass

from django.db.models import QuerySet

from accounts.models import Project
from billing.reports.periods import Period
from billing.reports.spend import Line, spend


@dataclass(frozen=True)
class Savings:
    """Amounts in nano-USD; `cached_percent` is the share of input tokens that were cached. Lines by saving, greatest first."""

    saved: int
    cost: int
    cached_percent: int
    lines: tuple[Line, ...]


def savings(projects: QuerySet[Project], dimension: str, period: Period) -> Savings:
    """Return what caching saved by dimension."""
    found = spend(projects, dimension, period)
    lines = sorted((line for line in found.lines if line.now.cached_tokens), key=lambda line: (-line.now.saved_nanousd, line.value))
    total = found.total
    percent = total.cached_tokens * 100 // total.input_tokens if total.input_tokens else 0
    return Savings(total.saved_nanousd, total.cost_nanousd, percent, tuple(lines))
