"""The personal sandbox: a project of one's own with a small prepaid credit, given by rule at the first sign-in, without anybody's hand."""

from django.core.exceptions import ValidationError

from accounts import actions
from accounts.access_grants import person_of
from accounts.grants import Asked, Asking, Grant, Line, Outcome
from accounts.models import BusinessUnit, Environment, GrantRequest, Membership, Project, User
from billing import credits as credit_actions
from billing.budgets import save_budget
from billing.grants import reason_of, usd
from billing.models import Budget

UNIT_NAME = "Sandboxes"


def name_for(user: User) -> str:
    """Return what somebody's sandbox is called."""
    return f"Sandbox of {user.email}"[:200]


def sandbox_of(user: User) -> Project | None:
    """Return somebody's sandbox, if they have one."""
    return Project.objects.filter(name__iexact=name_for(user), memberships__user=user, memberships__role=Membership.Role.OWNER).first()


def check_sandbox(asking: Asking) -> Asked:
    """Check that the person has none yet."""
    user = person_of(asking.actor)
    if sandbox_of(user) is not None:
        raise ValidationError({"target": "You have a sandbox already."})
    return Asked(f"A sandbox with {usd(asking.amount_nanousd or 0)} USD for {user}", "self", environment=Environment.DEV)


def preview_sandbox(request: GrantRequest) -> list[Line]:
    """Say what would be made."""
    return [Line("Personal sandbox, prepaid USD", "—", usd(request.granted_nanousd or 0))]


def make_sandbox(request: GrantRequest) -> Outcome:
    """Make the project with its owner, a hard budget of nothing and the credit that it draws on."""
    user = request.requester
    assert user is not None
    unit = BusinessUnit.objects.filter(name__iexact=UNIT_NAME, parent=None).first() or actions.save_business_unit(BusinessUnit(name=UNIT_NAME))
    if request.rule is not None and request.rule.business_unit is not None:
        unit = request.rule.business_unit
    project = actions.save_project(Project(name=name_for(user), business_unit=unit, environment=Environment.DEV, is_listed=False))
    actions.save_membership(Membership(user=user, project=project, role=Membership.Role.OWNER))
    save_budget(Budget(name="Prepaid", project=project, mode=Budget.Mode.HARD, period=Budget.Period.TOTAL, amount=0))
    credit_actions.grant(credit_actions.account_of(project), request.granted_nanousd or 0, request.until, None, reason_of(request))
    request.project, request.business_unit = project, unit
    return {"project": project.pk.hex}


GRANT = Grant(
    kind="sandbox",
    title="A personal sandbox",
    target="`self`",
    takes_amount=True,
    ends_itself=True,
    is_asked_for=False,
    check=check_sandbox,
    preview=preview_sandbox,
    apply=make_sandbox,
)
