"""The only way to obtain what is about money on behalf of a person or program: what belongs to a scope they see."""

from typing import TypeVar

from django.db.models import Q, QuerySet

from accounts import access
from accounts.access import Actor
from accounts.models import User
from billing.models import AlertEvent, Budget, CreditAccount, Limit, Statement, UsageRecord

# Who enters, approves, rejects and withdraws prices.
PRICING_ROLES = ("finance", "it_admin")

S = TypeVar("S", Budget, CreditAccount, Limit)


def _visible(rows: QuerySet[S], actor: Actor) -> QuerySet[S]:
    if access.sees_everything(actor):
        return rows
    return rows.filter(
        Q(project__in=access.visible_projects(actor)) | Q(key__in=access.visible_keys(actor)) | Q(business_unit__in=access.visible_business_units(actor))
    )


def visible_budgets(actor: Actor) -> QuerySet[Budget]:
    """Return the budgets of everything the actor sees."""
    return _visible(Budget.objects.select_related("project", "key", "business_unit"), actor)


def visible_limits(actor: Actor) -> QuerySet[Limit]:
    """Return the limits of everything the actor sees."""
    return _visible(Limit.objects.select_related("project", "key", "business_unit"), actor)


def visible_credit_accounts(actor: Actor) -> QuerySet[CreditAccount]:
    """Return the credit accounts of everything the actor sees."""
    return _visible(CreditAccount.objects.select_related("project", "key", "business_unit"), actor)


def visible_alerts(actor: Actor) -> QuerySet[AlertEvent]:
    """Return the alerts about everything the actor sees; those about the platform as a whole for those who see it."""
    rows = AlertEvent.objects.select_related("project", "business_unit", "acknowledged_by")
    if access.sees_everything(actor):
        return rows
    return rows.filter(Q(project__in=access.visible_projects(actor)) | Q(business_unit__in=access.visible_business_units(actor)))


def visible_calls(actor: Actor) -> QuerySet[UsageRecord]:
    """Return the calls of the projects the actor sees."""
    rows = UsageRecord.objects.filter(kind=UsageRecord.Kind.CALL)
    return rows if access.sees_everything(actor) else rows.filter(project__in=access.visible_projects(actor).values("id"))


def visible_statements(actor: Actor) -> QuerySet[Statement]:
    """Return the statements of the business units the actor sees."""
    rows = Statement.objects.select_related("closed_by")
    return rows if access.sees_everything(actor) else rows.filter(business_unit__in=access.visible_business_units(actor).values("pk"))


def deciders_of_prices() -> QuerySet[User]:
    """Return the people who enter and decide about prices."""
    return User.objects.filter(is_active=True, role__in=PRICING_ROLES)


def may_decide_prices(user: object) -> bool:
    """Say whether somebody enters and decides about prices."""
    return isinstance(user, User) and user.is_active and user.role in PRICING_ROLES and not access.is_breaking_glass(user)
