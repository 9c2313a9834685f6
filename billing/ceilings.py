"""How much people and programs of a business unit may let those below them spend: never more than what binds the unit itself. Reads only."""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Min

from accounts import access
from accounts.access import Actor
from accounts.models import BusinessUnit, Project, User, VirtualKey
from billing.models import Budget, CreditAccount, Limit, Unit
from billing.money import shown_usd
from billing.standing import usable_credit

# Platform roles that answer for all money; everybody else is bound by the units above.
UNBOUND_ROLES = frozenset({"it_admin", "finance"})
# A budget is compared with those above it whose windows last as long or longer: a dearer day fits no month, a dearer month says nothing of a day.
LENGTHS = ("daily", "weekly", "monthly", "fixed", "total")

Place = Project | VirtualKey | BusinessUnit


def is_unbound(actor: Actor) -> bool:
    """Say whether the actor answers for all money."""
    return access.role_of(actor) in UNBOUND_ROLES if isinstance(actor, User) else actor.is_platform_wide


def check_budget(actor: Actor, budget: Budget) -> None:
    """Raise ValidationError when a unit above has a hard budget of the same unit and as long a window, and a smaller amount."""
    if is_unbound(actor):
        return
    longer = LENGTHS[LENGTHS.index(budget.period) :] if budget.period in LENGTHS else ()
    _refuse_more(budget.amount, _budgets_above(budget.scope, budget.unit).filter(period__in=longer), budget.unit == Unit.NANOUSD)


def check_limit(actor: Actor, limit: Limit) -> None:
    """Raise ValidationError when a unit above has a smaller limit of the same kind."""
    if not is_unbound(actor):
        above = Limit.objects.filter(business_unit__in=units_above(limit.scope), kind=limit.kind)
        _refuse_more(limit.amount, above, limit.kind == Limit.Kind.SPEND)


def check_credit(actor: Actor, scope: Place, amount_nanousd: int) -> None:
    """Raise ValidationError unless a unit above has a hard budget in money that is no less than all credit the scope would have (nano-USD)."""
    if is_unbound(actor):
        return
    above = _budgets_above(scope, Unit.NANOUSD)
    if not above.exists():
        raise ValidationError({"amount": "No hard budget in money binds the business unit above, so only finance gives credit here. Ask finance."})
    accounts: Sequence[CreditAccount] = list(CreditAccount.objects.filter(**{_name_of(scope): scope}))
    _refuse_more(amount_nanousd + sum(usable_credit(accounts).values()), above, True)


def units_above(place: Place) -> list[Any]:
    """Return the ids of the business units above a project, key or unit, nearest first."""
    unit = place.parent if isinstance(place, BusinessUnit) else (place.project if isinstance(place, VirtualKey) else place).business_unit
    found: list[Any] = []
    while unit is not None and unit.pk not in found:
        found.append(unit.pk)
        unit = unit.parent
    return found


def _budgets_above(scope: Place, unit: str) -> Any:
    return Budget.objects.filter(business_unit__in=units_above(scope), unit=unit, mode=Budget.Mode.HARD, per="", is_archived=False)


def _refuse_more(amount: int, above: Any, is_money: bool) -> None:
    most = above.aggregate(most=Min("amount"))["most"]
    if most is not None and amount > most:
        told = shown_usd(most) if is_money else f"{most:,}"
        raise ValidationError({"amount": f"The business unit above may itself not go beyond {told}. Choose no more than that, or ask finance."})


def _name_of(scope: Place) -> str:
    return {Project: "project", VirtualKey: "key", BusinessUnit: "business_unit"}[type(scope)]
