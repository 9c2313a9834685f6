"""What those who ask may do: submit, edit, answer, comment and withdraw. Each is one transaction."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone
from django_fsm import TransitionNotAllowed

from accounts import audit, grants
from accounts.access import Actor, is_usable, role_of
from accounts.audit.watch import subject_of
from accounts.grants import Asked, Asking
from accounts.models import GrantRequest, ServiceAccount, User
from accounts.requests import routing, telling
from accounts.requests.approvers import GUARDIANS, deciders, open_step
from accounts.requests.notes import cleaned, note

MOST_OPEN = 50
# Every request and every version of one is mailed to those who decide it.
MOST_A_DAY = 200
MOST_VERSIONS = 20
MOST_AMOUNT_NANOUSD = 2**60


class OutOfTurn(ValidationError):
    """The request is not in a state that allows this; the message says which it is in."""


def locked(request: GrantRequest) -> GrantRequest:
    """Return the request as it is now, locked until the transaction ends, so that acts on it come one after another."""
    return GrantRequest.objects.select_for_update(of=("self",)).get(pk=request.pk)


def move(request: GrantRequest, transition: str) -> None:
    """Make a step of the state machine; raises OutOfTurn when the state does not allow it."""
    try:
        getattr(request, transition)()
    except TransitionNotAllowed as refusal:
        raise OutOfTurn(f"This request is {request.get_state_display().lower()}, so it cannot be done any more.") from refusal


def is_asker(actor: Actor, request: GrantRequest) -> bool:
    """Say whether the request is the actor's own."""
    return request.requester_id == actor.pk if isinstance(actor, User) else request.service_account_id == actor.pk


@audit.act("request.submit")
def submit(asking: Asking, reason: str) -> GrantRequest:
    """File a request and send it on its way; returns it applied already where a rule approves by itself. Raises ValidationError."""
    actor = asking.actor
    if not is_usable(actor):
        raise PermissionDenied("Only those who may sign in ask for something.")
    if not grants.grant_of(asking.kind).is_asked_for:
        raise ValidationError({"kind": f"{asking.kind} is not asked for: it is filed by the act that needs it."})
    mine = GrantRequest.objects.filter(requester=actor) if isinstance(actor, User) else GrantRequest.objects.filter(service_account=actor)
    if mine.filter(state__in=GrantRequest.OPEN).count() >= MOST_OPEN:
        raise ValidationError(f"You have {MOST_OPEN} open requests. Withdraw one, or wait for a decision.")
    if mine.filter(created_at__gt=timezone.now() - timedelta(days=1)).count() >= MOST_A_DAY:
        raise ValidationError(f"You asked for {MOST_A_DAY} things within a day, and each is told to those who decide. Ask for less at a time.")
    return file(asking, reason)


def file(asking: Asking, reason: str, sealed: bytes = b"") -> GrantRequest:
    """Store a checked request and route it, within the caller's act. Raises ValidationError."""
    request = checked_request(asking, reason)
    request.sealed_parameters = sealed
    request.save(force_insert=True)
    note(request, "submitted", request.reason, asking.actor)
    routing.route(request)
    return request


def checked_request(asking: Asking, reason: str) -> GrantRequest:
    """Return the request that would be filed, not stored. Raises ValidationError."""
    actor = asking.actor
    request = GrantRequest(
        kind=asking.kind,
        requester=actor if isinstance(actor, User) else None,
        service_account=actor if isinstance(actor, ServiceAccount) else None,
        expires_at=timezone.now(),
    )
    _fill(request, asking, _checked(asking), reason)
    return request


@audit.act("request.edit")
def edit(request: GrantRequest, actor: Actor, *, reason: str | None = None, **changed: Any) -> GrantRequest:
    """Change what is asked: `target`, `parameters`, `amount_nanousd`, `until` or the reason. A new version: every approval so far is void.

    Raises ValidationError, and PermissionDenied for anybody but the asker.
    """
    request = locked(request)
    _check_own(request, actor)
    if not grants.grant_of(request.kind).is_asked_for:
        raise OutOfTurn("This was filed by an act and cannot be edited. Withdraw it and do the act again.")
    if request.version >= MOST_VERSIONS:
        raise OutOfTurn(f"A request is changed {MOST_VERSIONS - 1} times at most. Withdraw it and ask anew.")
    move(request, "submit")
    asking = Asking(
        kind=request.kind,
        target=changed.get("target", request.target),
        parameters=changed.get("parameters", request.parameters),
        actor=actor,
        amount_nanousd=changed.get("amount_nanousd", request.amount_nanousd),
        until=changed.get("until", request.until),
    )
    _fill(request, asking, _checked(asking), request.reason if reason is None else reason)
    routing.close_steps(request)
    request.version += 1
    request.save()
    note(request, "edited", "A new version; approvals so far do not count any more.", actor)
    routing.route(request)
    return request


@audit.act("request.withdraw")
def withdraw(request: GrantRequest, actor: Actor) -> GrantRequest:
    """Take a request back before it is carried out. Raises OutOfTurn, and PermissionDenied for anybody but the asker.

    What is carried out in time because nobody else may approve it, every guardian of the platform can stop.
    """
    request = locked(request)
    if not may_stop(actor, request):
        _check_own(request, actor)
    move(request, "withdraw")
    routing.close_steps(request)
    request.decided_at = timezone.now()
    request.save()
    note(request, "withdrawn", by=actor)
    return request


@audit.act("request.comment")
def comment(request: GrantRequest, actor: Actor, text: str) -> GrantRequest:
    """Say something; the asker's word also answers an open question and puts the request back in line. Callers check who sees it. Raises ValidationError."""
    request = locked(request)
    if not cleaned(text):
        raise ValidationError({"comment": "Write something."})
    is_answer = request.state == GrantRequest.State.NEEDS_INFO and is_asker(actor, request)
    note(request, "answered" if is_answer else "comment", text, actor)
    audit.record("request.comment", subject_of(request))
    if is_answer:
        move(request, "submit")
        request.save()
        _ask_again(request, cleaned(text))
    return request


def _ask_again(request: GrantRequest, answer: str) -> None:
    """Tell approvers that the answer is there; the time they were not asked does not count against them."""
    step = open_step(request)
    if step is not None:
        step.request = request
        routing.start_clocks(step)
        telling.tell_approvers(step, deciders(step), answered=answer)


def may_stop(actor: Actor, request: GrantRequest) -> bool:
    """Say whether the actor may keep an act from being carried out that waits for nobody."""
    return request.runs_at is not None and isinstance(actor, User) and is_usable(actor) and role_of(actor) in GUARDIANS


def _check_own(request: GrantRequest, actor: Actor) -> None:
    if not is_asker(actor, request):
        raise PermissionDenied("Only whoever asked may change or withdraw a request.")


def _checked(asking: Asking) -> Asked:
    if asking.until is not None and asking.until <= timezone.now():
        raise ValidationError({"until": "Choose a moment in the future."})
    if (asking.amount_nanousd or 0) > MOST_AMOUNT_NANOUSD:
        raise ValidationError({"amount": "This is more than can be given."})
    if "\0" in asking.target or not _is_plain(asking.parameters):
        raise ValidationError({"parameters": "Write texts of at most 1000 characters."})
    return grants.checked(asking)


def _is_plain(parameters: Mapping[str, Any]) -> bool:
    return all(isinstance(value, str | int | bool) and "\0" not in str(value) and len(str(value)) <= 1000 for value in parameters.values())


def _fill(request: GrantRequest, asking: Asking, asked: Asked, reason: str) -> None:
    request.target, request.parameters = asked.target, asked.parameters
    request.title = " ".join(asked.title.split())[:200]
    request.reason = cleaned(reason)
    if not request.reason:
        raise ValidationError({"reason": "Say why you need it: approvers read this."})
    request.amount_nanousd = request.granted_nanousd = asking.amount_nanousd
    request.until = asking.until
    request.project, request.business_unit, request.environment = asked.project, asked.unit, asked.environment
