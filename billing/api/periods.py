"""Days and dimensions in queries: what usage and reports are narrowed to."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import exceptions, serializers

from accounts import access
from accounts.access import Actor
from accounts.api.fields import look_up
from accounts.models import Project
from billing.reports.periods import MOST_DAYS, Period

DEFAULT_DAYS = 30
DAYS = {
    "first": "First day (UTC), as 2026-11-01; left out: 30 days up to `last`.",
    "last": "Last day (UTC), included; left out: today.",
}
PLACES = {
    "project": "Of this project (`prj_...`).",
    "business_unit": "Of this unit (`bu_...`) and everything below it, as the tree is now.",
}


def period_of(asked: Mapping[str, str]) -> Period:
    """Return the days asked for; raises ValidationError."""
    last = _day(asked, "last", timezone.now().date())
    first = _day(asked, "first", last - timedelta(days=min(DEFAULT_DAYS - 1, (last - date.min).days)))
    if not 0 <= (last - first).days < MOST_DAYS:
        raise exceptions.ValidationError({"last": f"Write a day from `first` on, at most {MOST_DAYS} days."})
    return Period(first, last)


def _day(asked: Mapping[str, str], name: str, otherwise: date) -> date:
    if name not in asked:
        return otherwise
    try:
        found = date.fromisoformat(asked[name])
    except ValueError:
        found = date.min
    # far enough from the ends of the calendar for the period before and the weeks of history
    if not 1970 <= found.year < 9999:
        raise serializers.ValidationError({name: "Write a day such as 2026-11-01."})
    return found


def projects_of(actor: Actor, asked: Mapping[str, str]) -> QuerySet[Project]:
    """Return the projects the caller sees, narrowed to a project or unit; none for an id they cannot see."""
    rows = access.visible_projects(actor)
    if "business_unit" in asked:
        unit = look_up(access.visible_business_units(actor), asked["business_unit"])
        rows = rows.filter(business_unit__in=access.with_all_below({unit.pk})) if unit else rows.none()
    if "project" in asked:
        project: Any = look_up(rows, asked["project"])
        rows = rows.filter(pk=project.pk) if project else rows.none()
    return rows
