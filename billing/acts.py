"""Acts on money that take two people: a budget that would bind less than the unit above allows."""

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError

from accounts import four_eyes
from accounts.grants import Line
from accounts.models import GrantRequest
from accounts.requests.approvers import decided_by
from billing import budgets
from billing import credits as credit_actions
from billing.loosening import ACT
from billing.models import Budget, Unit
from billing.money import to_usd

ROLES = ("finance", "it_admin")


def budget_of(request: GrantRequest) -> Budget:
    """Return the budget of a request; raises ValidationError when it is gone."""
    found = Budget.objects.filter(pk=request.parameters["budget"], is_archived=False).first()
    if found is None:
        raise ValidationError("This budget is gone.")
    return found


def widen(request: GrantRequest) -> None:
    """Let the budget bind less: other fields, a raise for a while, or no binding at all."""
    budget, wanted, decider = budget_of(request), request.parameters, decided_by(request)
    reason = f"{request.shown_id}: {' '.join(request.reason.split())}"[:400]
    if wanted.get("archive"):
        budgets.archive(budget, decider, reason)
    elif "raise_nanousd" in wanted:
        credit_actions.raise_temporarily(budget, wanted["raise_nanousd"], datetime.fromisoformat(wanted["until"]), decider, reason)
    else:
        for name, value in wanted["fields"].items():
            setattr(budget, name, value)
        budgets.save_budget(budget, decider, reason)


def shown(budget: Budget, name: str, value: Any) -> str:
    """Return a value of a budget's field for people."""
    return f"{to_usd(value):,.2f} USD" if name == "amount" and budget.unit == Unit.NANOUSD else str(value) or "—"


def preview(request: GrantRequest) -> list[Line]:
    """Say what the budget is and would be."""
    budget = Budget.objects.filter(pk=request.parameters["budget"]).first()
    wanted = request.parameters
    if budget is None:
        return []
    if wanted.get("archive"):
        return [Line(str(budget), "binds", "archived")]
    if "raise_nanousd" in wanted:
        before, after = budget.amount, budget.amount + wanted["raise_nanousd"]
        return [Line(f"{budget} until {wanted['until'][:16]}", shown(budget, "amount", before), shown(budget, "amount", after))]
    return [Line(f"{name} of {budget}", shown(budget, name, getattr(budget, name)), shown(budget, name, value)) for name, value in wanted["fields"].items()]


ACTS = (four_eyes.act(ACT, title="A budget above its unit's limit", roles=ROLES, run=widen, preview=preview),)
