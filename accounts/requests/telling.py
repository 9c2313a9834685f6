"""Who hears of a request: those who decide next, and whoever asked. Written to the outbox within the transaction of what happened."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from accounts import grants, mailboxes, outbox
from accounts.hostile import unlinked
from accounts.mailboxes import Letter
from accounts.models import ApprovalStep, Approver, GrantRequest, Severity, User
from accounts.models.notices import message_id
from accounts.requests import by_mail, external_questions
from accounts.requests.approvers import GUARDIANS
from accounts.requests.flags import flags

MORE_THAN_ONCE = "%Y-%m-%dT%H:%M"
State = GrantRequest.State
# What an asker reads first.
WORDS: dict[str, str] = {
    State.APPLIED: "Granted",
    State.SUBMITTED: "One step further",
    State.NEEDS_INFO: "A question",
    State.DENIED: "Denied",
    State.EXPIRED: "Expired",
    State.REVOKED: "Ended",
}


def tell_approvers(step: ApprovalStep, people: dict[UUID, UUID], *, again: bool = False, answered: str = "") -> None:
    """Tell channels of the place and each approver's mailbox that a request waits; `people` are approvers with whose seat they take.

    `again` makes it a reminder; `answered` is what the asker answered to a question.
    """
    request, asked = step.request, list(User.objects.filter(pk__in=people).order_by("email"))
    if step.approver == Approver.EXTERNAL and (again or not step.escalations):
        external_questions.ask(step)
    names = ", ".join(user.email for user in asked) or (f"the system behind {step.channel}" if step.channel else "nobody yet")
    is_repeated = again or bool(answered) or step.escalations > 0
    moment = f":{timezone.now():{MORE_THAN_ONCE}}" if is_repeated else ""
    reference = f"{request.pk.hex}:{request.version}:{step.position}:{step.escalations}{moment}"
    said = f"\n\nThe answer: {answered}" if answered else ""
    text = f"{asker_of(request)} asks: {unlinked(request.title)}\n\n{unlinked(request.reason + said)}"
    outbox.notify(
        reference=f"request:{reference}",
        kind="request.waiting",
        severity=Severity.INFO,
        title=f"{'Reminder: ' if again else ''}{request.title}",
        text=f"{text}\n\nTo be decided by {names}.",
        path=f"/approvals/{request.shown_id}",
        facts={"request": request.shown_id, "version": request.version, "kind": request.kind, "step": step.position},
        project=request.project,
        unit=request.business_unit,
    )
    if not mailboxes.can_mail():
        return
    known, changes, owners = _known(request), tuple(grants.changes_of(request)), _emails(people.values())
    for person in asked:
        seat = people[person.pk]
        mine = (("In place of", owners[seat]),) if seat != person.pk else ()
        letter = Letter(
            reference=f"letter:{reference}",
            kind="request.waiting",
            title=f"{'Reminder: ' if again else ''}To decide: {request.title}",
            text=text,
            path=f"/approvals/{request.shown_id}",
            known=(*mine, *known),
            changes=changes,
            link=by_mail.make_link(step, person).pk.hex,
            facts={"request": request.shown_id, "version": request.version},
        )
        mailboxes.post(person, letter)


def _emails(people: Iterable[UUID]) -> dict[UUID, str]:
    return dict(User.objects.filter(pk__in=list(people)).values_list("pk", "email"))


def _known(request: GrantRequest) -> tuple[tuple[str, str], ...]:
    """Return what helps to decide: the cost so far, what stands out, and the times."""
    grant = grants.grant_of(request.kind)
    facts = [(fact.what, fact.value) for fact in grant.facts(request)]
    return (*facts, *(("Note", said) for said in flags(request)), *_until(request), ("Decide until", _moment(request.expires_at)))


def _until(request: GrantRequest) -> tuple[tuple[str, str], ...]:
    return (("Ends by itself", _moment(request.until)),) if request.until else ()


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def tell_asker(request: GrantRequest, more: str = "", by: object = None) -> None:
    """Tell channels of the place and whoever asked what became of a request, and by whom."""
    outbox.notify(
        reference=f"request:{request.pk.hex}:{request.version}:{request.state}:{timezone.now():{MORE_THAN_ONCE}}",
        kind=f"request.{request.state}",
        severity=Severity.INFO,
        title=f"{request.get_state_display()}: {request.title}",
        text=f"{unlinked(request.title)} is {request.get_state_display().lower()}.\n\n{unlinked(more)}".strip(),
        path=f"/requests/{request.shown_id}",
        facts={"request": request.shown_id, "version": request.version, "kind": request.kind, "state": request.state},
        project=request.project,
        unit=request.business_unit,
    )
    _write_to_asker(request, f"{WORDS[request.state]}: {request.title}", more, by)


def tell_progress(request: GrantRequest, by: object, more: str) -> None:
    """Tell whoever asked that somebody approved and that others have to as well."""
    _write_to_asker(request, f"{WORDS[State.SUBMITTED]}: {request.title}", f"It was approved, and others have to approve it as well.\n\n{more}".strip(), by)


def tell_end(request: GrantRequest) -> None:
    """Tell whoever asked that what they got ends soon."""
    assert request.until is not None
    said = f"It is taken back by itself on {_moment(request.until)}. Whoever needs it longer asks again, with a later end or none."
    _write_to_asker(request, f"Ends soon: {request.title}", said, None)


def tell_alone(request: GrantRequest) -> None:
    """Tell every channel of the platform and every guardian's mailbox that an act is carried out in time unless somebody stops it."""
    title = f"In 24 hours without a second person: {request.title}"
    text = f"{asker_of(request)} asked for it and nobody else may approve it. It can be withdrawn until then, by every guardian of the platform."
    path, facts = f"/requests/{request.shown_id}", {"request": request.shown_id, "kind": request.kind}
    outbox.notify(
        reference=f"four-eyes:{request.pk.hex}",
        kind="four-eyes.waiting",
        severity=Severity.CRITICAL,
        title=title,
        text=text,
        path=path,
        facts=facts,
    )
    letter = Letter(
        f"letter:four-eyes:{request.pk.hex}",
        "four-eyes.waiting",
        title,
        text,
        path,
        (("Reason", request.reason),),
        tuple(grants.changes_of(request)),
        facts=facts,
    )
    for guardian in User.objects.filter(role__in=GUARDIANS, is_active=True):
        mailboxes.post(guardian, letter)


def tell_stuck(request: GrantRequest, reason: str) -> None:
    """Tell channels of the place, once, that what ended cannot be taken back by itself."""
    outbox.notify(
        reference=f"request:{request.pk.hex}:stuck",
        kind="request.stuck",
        severity=Severity.WARNING,
        title=f"Not taken back: {request.title}",
        text=f"Its time is over, but it cannot be taken back: {unlinked(reason)}\n\nSomebody has to see to it; it is tried again every minute.",
        path=f"/requests/{request.shown_id}",
        facts={"request": request.shown_id, "kind": request.kind},
        project=request.project,
        unit=request.business_unit,
    )


def _write_to_asker(request: GrantRequest, title: str, text: str, by: object) -> None:
    person = request.requester or (request.service_account.owner if request.service_account else None)
    if person is None:
        return
    amounts: tuple[tuple[str, str], ...] = ()
    if request.amount_nanousd is not None and request.granted_nanousd is not None and request.amount_nanousd != request.granted_nanousd:
        amounts = (("Asked", f"{request.amount_nanousd / 1e9:,.2f} USD"), ("Instead", f"{request.granted_nanousd / 1e9:,.2f} USD"))
    letter = Letter(
        reference=f"letter:{request.pk.hex}:{request.version}:{message_id()}",
        kind=f"request.{request.state}",
        title=title,
        text=text,
        path=f"/requests/{request.shown_id}",
        known=(*((("By", str(by)),) if by is not None else ()), *amounts, *_until(request)),
        facts={"request": request.shown_id, "version": request.version},
    )
    mailboxes.post(person, letter)


def asker_of(request: GrantRequest) -> str:
    """Return who asked, in words."""
    return str(request.requester or request.service_account or "The system")
