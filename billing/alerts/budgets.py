"""Alerts on budget windows: thresholds reached, and use beyond what was held. Looks only at windows that can say something new."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q

from billing.alerts.events import named, record, shown
from billing.models import AlertEvent, Budget, Window, WindowWatch

USUAL_THRESHOLDS = (50, 80, 100)
MOST_WINDOWS = 1_000
# Receipts of a dead worker may come after its window was closed.
LATE = timedelta(days=1)


def thresholds_of(budget: Budget) -> list[int]:
    """Return the percentages that alert, in rising order; the usual ones when the budget names none."""
    return sorted({percent for percent in budget.thresholds if type(percent) is int and percent > 0}) or list(USUAL_THRESHOLDS)


def look_at_windows(now: datetime) -> int:
    """Record what windows have reached since the last look, at most 1000 windows; return how many alerts are new.

    A percentage is of the budget's own amount; of windows that have nothing but credit, of that.
    """
    is_open = Q(closed_at__isnull=True) | Q(closed_at__gt=now - LATE)
    says_something = (
        Q(watch__isnull=True, spent__gt=0)
        | Q(watch__next_spent__lte=F("spent"))
        | Q(watch__base__lt=F("base"))
        | Q(watch__base__gt=F("base"), base__gt=0)
        | Q(watch__has_told_overrun=False, overrun__gt=0)
    )
    related = ("budget__project", "budget__key__project", "budget__business_unit", "watch")
    found = Window.objects.filter(is_open & says_something, budget__isnull=False).select_related(*related).order_by("pk")[:MOST_WINDOWS]
    return sum(_look_at(window) for window in list(found))


@transaction.atomic
def _look_at(window: Window) -> int:
    assert window.budget is not None
    whole = window.base or window.credit
    new, ahead = 0, None
    for percent in thresholds_of(window.budget):
        needed = -(-whole * percent // 100)
        if window.spent < needed or not whole:
            ahead = needed if whole else None
            break
        new += _reached(window, window.budget, percent, whole)
    if window.overrun:
        new += _overrun(window, window.budget)
    WindowWatch.objects.update_or_create(window=window, defaults={"base": whole, "next_spent": ahead, "has_told_overrun": window.overrun > 0})
    return new


def _reached(window: Window, budget: Budget, percent: int, whole: int) -> bool:
    label = window.id.rpartition(":")[2]
    ends = f" The window ends at {window.closes_at:%Y-%m-%d %H:%M} UTC." if window.closes_at else ""
    refuses = " Calls that would exceed it are refused." if budget.mode == Budget.Mode.HARD and percent >= 100 else ""
    return record(
        kind=AlertEvent.Kind.BUDGET,
        subject=f"bud_{budget.pk}",
        window=window.pk,
        threshold=percent,
        severity="critical" if percent >= 100 else "warning" if percent >= 80 else "info",
        title=f"Budget {budget.name} of {named(budget.scope)} has reached {percent} %",
        text=f"{shown(window.spent, window.unit)} of {shown(whole, window.unit)} are spent in {label}{_whose(window)}.{ends}{refuses}",
        scope=budget.scope,
        facts=_figures(window),
    )


def _overrun(window: Window, budget: Budget) -> bool:
    return record(
        kind=AlertEvent.Kind.OVERRUN,
        subject=f"bud_{budget.pk}",
        window=window.pk,
        threshold=0,
        severity="warning",
        title=f"A vendor used more than was held under budget {budget.name} of {named(budget.scope)}",
        text=f"{shown(window.overrun, window.unit)} beyond holds so far{_whose(window)}. Calls flagged overrun show which models these were.",
        scope=budget.scope,
        facts=_figures(window),
    )


def _whose(window: Window) -> str:
    return f" by {window.subject}" if window.subject else ""


def _figures(window: Window) -> dict[str, object]:
    return {"unit": window.unit, "base": window.base, "credit": window.credit, "spent": window.spent, "overrun": window.overrun}
