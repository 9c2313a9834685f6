"""Reads for the admin's frame and lists."""

from datetime import timedelta
from typing import Any

from django.db.models import Count, Max, Q, Sum
from django.utils import timezone

from accounts.models import Project
from billing.models import UsageRecord
from billing.money import shown_usd
from gateway.models import Model, State


def overview() -> dict[str, Any]:
    """Return the admin dashboard: the last 24 hours, and what needs a hand."""
    now = timezone.now()
    day = UsageRecord.objects.filter(started_at__gte=now - timedelta(days=1)).aggregate(
        calls=Count("id"),
        failed=Count("id", filter=Q(outcome="failed")),
        tokens=Sum("input_tokens", default=0) + Sum("output_tokens", default=0),
        cost=Sum("cost_nanousd", default=0),
    )
    return {
        "cards": [
            {"title": "Calls, 24 h", "value": f"{day['calls']:,}", "link": "admin:billing_usagerecord_changelist"},
            {"title": "Failed, 24 h", "value": f"{day['failed']:,}", "link": "admin:billing_usagerecord_changelist"},
            {"title": "Tokens, 24 h", "value": f"{day['tokens']:,}", "link": "admin:billing_usagerecord_changelist"},
            {"title": "Cost, 24 h", "value": shown_usd(day["cost"]), "link": "admin:billing_usagerecord_changelist"},
            {
                "title": "Active projects",
                "value": Project.objects.filter(state="active").count(),
                "link": "admin:accounts_project_changelist",
            },
            {
                "title": "Models served",
                "value": Model.objects.filter(is_active=True, deployments__state=State.ACTIVE).distinct().count(),
                "link": "admin:gateway_model_changelist",
            },
        ],
        "top": [{"model": row["model"], "calls": row["calls"], "cost": shown_usd(row["cost"]), "last": row["last"]} for row in _top_models(now)],
    }


def _top_models(now: Any) -> Any:
    recent = UsageRecord.objects.filter(started_at__gte=now - timedelta(days=7)).order_by()
    return recent.values("model").annotate(calls=Count("id"), cost=Sum("cost_nanousd"), last=Max("started_at")).order_by("-cost")[:5]
