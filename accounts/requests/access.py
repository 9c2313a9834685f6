"""The only way to obtain requests, rules and delegations on behalf of a person or program."""

from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts import access
from accounts.access import Actor
from accounts.models import ApprovalRule, ApprovalStep, Approver, Decision, Delegation, GrantRequest, Membership, User
from accounts.requests.approvers import deciders

RULING_ROLES = frozenset({"it_admin"})


def visible_requests(actor: Actor) -> QuerySet[GrantRequest]:
    """Return what the actor asked for, decides or decided, and what concerns units they manage and projects they own; everything for the platform."""
    rows = GrantRequest.objects.select_related("requester", "service_account", "project", "business_unit", "rule")
    if not access.is_usable(actor):
        return rows.none()
    if access.sees_everything(actor):
        return rows
    if not isinstance(actor, User):
        units, projects = access.visible_business_units(actor), access.visible_projects(actor)
        return rows.filter(Q(service_account=actor) | Q(project__in=projects) | Q(project=None, business_unit__in=units))
    decided = Decision.objects.filter(approver=actor).values("step__request")
    concern = Q(requester=actor) | Q(id__in=decided) | Q(id__in=_waiting_for(actor))
    return rows.filter(concern | Q(project__in=_owned(actor)) | Q(business_unit__in=access.managed_business_units(actor)))


def _owned(user: User) -> QuerySet[Membership, Any]:
    return Membership.objects.filter(user=user, role=Membership.Role.OWNER).values("project")


def inbox(user: Actor) -> QuerySet[GrantRequest]:
    """Return the requests that wait for this person's decision, the oldest first; none for a program."""
    rows = GrantRequest.objects.select_related("requester", "service_account", "project", "business_unit", "rule").order_by("created_at", "id")
    return rows.filter(id__in=_waiting_for(user)) if isinstance(user, User) and access.is_usable(user) else rows.none()


def _open_steps() -> QuerySet[ApprovalStep]:
    return ApprovalStep.objects.filter(state=ApprovalStep.State.OPEN, request__state=GrantRequest.State.SUBMITTED).select_related("request__service_account")


def _waiting_for(user: User) -> list[UUID]:
    undecided = _open_steps().filter(_may_concern(user)).exclude(decisions__approver=user).exclude(request__requester=user)
    return [step.request_id for step in undecided if user.pk in deciders(step)]


class Waiting(NamedTuple):
    """Ids of open requests: those that wait for a person, those that went to the next level, and those that nobody may decide."""

    mine: list[UUID]
    escalated: list[UUID]
    stuck: list[UUID]


def waiting(user: User) -> Waiting:
    """Return what waits among the requests a person sees."""
    seen = set(visible_requests(user).filter(state=GrantRequest.State.SUBMITTED).values_list("pk", flat=True))
    steps = [step for step in _open_steps() if step.request_id in seen]
    # an act without a second person runs by itself, and another system is no person
    stuck = [step.request_id for step in steps if step.approver != Approver.EXTERNAL and step.request.runs_at is None and not deciders(step)]
    return Waiting(_waiting_for(user), [step.request_id for step in steps if step.escalations], stuck)


def _may_concern(user: User) -> Q:
    """Return which steps could be the user's to decide, in one look: the others need not be asked one by one.

    Seats are those of people named, owners, managers of the unit and above it, and platform roles; one's own or a delegator's.
    """
    now = timezone.now()
    lent = Delegation.objects.filter(delegate=user, starts_at__lte=now, ends_at__gt=now, ended_at=None).select_related("delegator")
    people = [user, *(delegation.delegator for delegation in lent)]
    if any(person.role for person in people):
        return Q()
    units = [managed for person in people for managed in access.managed_business_units(person).values_list("pk", flat=True)]
    owned = Membership.objects.filter(user__in=people, role=Membership.Role.OWNER).values("project")
    return Q(approver=Approver.PEOPLE) | Q(request__business_unit__in=units) | Q(approver=Approver.OWNER, request__project__in=owned)


def may_decide(user: Actor, request: GrantRequest) -> bool:
    """Say whether the request waits for this person."""
    return isinstance(user, User) and inbox(user).filter(pk=request.pk).exists()


def visible_rules(actor: Actor) -> QuerySet[ApprovalRule]:
    """Return every rule for those who see the platform; nothing for others."""
    rows = ApprovalRule.objects.prefetch_related("steps__people", "steps__channel").select_related("business_unit")
    return rows if access.sees_everything(actor) else rows.none()


def visible_delegations(user: Actor) -> QuerySet[Delegation]:
    """Return the delegations a person gave or was given; all of them for the platform."""
    rows = Delegation.objects.select_related("delegator", "delegate")
    if not isinstance(user, User) or not access.is_usable(user):
        return rows.none()
    return rows if access.sees_everything(user) else rows.filter(Q(delegator=user) | Q(delegate=user))
