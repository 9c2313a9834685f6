"""The single calls behind a figure, page by page. Pages are found by where the last one ended, never by counting."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet

from accounts.models import Project
from billing.models import UsageRecord
from billing.reports.periods import Period
from billing.reports.spend import SERIES_DIMENSIONS

FILTERS = (*SERIES_DIMENSIONS, "end_user", "session", "outcome")
MOST_PER_PAGE = 500


@dataclass(frozen=True)
class Page:
    """Calls, latest first, and where the next page starts, None at the end."""

    calls: tuple[UsageRecord, ...]
    next: tuple[datetime, int] | None


def calls(projects: QuerySet[Project], period: Period, after: tuple[datetime, int] | None = None, count: int = 50, **only: Any) -> Page:
    """Return the calls of the projects in a period after a place; raises ValueError for an unknown filter or more than 500 at once."""
    unknown = set(only) - set(FILTERS)
    if unknown or not 0 < count <= MOST_PER_PAGE:
        raise ValueError(f"Filter by {', '.join(FILTERS)} and ask for 1 to {MOST_PER_PAGE} calls at once.")
    rows = UsageRecord.objects.filter(started_at__gte=period.starts_at, started_at__lt=period.ends_at, project__in=projects.values("pk"), **only).order_by(
        "-started_at", "-id"
    )
    if after is not None:
        at, pk = after
        # The first condition alone lets an index find the place; the second drops what the page before ended with.
        rows = rows.filter(started_at__lte=at).exclude(Q(started_at=at) & Q(id__gte=pk))
    found = list(rows[: count + 1])
    more = len(found) > count
    return Page(tuple(found[:count]), (found[count - 1].started_at, found[count - 1].pk) if more else None)
