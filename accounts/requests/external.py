"""Answers of another system that decides a step: signed under the secret of the step's webhook, bound to one version, counted once.

Such an answer decides its own step and no other, and is no person: it fills no quorum and is nobody's second pair of eyes. Knows no HTTP.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
import structlog
from django.core.exceptions import PermissionDenied, ValidationError
from standardwebhooks import Webhook, WebhookVerificationError

from accounts import audit
from accounts.audit.watch import subject_of
from accounts.channels import opened_secret
from accounts.models import ApprovalStep, Approver, Decision, GrantRequest, NotificationChannel, User
from accounts.requests import deciding
from accounts.requests.approvers import askers
from accounts.requests.asking import OutOfTurn, locked
from accounts.requests.notes import cleaned
from accounts.sealing import SealBroken

ANSWER = "approval.answered"
MOST_ID = 100
MOST_NUMBER = 32_767
HOW = "Sign `id.timestamp.body` with the secret of the step's webhook, within five minutes, as www.standardwebhooks.com says."

log = structlog.get_logger(__name__)


class Unsigned(Exception):
    """Whoever sent it did not show the secret, or there is nothing they could answer; which of both is not said."""


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an answer says. `decided_by` names who decided over there, by e-mail address where they have one, for the record."""

    request: str
    version: Annotated[int, msgspec.Meta(ge=1, le=MOST_NUMBER)]
    step: Annotated[int, msgspec.Meta(ge=1, le=MOST_NUMBER)]
    verdict: Literal["approved", "denied"]
    comment: str = ""
    decided_by: str = ""


class Envelope(msgspec.Struct, frozen=True):
    """A Standard Webhooks message as far as it is read."""

    type: str
    data: Said


@dataclass(frozen=True)
class Incoming:
    """An answer as it came in: the request its address names, its headers in small letters, and the very bytes."""

    request: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """Return the id of the message, the same on every try."""
        return self.headers.get("webhook-id", "")


def answer(request: GrantRequest | None, incoming: Incoming) -> GrantRequest:
    """Take an answer and return the request as it stands then; the same message again changes nothing.

    Raises Unsigned, ValidationError for what makes no sense, Stale for another version, OutOfTurn where the step is decided, and PermissionDenied
    when whoever asked decided over there. Everything that was refused and concerns a request is an audit event.
    """
    channel = _signed_by(request, incoming)
    if request is None or channel is None:
        log.warning("external_answer_refused", request=incoming.request[:80], reason="unsigned")
        if request is not None and request.is_open and _channels(request):
            _record_refusal(request, "The signature does not fit.")
        raise Unsigned(HOW)
    try:
        return _taken(request, channel, incoming)
    except (ValidationError, PermissionDenied) as refusal:
        said = " ".join(refusal.messages) if isinstance(refusal, ValidationError) else str(refusal)
        _record_refusal(request, said, channel)
        raise


def _record_refusal(request: GrantRequest, reason: str, channel: NotificationChannel | None = None) -> None:
    audit.record("request.answer", subject_of(request), outcome="refused", reason=reason, **({"channel": channel.name} if channel else {}))


def _channels(request: GrantRequest) -> list[NotificationChannel]:
    steps = request.steps.filter(approver=Approver.EXTERNAL).select_related("channel")
    return list({step.channel_id: step.channel for step in steps if step.channel is not None}.values())


def is_fit(channel: NotificationChannel) -> bool:
    """Say whether requests may be decided through a channel: an active webhook of the whole platform, which nobody below it can turn round."""
    return channel.is_active and channel.kind == "webhook" and channel.project_id is None and channel.business_unit_id is None


def _signed_by(request: GrantRequest | None, incoming: Incoming) -> NotificationChannel | None:
    """Return the channel of one of the request's steps whose secret the answer is signed with, None for none."""
    if request is None or not 0 < len(incoming.id) <= MOST_ID or not incoming.id.isprintable():
        return None
    for channel in _channels(request):
        if is_fit(channel) and any(_fits(secret, incoming) for secret in _secrets(channel)):
            return channel
    return None


def _secrets(channel: NotificationChannel) -> list[str]:
    try:
        return opened_secret(channel).split()
    except SealBroken as broken:
        log.error("external_secret_broken", channel=channel.name, reason=str(broken))
        return []


def _fits(secret: str, incoming: Incoming) -> bool:
    try:
        Webhook(secret).verify(incoming.body, dict(incoming.headers), json_parse=False)
    except (WebhookVerificationError, ValueError):  # ValueError: what is no base64, no UTF-8 or no number
        return False
    return True


@audit.act("request.answer")
def _taken(request: GrantRequest, channel: NotificationChannel, incoming: Incoming) -> GrantRequest:
    request = locked(request)
    said, digest = _read(incoming), hashlib.sha256(incoming.body).hexdigest()
    if said.request != request.shown_id or said.request != incoming.request:
        raise ValidationError({"request": "The answer is about another request than its address."})
    step = request.steps.filter(version=said.version, position=said.step, approver=Approver.EXTERNAL, channel=channel).first()
    before = Decision.objects.filter(step=step, channel=channel).first() if step else None
    if before is not None and (before.answer, before.digest) == (incoming.id, digest):
        return request
    deciding.check_version(request, said.version)
    if step is None:
        raise ValidationError({"step": "There is no such step for this webhook to decide."})
    if request.state != GrantRequest.State.SUBMITTED or step.state != ApprovalStep.State.OPEN:
        raise OutOfTurn(f"This request is {request.get_state_display().lower()} and its step {step.get_state_display()}: there is nothing to answer.")
    _check_decider(request, said)
    step.request = request
    made = Decision(step=step, verdict=said.verdict, channel=channel, answer=incoming.id, digest=digest, comment=_words(said)[:1000])
    made.save(force_insert=True)
    deciding.count_answer(request, step, said.verdict == "approved", f"{channel.name}: {_words(said)}".rstrip(" :"))
    return request


def _read(incoming: Incoming) -> Said:
    try:
        envelope = msgspec.json.decode(incoming.body, type=Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValidationError({"body": f"This is no answer: {error}."}) from error
    if envelope.type != ANSWER:
        raise ValidationError({"type": f"The type of an answer is {ANSWER}."})
    if envelope.data.verdict == "denied" and not cleaned(envelope.data.comment):
        raise ValidationError({"comment": "Say why not: whoever asked reads this."})
    return envelope.data


def _words(said: Said) -> str:
    return cleaned(f"{said.comment.strip()} (decided by {said.decided_by})" if said.decided_by else said.comment)


def _check_decider(request: GrantRequest, said: Said) -> None:
    """Raise PermissionDenied when whoever decided over there is somebody who counts as having asked here."""
    person = User.objects.filter(email=said.decided_by.strip().lower().replace("\0", "")).first() if said.decided_by else None
    if person is not None and person.pk in askers(request):
        raise PermissionDenied("Whoever asked cannot decide, there as little as here.")
