"""Alerts on calls whose price was not known: once a day for each project and model."""

from django.db.models import Count, Max, Min
from django.db.models.functions import TruncDate

from accounts.models import Project
from billing.alerts.events import record
from billing.models import AlertEvent, AlertPosition, UsageRecord

POSITION = "unpriced"


def look_at_usage() -> int:
    """Record which models were called without a known price in usage rows since the last look; return how many alerts are new.

    Rows committed late carry lower numbers than some already seen, so each look begins where the one before the last ended.
    """
    position, _ = AlertPosition.objects.get_or_create(name=POSITION)
    newest = UsageRecord.objects.aggregate(newest=Max("id"))["newest"] or 0
    if newest == position.before:
        return 0
    rows = UsageRecord.objects.filter(id__gt=position.before, id__lte=newest, flags__contains="unpriced")
    by_model = rows.annotate(day=TruncDate("started_at")).values("project", "model", "upstream_model", "account", "day")
    groups = by_model.annotate(calls=Count("id"), first=Min("call_id"))
    new = 0
    for group in groups.order_by("day", "project", "model"):
        new += record(
            kind=AlertEvent.Kind.UNPRICED,
            subject=f"{group['project'] or 'platform'}:{group['model']}",
            window=f"{group['day']:%Y-%m-%d}",
            threshold=0,
            severity="warning",
            title=f"Calls of model {group['model']} have no known price",
            text=(
                f"{group['calls']} calls so far, the first {group['first']}, at account {group['account'] or '-'} as "
                f"{group['upstream_model'] or '-'}, were recorded at no cost. Enter a price and rate them anew."
            ),
            scope=Project.objects.filter(pk=group["project"]).first() if group["project"] else None,
            facts={"model": group["model"], "upstream_model": group["upstream_model"], "account": group["account"]},
        )
    AlertPosition.objects.filter(name=POSITION, seen=position.seen).update(before=position.seen, seen=newest)
    return new
