"""The first page: one's projects with what they spent this month, and their keys."""

from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from accounts import access
from accounts.models import User, VirtualKey
from accounts.portal.page import page_of, signed_in
from billing.models import DayRollup


@signed_in
def overview(request: HttpRequest, user: User) -> HttpResponse:
    """Show the visitor's projects."""
    page = page_of(request, projects_of(user))
    spent = spent_this_month([project.pk for project in page])
    rows = [{"project": project, "spent_nanousd": spent.get(project.pk, 0)} for project in page]
    return render(request, "gateway/overview.html", {"rows": rows, "page": page})


def projects_of(user: User) -> QuerySet[Any]:
    """Return the projects a person may see, with their number of active keys."""
    active = Q(keys__state=VirtualKey.State.ACTIVE, keys__expires_at__gt=timezone.now())
    return access.visible_projects(user).select_related("business_unit").annotate(key_count=Count("keys", filter=active)).order_by("name")


def spent_this_month(projects: list[Any]) -> dict[Any, int]:
    """Return nano-USD by project since the first of this month, UTC."""
    today = timezone.now().date()
    sums = DayRollup.objects.filter(series__project__in=projects, day__gte=today.replace(day=1)).values("series__project").annotate(total=Sum("cost_nanousd"))
    return {row["series__project"]: row["total"] for row in sums.order_by()}
