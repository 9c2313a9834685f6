"""What those who decide may do: approve, deny, ask back, and take back what was given. Each is one transaction, one after another per request."""

from datetime import datetime
from uuid import UUID

from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from accounts import audit, grants
from accounts.access import Actor, is_breaking_glass, is_usable, role_of
from accounts.models import ApprovalStep, Decision, GrantRequest, User
from accounts.requests import routing, telling
from accounts.requests.amounts import shown_usd
from accounts.requests.approvers import askers, deciders, open_step
from accounts.requests.asking import OutOfTurn, locked, move
from accounts.requests.notes import cleaned, note

NOT_YOURS = "This is not yours to decide."


class Stale(OutOfTurn):
    """The request was edited after the approver read it."""


@audit.act("request.approve")
def approve(request: GrantRequest, actor: Actor, *, version: int | None = None, amount_nanousd: int | None = None, comment: str = "") -> GrantRequest:
    """Approve a version at the step it stands at, perhaps with a smaller amount (nano-USD); the last approval carries the request out at once.

    Raises PermissionDenied for whoever may not decide it, Stale for another version, OutOfTurn, and ValidationError when the grant cannot be made.
    """
    request, step, person, seat = _at_step(request, actor, version)
    if amount_nanousd is not None and amount_nanousd != request.granted_nanousd:
        _lower(request, amount_nanousd, person)
    _decide(step, Decision.Verdict.APPROVED, person, seat, comment)
    note(request, "approved", comment, person)
    _count(request, step, person, comment)
    return request


@audit.act("request.deny")
def deny(request: GrantRequest, actor: Actor, reason: str, *, version: int | None = None) -> GrantRequest:
    """Refuse a request for good, with a reason. Raises as `approve`."""
    request, step, person, seat = _at_step(request, actor, version)
    if not cleaned(reason):
        raise ValidationError({"reason": "Say why not: whoever asked reads this."})
    _decide(step, Decision.Verdict.DENIED, person, seat, reason)
    _refuse(request, step, reason, person)
    return request


@audit.act("request.ask")
def ask(request: GrantRequest, actor: Actor, question: str) -> GrantRequest:
    """Ask back; the request waits for an answer. Raises as `approve`."""
    request, _, person, _ = _at_step(request, actor, None)
    if not cleaned(question):
        raise ValidationError({"question": "Write the question."})
    move(request, "ask")
    request.save()
    note(request, "asked", question, person)
    telling.tell_asker(request, question, person)
    return request


@audit.act("request.take_back")
def take_back(request: GrantRequest, actor: Actor, reason: str) -> GrantRequest:
    """End what a request gave, before its time. Whoever decided it may, and whoever may decide such requests for the whole platform.

    Raises PermissionDenied, OutOfTurn, and ValidationError where nothing can be taken back or there is no reason.
    """
    request = locked(request)
    person = _person(actor)
    if not is_taker(person, request):
        raise PermissionDenied(NOT_YOURS)
    if not cleaned(reason):
        raise ValidationError({"reason": "Say why."})
    end(request, timezone.now(), cleaned(reason), person)
    return request


def may_take_back(person: User, request: GrantRequest) -> bool:
    """Say whether a person may end now what a request gave."""
    is_given = request.state == GrantRequest.State.APPLIED and grants.grant_of(request.kind).revoke is not None
    return is_given and is_usable(person) and not is_breaking_glass(person) and is_taker(person, request)


def is_taker(person: User, request: GrantRequest) -> bool:
    """Say whether a person may take back what a request gave, while there is anything to take back."""
    decided = Decision.objects.filter(step__request=request, approver=person).exists()
    return decided or role_of(person) in (User.PlatformRole.IT_ADMIN, User.PlatformRole.FINANCE)


def end(request: GrantRequest, now: datetime, reason: str, by: User | None = None) -> None:
    """Take back what a locked request gave, within the caller's act. Raises ValidationError where nothing can be taken back."""
    grant = grants.grant_of(request.kind)
    if grant.revoke is None:
        raise ValidationError(f"What {request.kind} gave cannot be taken back here.")
    move(request, "revoke")
    grant.revoke(request)
    request.ended_at = now
    request.save()
    note(request, "revoked", reason, by)
    telling.tell_asker(request, reason, by)


def _person(actor: Actor) -> User:
    if not isinstance(actor, User) or not is_usable(actor):
        raise PermissionDenied("Service accounts never approve.")
    if is_breaking_glass(actor):
        raise PermissionDenied("Break-glass opens the door and decides nothing. Somebody else has to decide this.")
    return actor


def _at_step(request: GrantRequest, actor: Actor, version: int | None) -> tuple[GrantRequest, ApprovalStep, User, UUID]:
    """Return the locked request, its open step, the person and whose seat they take; raises PermissionDenied, Stale or OutOfTurn."""
    person = _person(actor)
    request = locked(request)
    if person.pk in askers(request):
        raise PermissionDenied("Nobody decides about what they asked for, or what is for them.")
    if request.state != GrantRequest.State.SUBMITTED:
        raise OutOfTurn(f"This request is {request.get_state_display().lower()}, so there is nothing to decide.")
    check_version(request, version)
    step = open_step(request)
    if step is None:
        raise OutOfTurn("This request waits for no approval.")
    step.request = request
    seat = deciders(step).get(person.pk)
    if seat is None:
        raise PermissionDenied(NOT_YOURS)
    return request, step, person, seat


def check_version(request: GrantRequest, version: int | None) -> None:
    """Raise Stale when another version was read than the present one."""
    if version is not None and version != request.version:
        raise Stale(f"This request was edited: it is version {request.version} now, you read version {version}. Read it again.")


def _lower(request: GrantRequest, amount_nanousd: int, person: User) -> None:
    granted = request.granted_nanousd
    if granted is None:
        raise ValidationError({"amount": f"A request of the kind {request.kind} has no amount."})
    if not 0 < amount_nanousd <= granted:
        raise ValidationError({"amount": "Approve less than was asked, or all of it; for more, whoever asked has to edit the request."})
    request.granted_nanousd = amount_nanousd
    request.save()
    note(request, "amount", f"{shown_usd(granted)} → {shown_usd(amount_nanousd)} USD", person)


def _decide(step: ApprovalStep, verdict: str, person: User, seat: UUID, comment: str) -> None:
    if step.decisions.filter(approver=person).exists() or step.decisions.filter(seat=seat).exists():
        raise OutOfTurn("This seat has decided already: every person and every delegated seat counts once.")
    made = Decision(step=step, verdict=verdict, approver=person, seat_id=seat, comment=cleaned(comment)[:1000])
    made.save(force_insert=True)


def _count(request: GrantRequest, step: ApprovalStep, by: User | None, comment: str) -> None:
    """Close the step once enough have approved, and go on; a step of another system is decided by one answer, or by one person it was escalated to."""
    if step.decisions.filter(verdict=Decision.Verdict.APPROVED).count() >= step.quorum:
        step.state = ApprovalStep.State.APPROVED
        step.save(update_fields=["state"])
        routing.open_next(request)
    if request.state == GrantRequest.State.SUBMITTED:
        telling.tell_progress(request, by or step.channel, comment)


def count_answer(request: GrantRequest, step: ApprovalStep, approved: bool, words: str) -> None:
    """Go on after another system has answered its step of a locked request, within the caller's act."""
    if approved:
        note(request, "approved", words)
        _count(request, step, None, words)
    else:
        _refuse(request, step, words, None)


def _refuse(request: GrantRequest, step: ApprovalStep, reason: str, person: User | None) -> None:
    step.state = ApprovalStep.State.DENIED
    step.save(update_fields=["state"])
    move(request, "deny")
    routing.close_steps(request)
    request.decided_at = timezone.now()
    request.save()
    note(request, "denied", reason, person)
    telling.tell_asker(request, reason, person or step.channel)
