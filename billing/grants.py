"""What can be asked for about money and speed: credit, a budget raised for a while, a higher limit."""

from typing import Any

from django.core.exceptions import ValidationError

from accounts import access, four_eyes
from accounts.access import Actor
from accounts.grants import Asked, Asking, Fact, Grant, Line, Outcome
from accounts.models import BusinessUnit, GrantRequest, Project, VirtualKey
from accounts.requests.approvers import decided_by
from accounts.requests.overlaps import hand_on, is_borrowed
from billing import credits as credit_actions
from billing.access import visible_budgets, visible_limits
from billing.budgets import MOST_AMOUNT, save_limit
from billing.history import project_history
from billing.models import Budget, CreditAccount, CreditGrant, Limit, Unit
from billing.money import to_usd
from billing.standing import standings, usable_credit

Scope = Project | VirtualKey | BusinessUnit


def usd(nanousd: int) -> str:
    """Return an amount in nano-USD as people read it, such as `1,250.00`."""
    return f"{to_usd(nanousd):,.2f}"


def scope_of(target: str, actor: Actor) -> Scope:
    """Return the project or key of a prefixed id among those the actor sees, or the unit among those that bind them; raises ValidationError."""
    prefix, _, bare = target.strip().partition("_")
    found: Scope | None = None
    if prefix == "key" and bare.isascii() and bare.isalnum():
        found = access.visible_keys(actor).filter(public_id=bare).first()
    elif prefix in ("prj", "bu") and len(bare) == 32 and all(letter in "0123456789abcdef" for letter in bare):
        found = (access.visible_projects(actor) if prefix == "prj" else access.binding_units(actor)).filter(pk=bare).first()
    if found is None:
        raise ValidationError({"target": "There is no such project (`prj_...`), key (`key_...`) or unit (`bu_...`), or it is not yours to see."})
    return found


def placed(scope: Scope) -> dict[str, Any]:
    """Return where it is decided: a project's or key's unit decides, for a unit the one above."""
    if isinstance(scope, BusinessUnit):
        return {"unit": scope.parent}
    project = scope.project if isinstance(scope, VirtualKey) else scope
    return {"project": project, "unit": project.business_unit, "environment": scope.environment}


def named(scope: Scope) -> str:
    """Return the prefixed id."""
    if isinstance(scope, VirtualKey):
        return f"key_{scope.public_id}"
    return f"{'prj' if isinstance(scope, Project) else 'bu'}_{scope.pk.hex}"


def scope_of_request(request: GrantRequest) -> Scope:
    """Return what a stored request is about; raises ValidationError when it is gone."""
    prefix, _, bare = request.target.partition("_")
    found: Scope | None
    if prefix == "key":
        found = VirtualKey.objects.filter(public_id=bare).first()
    else:
        found = (Project.objects if prefix == "prj" else BusinessUnit.objects).filter(pk=bare).first()
    if found is None:
        raise ValidationError("What this is about is gone.")
    return found


def spent_so_far(request: GrantRequest) -> list[Fact]:
    """Return what the project spent lately, and how long the amount would last at that pace."""
    return project_history(request.project, request.granted_nanousd or 0) if request.project else []


# ---- credit -----------------------------------------------------------------------------------------------------------


def check_credit(asking: Asking) -> Asked:
    """Check that the asker sees what the credit is for."""
    scope = scope_of(asking.target, asking.actor)
    return Asked(f"{usd(asking.amount_nanousd or 0)} USD credit for {scope}", named(scope), {}, **placed(scope))


def preview_credit(request: GrantRequest) -> list[Line]:
    """Say what the hard budgets of the scope allow, and would allow."""
    return raised(scope_of_request(request), request.granted_nanousd or 0)


def raised(scope: Scope, more: int) -> list[Line]:
    """Return what may be spent under each hard money budget of a scope, before and after more credit in nano-USD."""
    place = {Project: "project", VirtualKey: "key", BusinessUnit: "business_unit"}[type(scope)]
    budgets = list(Budget.objects.filter(**{place: scope}, mode=Budget.Mode.HARD, unit=Unit.NANOUSD, is_archived=False).order_by("name"))
    accounts = list(CreditAccount.objects.filter(**{place: scope}))
    waiting = sum(usable_credit(accounts).values())
    if not budgets:
        return [Line(f"Credit of {scope}", usd(waiting), usd(waiting + more))]
    found = standings(budgets)
    lines = []
    for budget in budgets:
        now = found[budget.id].amount + found[budget.id].credit + waiting
        lines.append(Line(f"{budget.name} ({budget.get_period_display()}), USD", usd(now), usd(now + more)))
    return lines


def give_credit(request: GrantRequest) -> Outcome:
    """Post the credit, which the scope's budgets draw on at once."""
    decider = decided_by(request)
    account = credit_actions.account_of(scope_of_request(request), decider)
    made = credit_actions.grant(account, request.granted_nanousd or 0, request.until, decider, reason_of(request))
    return {"grant": made.pk}


def end_credit(request: GrantRequest) -> None:
    """End what is left of the credit."""
    made = CreditGrant.objects.filter(pk=request.outcome["grant"]).first()
    if made is not None:
        credit_actions.end(made, None, f"{request.shown_id} ended")


def reason_of(request: GrantRequest) -> str:
    """Return the reason as it stands in the ledger."""
    return f"{request.shown_id}: {' '.join(request.reason.split())}"[:400]


# ---- a budget raised for a while --------------------------------------------------------------------------------------


def check_raise(asking: Asking) -> Asked:
    """Check that the asker sees a hard money budget, and says until when."""
    bare = asking.target.strip().removeprefix("bud_")
    budget = visible_budgets(asking.actor).filter(pk=bare, is_archived=False).first() if bare.isascii() and bare.isalnum() else None
    if budget is None:
        raise ValidationError({"target": "There is no such budget (`bud_...`), or it is not yours to see."})
    if budget.unit != Unit.NANOUSD or budget.mode != Budget.Mode.HARD:
        raise ValidationError({"target": "Only a hard budget in money is raised for a while."})
    if asking.until is None:
        raise ValidationError({"until": "Say until when."})
    return Asked(f"{budget.name}: {usd(asking.amount_nanousd or 0)} USD more for a while", f"bud_{budget.pk}", {}, **placed(budget.scope))


def budget_of(request: GrantRequest) -> Budget:
    """Return the budget of a stored request; raises ValidationError when it is gone."""
    budget = Budget.objects.filter(pk=request.target.removeprefix("bud_"), is_archived=False).first()
    if budget is None:
        raise ValidationError("This budget is gone.")
    return budget


def raise_budget(request: GrantRequest) -> Outcome:
    """Raise the budget until the end that was asked for."""
    assert request.until is not None
    with four_eyes.settled():  # whoever asked and whoever approved are two
        made = credit_actions.raise_temporarily(budget_of(request), request.granted_nanousd or 0, request.until, decided_by(request), reason_of(request))
    assert made is not None
    return {"grant": made.pk}


# ---- a higher limit ---------------------------------------------------------------------------------------------------


def check_limit(asking: Asking) -> Asked:
    """Check that the asker sees the limit and asks for more than it is."""
    bare = asking.target.strip().removeprefix("lim_")
    limit = visible_limits(asking.actor).filter(pk=bare).first() if bare.isascii() and bare.isalnum() else None
    if limit is None:
        raise ValidationError({"target": "There is no such limit (`lim_...`), or it is not yours to see."})
    amount = asking.parameters.get("to")
    wanted = int(amount) if isinstance(amount, str | int) and str(amount).isascii() and str(amount).isdecimal() and len(str(amount)) < 20 else 0
    goes_on = limit.amount == wanted and is_borrowed("limit", f"lim_{limit.pk}", wanted, _limit_given)
    if not (goes_on or limit.amount < wanted <= MOST_AMOUNT):
        raise ValidationError({"to": f"Write a whole number above {limit.amount}, as the parameter `to`."})
    return Asked(f"{limit.get_kind_display().capitalize()} of {limit.scope}: {wanted}", f"lim_{limit.pk}", {"to": wanted}, **placed(limit.scope))


def limit_of(request: GrantRequest) -> Limit:
    """Return the locked limit of a stored request; raises ValidationError when it is gone."""
    limit = Limit.objects.select_for_update(no_key=True).filter(pk=request.target.removeprefix("lim_")).first()
    if limit is None:
        raise ValidationError("This limit is gone.")
    return limit


def preview_limit(request: GrantRequest) -> list[Line]:
    """Say what the limit is and would be."""
    limit = Limit.objects.filter(pk=request.target.removeprefix("lim_")).first()
    return [Line(f"{limit.get_kind_display()} of {limit.scope}", str(limit.amount), str(request.parameters["to"]))] if limit else []


def set_limit(request: GrantRequest) -> Outcome:
    """Raise the limit."""
    limit = limit_of(request)
    before, limit.amount = limit.amount, request.parameters["to"]
    save_limit(limit, decided_by(request), reason_of(request))
    return {"before": before}


def _limit_given(request: GrantRequest) -> Any:
    return request.parameters["to"]


def put_limit_back(request: GrantRequest) -> None:
    """Put the limit back to what it was, unless somebody changed it meanwhile or another request gives it too."""
    limit = Limit.objects.select_for_update(no_key=True).filter(pk=request.target.removeprefix("lim_")).first()
    goes_on = hand_on(request, _limit_given, target=request.target)
    if limit is not None and not goes_on and limit.amount == request.parameters["to"]:
        limit.amount = request.outcome["before"]
        save_limit(limit, None, f"{request.shown_id} ended")


GRANTS = (
    Grant(
        kind="credit",
        title="Credit",
        target="`prj_...`, `key_...` or `bu_...`",
        takes_amount=True,
        ends_itself=True,
        check=check_credit,
        preview=preview_credit,
        facts=spent_so_far,
        apply=give_credit,
        revoke=end_credit,
    ),
    Grant(
        kind="budget_raise",
        title="A budget raised for a while",
        target="`bud_...`",
        takes_amount=True,
        ends_itself=True,
        check=check_raise,
        preview=lambda request: raised(budget_of(request).scope, request.granted_nanousd or 0),
        facts=spent_so_far,
        apply=raise_budget,
        revoke=end_credit,
    ),
    Grant(
        kind="limit",
        title="A higher limit",
        target="`lim_...`",
        parameters={"to": "what it should be"},
        check=check_limit,
        preview=preview_limit,
        apply=set_limit,
        revoke=put_limit_back,
    ),
)
