"""The first page: one's projects with what they spent this month, and their keys."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone

from accounts import access
from accounts.models import User, VirtualKey
from accounts.portal.download import as_csv, wants_csv
from accounts.portal.page import page_of, signed_in
from billing.models import DayRollup
from billing.money import plain_usd

COLUMNS = ("id", "project", "business unit", "environment", "state", "active keys", "spent this month USD")


@signed_in
def overview(request: HttpRequest, user: User) -> HttpResponseBase:
    """Show the visitor's projects."""
    if wants_csv(request):
        return as_csv("projects", COLUMNS, cells_of(user))
    page = page_of(request, projects_of(user))
    spent = spent_this_month([project.pk for project in page])
    rows = [{"project": project, "spent_nanousd": spent.get(project.pk, 0)} for project in page]
    return render(request, "gateway/overview.html", {"rows": rows, "page": page})


def cells_of(user: User) -> Iterator[list[Any]]:
    """Yield a line for each project."""
    rows = list(projects_of(user))
    spent = spent_this_month([row.pk for row in rows])
    for row in rows:
        yield [f"prj_{row.pk.hex}", row.name, row.business_unit.name, row.environment, row.state, row.key_count, plain_usd(spent.get(row.pk, 0))]


def projects_of(user: User) -> QuerySet[Any]:
    """Return the projects a person may see, with their number of active keys."""
    active = Q(keys__state=VirtualKey.State.ACTIVE, keys__expires_at__gt=timezone.now())
    return access.visible_projects(user).select_related("business_unit").annotate(key_count=Count("keys", filter=active)).order_by("name")


def spent_this_month(projects: list[Any]) -> dict[Any, int]:
    """Return nano-USD by project since the first of this month, UTC."""
    today = timezone.now().date()
    sums = DayRollup.objects.filter(series__project__in=projects, day__gte=today.replace(day=1)).values("series__project").annotate(total=Sum("cost_nanousd"))
    return {row["series__project"]: row["total"] for row in sums.order_by()}
