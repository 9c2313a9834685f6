"""Who may decide a step of a request, and in whose place. Everything else that looks like a right is none."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from accounts import grants
from accounts.access import is_breaking_glass
from accounts.models import ApprovalStep, Approver, BusinessUnit, Decision, Delegation, GrantRequest, Membership, ServiceAccount, User

# Where nobody else can decide; the second where the first is empty.
LAST_RESORTS = (User.PlatformRole.FINANCE, User.PlatformRole.IT_ADMIN)
# Who may stop an act that time alone would carry out.
GUARDIANS = frozenset({User.PlatformRole.IT_ADMIN, User.PlatformRole.SECURITY_OFFICER})


def askers(request: GrantRequest) -> frozenset[UUID]:
    """Return everybody who counts as having asked, and so may not decide: the person, a program's owners, and whom the grant is for."""
    found = set(grants.grant_of(request.kind).beneficiaries(request))
    if request.requester_id is not None:
        found.add(request.requester_id)
    if request.service_account is not None:
        found |= owners_of(request.service_account)
    return frozenset(found)


def owners_of(account: ServiceAccount) -> frozenset[UUID]:
    """Return the people a program counts as: who made it, and who owns its project or manages its unit."""
    owning = Membership.objects.none()
    if account.project_id is not None:
        owning = Membership.objects.filter(project=account.project_id, role=Membership.Role.OWNER)
    elif account.business_unit_id is not None:
        owning = Membership.objects.filter(business_unit=account.business_unit_id, role=Membership.Role.MANAGER)
    found = set(owning.values_list("user_id", flat=True))
    found |= {person for person in (account.owner_id, account.created_by_id) if person is not None}
    return frozenset(found)


def seats(step: ApprovalStep) -> frozenset[UUID]:
    """Return whose right it is to decide a step: whom it asks, or, where they may not or are fewer than must approve, units above, then finance, then IT.

    Every escalation adds the next level; a step of another system is nobody's before the first.
    """
    request = step.request
    out = askers(request)
    wanted = step.escalations + (step.approver != Approver.EXTERNAL)
    found: set[UUID] = set()
    if not wanted:
        return frozenset()
    for level in _levels(step):
        may = _allowed(level - out, request) - found
        found |= may
        wanted -= bool(may) and len(found) >= step.quorum
        if not wanted:
            break
    return frozenset(found)


def _levels(step: ApprovalStep) -> Iterable[set[UUID]]:
    """Return groups of people to ask, one after another, each only looked up when it is needed."""
    request = step.request
    if step.approver == Approver.PEOPLE:
        yield {UUID(name) for name in step.people}
    elif step.approver == Approver.ROLE:
        yield _with_roles(step.roles)
    elif step.approver == Approver.OWNER:
        yield set(Membership.objects.filter(project=request.project_id, project__isnull=False, role=Membership.Role.OWNER).values_list("user_id", flat=True))
    if step.approver != Approver.ROLE:
        unit, seen = request.business_unit_id, set()
        while unit is not None and unit not in seen:
            seen.add(unit)
            yield set(Membership.objects.filter(business_unit=unit, role=Membership.Role.MANAGER).values_list("user_id", flat=True))
            unit = BusinessUnit.objects.values_list("parent_id", flat=True).filter(pk=unit).first()
    for role in LAST_RESORTS:
        yield _with_roles([role])


def _with_roles(roles: Iterable[str]) -> set[UUID]:
    return set(User.objects.filter(role__in=[role for role in roles if role], is_active=True).values_list("id", flat=True))


def _allowed(people: set[UUID], request: GrantRequest) -> set[UUID]:
    may_decide = grants.grant_of(request.kind).may_decide
    return {user.pk for user in User.objects.filter(pk__in=people, is_active=True) if may_decide(user, request) and not is_breaking_glass(user)}


def deciders(step: ApprovalStep, now: datetime | None = None) -> dict[UUID, UUID]:
    """Return everybody who may decide a step, with whose seat they take: their own first, else that of somebody who delegated to them.

    A delegation passes on the delegator's own seat only, so it is never wider and chains or rings of them lead nowhere; and nobody decides for
    another what their own right would never let them decide.
    """
    now = now or timezone.now()
    own = seats(step)
    out = askers(step.request)
    found: dict[UUID, UUID] = {}
    away = Delegation.objects.filter(delegator__in=own, starts_at__lte=now, ends_at__gt=now, ended_at=None, delegate__is_active=True)
    for delegation in away.select_related("delegate").order_by("starts_at", "id"):
        if delegation.delegate_id not in out and _allowed({delegation.delegate_id}, step.request):
            found.setdefault(delegation.delegate_id, delegation.delegator_id)
    return found | {person: person for person in own}


def open_step(request: GrantRequest) -> ApprovalStep | None:
    """Return the step that waits for a decision, if any."""
    return request.steps.filter(state=ApprovalStep.State.OPEN, version=request.version).select_related("request").first()


def decided_by(request: GrantRequest) -> User | None:
    """Return the person whose approval was the last, None where a rule or another system alone approved."""
    approved = Decision.objects.filter(step__request=request, step__version=request.version, verdict=Decision.Verdict.APPROVED)
    last = approved.exclude(approver=None).select_related("approver").last()
    return last.approver if last else None
