"""Alerts on what is to be expected: a window that will end above its budget, and a day unlike its weekday's history."""

import statistics
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from django.db.models import Sum

from accounts.models import Project
from billing.alerts.events import named, record, shown
from billing.models import AlertEvent, Budget, UsageRecord, Window

# Earlier than a tenth of the window, a straight line says little.
LEAST_ELAPSED = 0.1
WEEKS = 8
LEAST_WEEKS = 4
LEAST_ANOMALY_NANOUSD = 1_000_000_000
DEVIATIONS = 3
LEAST_FACTOR = 1.5


def look_ahead(now: datetime) -> int:
    """Record budgets that will not last and days that stand out; return how many alerts are new."""
    today = now.astimezone(UTC).date()
    return _forecasts(now) + _anomalies(today) + _anomalies(today - timedelta(days=1))


def forecast(spent: int, opens_at: datetime, closes_at: datetime, now: datetime) -> int | None:
    """Return what a window will have spent at its end if it goes on as so far, in its unit; None while it is too early to say."""
    elapsed, length = (now - opens_at).total_seconds(), (closes_at - opens_at).total_seconds()
    if not LEAST_ELAPSED * length <= elapsed <= length:
        return None
    return int(spent * length / elapsed)


def _forecasts(now: datetime) -> int:
    found = Window.objects.filter(closed_at__isnull=True, budget__isnull=False, budget__per="", opens_at__lt=now, closes_at__gt=now, spent__gt=0, base__gt=0)
    new = 0
    for window in found.select_related("budget__project", "budget__key__project", "budget__business_unit").iterator(chunk_size=500):
        assert window.budget is not None
        assert window.closes_at is not None
        expected = forecast(window.spent, window.opens_at, window.closes_at, now)
        if expected is not None and window.spent < window.base < expected:
            new += _will_overrun(window, window.budget, expected)
    return new


def _will_overrun(window: Window, budget: Budget, expected: int) -> bool:
    return record(
        kind=AlertEvent.Kind.FORECAST,
        subject=f"bud_{budget.pk}",
        window=window.pk,
        threshold=100,
        severity="warning",
        title=f"Budget {budget.name} of {named(budget.scope)} will not last",
        text=(
            f"{shown(window.spent, window.unit)} of {shown(window.base, window.unit)} are spent. At this pace it will be "
            f"{shown(expected, window.unit)} when the window ends at {window.closes_at:%Y-%m-%d %H:%M} UTC."
        ),
        scope=budget.scope,
        facts={"unit": window.unit, "base": window.base, "spent": window.spent, "forecast": expected},
    )


def _anomalies(day: date) -> int:
    spend = {past: _spend(past) for past in (day - timedelta(weeks=week) for week in range(WEEKS + 1))}
    new = 0
    for project, cost in spend[day].items():
        history = [spend[past].get(project, 0) for past in sorted(spend) if past != day]
        first = next((index for index, value in enumerate(history) if value), len(history))
        history = history[first:]  # weeks before its first call are no history
        if len(history) < LEAST_WEEKS or cost < LEAST_ANOMALY_NANOUSD:
            continue
        usual = statistics.fmean(history)
        if cost > max(usual + DEVIATIONS * statistics.pstdev(history), LEAST_FACTOR * usual):
            new += _stands_out(project, day, cost, int(usual))
    return new


def _spend(day: date) -> dict[UUID, int]:
    """Return each project's cost of a UTC day in nano-USD."""
    begins = datetime(day.year, day.month, day.day, tzinfo=UTC)
    rows = UsageRecord.objects.filter(started_at__gte=begins, started_at__lt=begins + timedelta(days=1), project__isnull=False)
    by_project = rows.order_by().values("project").annotate(cost=Sum("cost_nanousd"))
    return {row["project"]: row["cost"] for row in by_project if row["project"]}


def _stands_out(project_id: UUID, day: date, cost: int, usual: int) -> bool:
    project = Project.objects.filter(pk=project_id).first()
    begins = datetime(day.year, day.month, day.day, tzinfo=UTC)
    rows = UsageRecord.objects.filter(project=project_id, started_at__gte=begins, started_at__lt=begins + timedelta(days=1))
    by_model = rows.order_by().values("model").annotate(cost=Sum("cost_nanousd")).order_by("-cost").values_list("model", "cost")[:3]
    causes = ", ".join(f"{model} {shown(part, 'nanousd')}" for model, part in by_model)
    name = named(project) if project else f"project {project_id}"
    return record(
        kind=AlertEvent.Kind.ANOMALY,
        subject=str(project_id),
        window=f"{day:%Y-%m-%d}",
        threshold=0,
        severity="warning",
        title=f"Unusual spend of {name} on {day:%A, %Y-%m-%d}",
        text=f"{shown(cost, 'nanousd')}, where {shown(usual, 'nanousd')} are usual for this weekday. Most of it: {causes}.",
        scope=project,
        facts={"cost_nanousd": cost, "usual_nanousd": usual},
    )
