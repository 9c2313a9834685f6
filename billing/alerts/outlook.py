"""Alerts on what is to be expected: a window that will end above its budget, and a day unlike its weekday's history. Reads reports."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet

from accounts.models import BusinessUnit, Project, VirtualKey
from billing.alerts.events import named, record, shown
from billing.models import AlertEvent, Budget, DayRollup, Unit, Window
from billing.reports.anomalies import Anomaly, anomalies
from billing.reports.forecast import forecast
from billing.reports.periods import Period

# Earlier than a tenth of the window, a straight line says little.
LEAST_ELAPSED = 0.1
# With fewer days behind it, the mean of a weekday says less than a straight line.
LEAST_HISTORY_DAYS = 14


def look_ahead(now: datetime) -> int:
    """Record budgets that will not last and days that stand out; return how many alerts are new."""
    return _forecasts(now) + _anomalies(now.astimezone(UTC).date())


def straight_on(spent: int, opens_at: datetime, closes_at: datetime, now: datetime) -> int | None:
    """Return what a window will have spent at its end if it goes on as so far, in its unit; None while it is too early to say."""
    elapsed, length = (now - opens_at).total_seconds(), (closes_at - opens_at).total_seconds()
    if not LEAST_ELAPSED * length <= elapsed <= length:
        return None
    return int(spent * length / elapsed)


def projects_of(scope: Project | VirtualKey | BusinessUnit) -> QuerySet[Project]:
    """Return the projects whose spend a budget of this scope counts; a key's is a part of its project's."""
    if isinstance(scope, VirtualKey):
        return Project.objects.filter(pk=scope.project_id)
    if isinstance(scope, Project):
        return Project.objects.filter(pk=scope.pk)
    found: set[UUID] = set()
    level = {scope.pk}
    while level:
        found |= level
        level = set(BusinessUnit.objects.filter(parent__in=level).values_list("pk", flat=True)) - found
    return Project.objects.filter(business_unit__in=found)


def _forecasts(now: datetime) -> int:
    found = Window.objects.filter(closed_at__isnull=True, budget__isnull=False, budget__per="", opens_at__lt=now, closes_at__gt=now, spent__gt=0, base__gt=0)
    new = 0
    for window in found.select_related("budget__project", "budget__key__project", "budget__business_unit").iterator(chunk_size=500):
        assert window.budget is not None
        assert window.closes_at is not None
        expected = _expected(window, window.budget, window.closes_at, now) if window.spent < window.base else None
        if expected is not None and expected > window.base:
            new += _will_overrun(window, window.budget, expected)
    return new


def _expected(window: Window, budget: Budget, closes_at: datetime, now: datetime) -> int | None:
    """What the window will have spent at its end: by the weekdays of the last weeks where they say something, else straight on."""
    period = Period(window.opens_at.date(), (closes_at - timedelta(microseconds=1)).date())
    if window.unit == Unit.NANOUSD and period.days > 1:
        only = {"key": budget.key.public_id} if budget.key else {}
        coming = forecast(projects_of(budget.scope), period, now.astimezone(UTC).date(), **only)
        if coming.history_days >= LEAST_HISTORY_DAYS:
            return window.spent + coming.expected - coming.spent
    return straight_on(window.spent, window.opens_at, closes_at, now)


def _will_overrun(window: Window, budget: Budget, expected: int) -> bool:
    return record(
        kind=AlertEvent.Kind.FORECAST,
        subject=f"bud_{budget.pk}",
        window=window.pk,
        threshold=100,
        severity="warning",
        title=f"Budget {budget.name} of {named(budget.scope)} will not last",
        text=(
            f"{shown(window.spent, window.unit)} of {shown(window.base, window.unit)} are spent. If it goes on like this, it will be "
            f"{shown(expected, window.unit)} when the window ends at {window.closes_at:%Y-%m-%d %H:%M} UTC."
        ),
        scope=budget.scope,
        facts={"unit": window.unit, "base": window.base, "spent": window.spent, "forecast": expected},
    )


def _anomalies(today: date) -> int:
    """Look at today so far and yesterday: only at days that cost more than usual, since today is not over."""
    period = Period(today - timedelta(days=1), today)
    active = DayRollup.objects.filter(day__range=period, series__project__isnull=False).values_list("series__project", flat=True)
    new = 0
    for project in Project.objects.filter(pk__in=active):
        found = anomalies(Project.objects.filter(pk=project.pk), period)
        new += sum(_stands_out(project, anomaly) for anomaly in found if anomaly.is_high)
    return new


def _stands_out(project: Project, anomaly: Anomaly) -> bool:
    cause = anomaly.cause
    why = f" Most of it: {cause.dimension} {cause.name}, {shown(cause.cost, 'nanousd')} instead of {shown(cause.usual, 'nanousd')}." if cause else ""
    return record(
        kind=AlertEvent.Kind.ANOMALY,
        subject=f"prj_{project.pk.hex}",
        window=f"{anomaly.day:%Y-%m-%d}",
        threshold=0,
        severity="warning",
        title=f"Unusual spend of {named(project)} on {anomaly.day:%A, %Y-%m-%d}",
        text=f"{shown(anomaly.cost, 'nanousd')}, where {shown(anomaly.usual, 'nanousd')} are usual for this weekday.{why}",
        scope=project,
        facts={"cost_nanousd": anomaly.cost, "usual_nanousd": anomaly.usual, "high_nanousd": anomaly.high},
    )
