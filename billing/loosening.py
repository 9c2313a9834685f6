"""What would bind less than the units above allow: such a change of a budget takes two people."""

from datetime import datetime
from typing import Any

from accounts import four_eyes
from accounts.models import GrantRequest, Project
from billing.ceilings import units_above
from billing.models import Budget, Unit

ACT = "act.budget"
WIDENING = ("amount", "mode", "period", "per")


def ceiling(budget: Budget) -> int | None:
    """Return the least amount (in its unit) of the hard budgets of the same period that units above have, None where none has any."""
    above = Budget.objects.filter(business_unit__in=units_above(budget.scope), mode=Budget.Mode.HARD, per="", is_archived=False)
    same = above.filter(unit=budget.unit, period=budget.period)
    return min(same.exclude(pk=budget.pk).values_list("amount", flat=True), default=None)


def _project(budget: Budget) -> Project | None:
    return budget.project or (budget.key.project if budget.key else None)


def hold_change(before: Budget, budget: Budget, reason: str) -> GrantRequest | None:
    """Put back what of a change would bind less than the units above allow, and file it for a second person; None where one is enough."""
    if before.mode != Budget.Mode.HARD or not four_eyes.is_needed():
        return None
    most = ceiling(before)
    looser = budget.mode != before.mode or budget.period != before.period or budget.per != before.per
    if most is None or not (looser or budget.amount > max(most, before.amount)):
        return None
    wanted = {name: getattr(budget, name) for name in WIDENING if getattr(budget, name) != getattr(before, name)}
    for name in wanted:
        setattr(budget, name, getattr(before, name))
    return _hold(budget, f"{budget} beyond what its unit allows", {"fields": wanted}, reason)


def hold_archive(budget: Budget, reason: str) -> GrantRequest | None:
    """File the end of a hard budget below one of a unit; None where one person is enough."""
    if budget.mode != Budget.Mode.HARD or not four_eyes.is_needed() or ceiling(budget) is None:
        return None
    return _hold(budget, f"{budget} archived, though its unit has a limit", {"archive": True}, reason)


def hold_raise(budget: Budget, amount_nanousd: int, until: datetime, reason: str) -> GrantRequest | None:
    """File a raise for a while that goes beyond what the units above allow; None where one person is enough."""
    if budget.unit != Unit.NANOUSD or not four_eyes.is_needed():
        return None
    most = ceiling(budget)
    if most is None or budget.amount + amount_nanousd <= most:
        return None
    return _hold(budget, f"{budget} raised beyond what its unit allows", {"raise_nanousd": amount_nanousd, "until": until.isoformat()}, reason)


def _hold(budget: Budget, title: str, parameters: dict[str, Any], reason: str) -> GrantRequest:
    project = _project(budget)
    return four_eyes.hold(
        ACT,
        row=budget,
        title=title,
        target=f"bud_{budget.pk}",
        parameters={"budget": budget.pk, **parameters},
        reason=reason,
        project=project,
        unit=project.business_unit if project else budget.business_unit,
    )
