"""The way of a request: which rule it falls under, the steps it goes through, and carrying it out at the end of them."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Sum
from django.utils import timezone

from accounts import grants
from accounts.access import is_usable
from accounts.models import ApprovalRule, ApprovalStep, Approver, BusinessUnit, GrantRequest
from accounts.requests import telling
from accounts.requests.approvers import decided_by, deciders
from accounts.requests.notes import note
from accounts.requests.workdays import after_working_days

# How requests go that no rule is about.
PLAIN = ApprovalRule(name="managers of the unit")
# Before the end of a grant whoever asked is told: this long, or a quarter of its time where that is shorter.
WARN = timedelta(days=3)


def rule_for(request: GrantRequest) -> ApprovalRule | None:
    """Return the first active rule whose conditions all hold, None for the plain way.

    Rules are locked while an automatic one is considered, so that two requests at once cannot both fit under its cap.
    """
    above = set(_unit_and_above(request.business_unit_id))
    for rule in ApprovalRule.objects.filter(is_active=True).order_by("position", "name"):
        if _fits(rule, request, above) and (not rule.is_automatic or _within_cap(rule, request)):
            return rule
    return None


def _unit_and_above(unit: UUID | None) -> Iterable[UUID]:
    seen: set[UUID] = set()
    while unit is not None and unit not in seen:
        seen.add(unit)
        yield unit
        unit = BusinessUnit.objects.values_list("parent_id", flat=True).filter(pk=unit).first()


def _fits(rule: ApprovalRule, request: GrantRequest, units: set[UUID]) -> bool:
    is_kind = request.kind in rule.kinds or (not rule.kinds and not rule.is_automatic and grants.grant_of(request.kind).is_asked_for)
    if rule.is_automatic and grants.grant_of(request.kind).roles:
        return False
    is_place = rule.business_unit_id is None or rule.business_unit_id in units
    is_environment = not rule.environment or rule.environment == request.environment
    return is_kind and is_place and is_environment and (rule.up_to_nanousd is None or (request.granted_nanousd or 0) <= rule.up_to_nanousd)


def _within_cap(rule: ApprovalRule, request: GrantRequest) -> bool:
    if rule.cap_nanousd is None:
        return True
    ApprovalRule.objects.select_for_update().get(pk=rule.pk)
    since = timezone.now() - timedelta(days=rule.cap_days)
    given = GrantRequest.objects.filter(rule=rule, is_automatic=True, decided_at__gte=since, kind=request.kind)
    given = given.filter(project=request.project_id) if request.project_id else given.filter(project=None, business_unit=request.business_unit_id)
    so_far = given.exclude(pk=request.pk).aggregate(sum=Sum("granted_nanousd"))["sum"] or 0
    return so_far + (request.granted_nanousd or 0) <= rule.cap_nanousd


def route(request: GrantRequest) -> None:
    """Send a new version on its way: carried out at once where a rule says so, else the first step is opened. The request is locked by the caller."""
    rule = rule_for(request)
    request.rule = rule
    request.is_automatic = bool(rule and rule.is_automatic)
    way = rule or PLAIN
    request.expires_at = after_working_days(timezone.now(), way.expire_days)
    request.save()
    if request.is_automatic:
        note(request, "approved", f"by the rule “{way.name}”")
        finish(request)
        return
    for step in steps_of(rule, request):
        step.save(force_insert=True)
    open_next(request)


def steps_of(rule: ApprovalRule | None, request: GrantRequest) -> list[ApprovalStep]:
    """Return the steps, not stored, that a rule or the plain way has for this version of a request."""
    made = [] if rule is None else list(rule.steps.order_by("position").prefetch_related("people"))
    steps = [
        ApprovalStep(
            approver=step.approver,
            roles=step.roles,
            people=[person.pk.hex for person in step.people.all()],
            channel=step.channel,
            quorum=step.quorum,
        )
        for step in made
    ]
    # what takes people is never decided by another system alone, whatever the rule says
    if not steps or (grants.grant_of(request.kind).roles and all(step.approver == Approver.EXTERNAL for step in steps)):
        steps.append(plain_step(request))
    for number, step in enumerate(steps, 1):
        step.request, step.version, step.position = request, request.version, number
    return steps


def plain_step(request: GrantRequest) -> ApprovalStep:
    """Return the one step of a request that no rule is about."""
    roles = grants.grant_of(request.kind).roles
    return ApprovalStep(position=1, approver=Approver.ROLE if roles else Approver.MANAGER, roles=list(roles))


def open_next(request: GrantRequest) -> None:
    """Open the next waiting step and tell those it asks; without one, approve and carry out."""
    step = request.steps.filter(version=request.version, state=ApprovalStep.State.WAITING).order_by("position").first()
    if step is None:
        finish(request)
        return
    step.request = request
    step.state = ApprovalStep.State.OPEN
    start_clocks(step)
    asked = deciders(step)
    if not asked and step.approver != Approver.EXTERNAL:
        note(request, "stuck", "Nobody may decide this step. Name a manager of the unit, or give somebody the role finance.")
    telling.tell_approvers(step, asked)


def start_clocks(step: ApprovalStep) -> None:
    """Have an open step reminded of and escalated in as many working days from now as its rule says."""
    way, now = step.request.rule or PLAIN, timezone.now()
    step.remind_at = after_working_days(now, way.remind_days) if way.remind_days else None
    step.escalate_at = after_working_days(now, way.escalate_days) if way.escalate_days else None
    step.save()


def close_steps(request: GrantRequest) -> None:
    """End every step that still waits."""
    waiting = (ApprovalStep.State.OPEN, ApprovalStep.State.WAITING)
    for step in request.steps.filter(state__in=waiting):
        step.state = ApprovalStep.State.CLOSED
        step.save(update_fields=["state"])


def finish(request: GrantRequest) -> None:
    """Approve and carry out, within the transaction of the last decision. Raises ValidationError when it cannot be done any more; then nothing was decided."""
    request.approve()
    request.decided_at = timezone.now()
    carry_out(request)


def carry_out(request: GrantRequest) -> None:
    """Have the grant do what was approved. Raises ValidationError when its end has passed, its asker has left, or it cannot be done any more."""
    asker = request.requester or request.service_account
    if asker is not None and not is_usable(asker):
        raise ValidationError(f"{asker} cannot sign in or call any more, so nothing is given. Deny the request.")
    if request.until is not None and request.until <= timezone.now():
        raise ValidationError({"until": "The end that was asked for has passed. Ask again with a later one."})
    if request.until is not None:
        now = timezone.now()
        request.warn_at = request.until - min(WARN, (request.until - now) / 4)
    request.outcome = grants.grant_of(request.kind).apply(request)
    request.apply()
    request.save()
    note(request, "applied")
    telling.tell_asker(request, by=decided_by(request))
