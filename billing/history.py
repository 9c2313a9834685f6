"""What a project spent lately, in words an approver or asker can weigh an amount against."""

from datetime import timedelta

from django.db.models import Sum
from django.utils import timezone

from accounts.grants import Fact
from accounts.models import Project
from billing.models import DayRollup
from billing.money import to_usd

DAYS = 30


def spent_nanousd(project: Project, days: int = DAYS) -> int:
    """Return what a project spent in the last whole days and today, in nano-USD."""
    since = timezone.now().date() - timedelta(days=days - 1)
    return int(DayRollup.objects.filter(series__project=project.pk, day__gte=since).aggregate(sum=Sum("cost_nanousd"))["sum"] or 0)


def project_history(project: Project, amount_nanousd: int = 0) -> list[Fact]:
    """Return the spend of the last 30 days, the mean day, and how long an amount would last at that pace."""
    spent = spent_nanousd(project)
    found = [Fact(f"Spent in {DAYS} days, USD", f"{to_usd(spent):,.2f}"), Fact("A mean day, USD", f"{to_usd(spent // DAYS):,.2f}")]
    if amount_nanousd and spent >= DAYS:
        days = amount_nanousd // (spent // DAYS)
        found.append(Fact("At that pace it lasts", "over a year" if days > 365 else f"{days} days" if days != 1 else "1 day"))
    elif amount_nanousd:
        found.append(Fact("At that pace it lasts", "nothing was spent yet"))
    return found
