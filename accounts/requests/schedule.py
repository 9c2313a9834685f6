"""What time does to requests: reminders, escalations, expiry, the end of what was given, and acts that waited for a second person in vain."""

from collections.abc import Callable
from datetime import datetime

import structlog
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts import audit
from accounts.models import ApprovalStep, GrantRequest, User
from accounts.requests import deciding, routing, telling
from accounts.requests.approvers import deciders
from accounts.requests.asking import locked
from accounts.requests.notes import note
from accounts.requests.workdays import after_working_days

log = structlog.get_logger(__name__)
MOST_AT_ONCE = 200


def pass_time(now: datetime | None = None) -> int:
    """Do everything that is due, each request in a transaction of its own; return how many things were done."""
    now = now or timezone.now()
    acts = ((_expire, _expired), (_end, _ended), (_warn, _ending), (_run, _waited), (_escalate, _to_escalate), (_remind, _to_remind))
    return sum(_tried(act, request, now) for act, due in acts for request in due(now))


def _tried(act: Callable[[GrantRequest, datetime], bool], request: GrantRequest, now: datetime) -> bool:
    try:
        return act(request, now)
    except Exception:  # recorded; it is tried again the next minute, and what is due of others must not wait for it
        log.exception("time_did_not_pass", request=request.shown_id, act=act.__name__)
        return False


def _open_steps(**due: object) -> list[GrantRequest]:
    steps = ApprovalStep.objects.filter(state=ApprovalStep.State.OPEN, request__state=GrantRequest.State.SUBMITTED, **due)
    return [step.request for step in steps.select_related("request").order_by("id")[:MOST_AT_ONCE]]


def _expired(now: datetime) -> list[GrantRequest]:
    return list(GrantRequest.objects.filter(state__in=GrantRequest.OPEN, expires_at__lte=now).order_by("expires_at")[:MOST_AT_ONCE])


def _ended(now: datetime) -> list[GrantRequest]:
    return list(GrantRequest.objects.filter(state=GrantRequest.State.APPLIED, until__lte=now).order_by("until")[:MOST_AT_ONCE])


def _ending(now: datetime) -> list[GrantRequest]:
    return list(GrantRequest.objects.filter(state=GrantRequest.State.APPLIED, warn_at__lte=now).order_by("warn_at")[:MOST_AT_ONCE])


def _waited(now: datetime) -> list[GrantRequest]:
    return list(GrantRequest.objects.filter(state=GrantRequest.State.SUBMITTED, runs_at__lte=now).order_by("runs_at")[:MOST_AT_ONCE])


def _to_escalate(now: datetime) -> list[GrantRequest]:
    return _open_steps(escalate_at__lte=now)


def _to_remind(now: datetime) -> list[GrantRequest]:
    return _open_steps(remind_at__lte=now)


@audit.act("request.expire")
def _expire(request: GrantRequest, now: datetime) -> bool:
    request = locked(request)
    if not request.is_open or request.expires_at > now:
        return False
    _end_without_effect(request, now, "Nobody decided in time.")
    return True


def _end_without_effect(request: GrantRequest, now: datetime, reason: str) -> None:
    request.expire()
    routing.close_steps(request)
    request.decided_at = now
    request.save()
    note(request, "expired", reason)
    telling.tell_asker(request, reason)


def _end(request: GrantRequest, now: datetime) -> bool:
    try:
        with audit.act("request.end"):
            request = locked(request)
            if request.state != GrantRequest.State.APPLIED or request.until is None or request.until > now:
                return False
            deciding.end(request, now, "Its time is over.")
    except ValidationError as refusal:
        # told and left as it is: a grant that cannot be taken back by itself needs a person, and the others must go on
        reason = " ".join(refusal.messages)
        log.error("grant_not_revoked", request=request.shown_id, reason=reason)
        telling.tell_stuck(request, reason)
        return False
    return True


@audit.act("request.warn")
def _warn(request: GrantRequest, now: datetime) -> bool:
    request = locked(request)
    if request.state != GrantRequest.State.APPLIED or request.warn_at is None or request.warn_at > now:
        return False
    request.warn_at = None
    request.save()
    if request.until is not None and request.until > now:  # where nothing ran for long, the end itself is told
        telling.tell_end(request)
    return True


def _run(request: GrantRequest, now: datetime) -> bool:
    """Carry out an act that waited for a second person while there was none."""
    try:
        with audit.act("request.run"):
            request = locked(request)
            if request.state != GrantRequest.State.SUBMITTED or request.runs_at is None or request.runs_at > now:
                return False
            step = request.steps.filter(state=ApprovalStep.State.OPEN).first()
            if step is not None and deciders(step, now):
                request.runs_at = None  # somebody may decide by now, so somebody has to
                request.save()
                telling.tell_approvers(step, deciders(step, now))
                return False
            routing.close_steps(request)
            note(request, "approved", "The wait is over and nobody cancelled it.")
            routing.finish(request)
    except ValidationError as refusal:
        with audit.act("request.expire"):
            request = locked(request)
            if request.state == GrantRequest.State.SUBMITTED:
                _end_without_effect(request, now, " ".join(refusal.messages))
        return False
    return True


@audit.act("request.escalate")
def _escalate(request: GrantRequest, now: datetime) -> bool:
    request = locked(request)
    step = request.steps.filter(state=ApprovalStep.State.OPEN, escalate_at__lte=now).select_related("request").first()
    if step is None or request.state != GrantRequest.State.SUBMITTED:
        return False
    step.request = request
    before = set(deciders(step, now))
    step.escalations += 1
    way = request.rule or routing.PLAIN
    added = {person: seat for person, seat in deciders(step, now).items() if person not in before}
    # where nobody stands above, the next look is not needed
    step.escalate_at = after_working_days(now, way.escalate_days) if added and way.escalate_days else None
    step.save()
    if added:
        note(request, "escalated", ", ".join(User.objects.filter(pk__in=added).values_list("email", flat=True)))
        telling.tell_approvers(step, added)
    return bool(added)


@audit.act("request.remind")
def _remind(request: GrantRequest, now: datetime) -> bool:
    request = locked(request)
    step = request.steps.filter(state=ApprovalStep.State.OPEN, remind_at__lte=now).select_related("request").first()
    if step is None or request.state != GrantRequest.State.SUBMITTED:
        return False
    step.request = request
    way = request.rule or routing.PLAIN
    step.remind_at = after_working_days(now, way.remind_days) if way.remind_days else None
    step.save()
    telling.tell_approvers(step, deciders(step, now), again=True)
    return True
