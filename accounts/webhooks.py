"""Webhooks: channels that are told every event of some types, signed as https://www.standardwebhooks.com says. Every write to them, and what they are sent.

What is sent names things by id and nothing else: receivers fetch what they may see from the management API.
"""

import base64
import re
import secrets
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts import audit
from accounts.audit.watch import subject_of
from accounts.channels import bound_to, opened_secret, save_channel, sealer, with_ancestors
from accounts.models import AuditEvent, NotificationChannel, OutboxMessage, Severity
from accounts.outbox import write

SECRET_BYTES = 32
MOST_TYPES = 50
TYPE = re.compile(r"\*|[a-z][a-z-]*(\.[a-z][a-z_-]*)*(\.\*)?")


def check_types(types: Sequence[str]) -> None:
    """Raise ValidationError unless each type is an event's name, `name.*` for all of a kind, or `*` for all."""
    wrong = [name for name in types if len(name) > 80 or not TYPE.fullmatch(name)]
    if wrong or not 1 <= len(types) <= MOST_TYPES:
        said = f"These are no types: {', '.join(repr(name)[:80] for name in wrong)}." if wrong else f"Name 1 to {MOST_TYPES} types."
        raise ValidationError({"event_types": f"{said} Write key.create, key.* for every event about keys, or * for all."})


def new_secret() -> str:
    """Return a signing secret."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


@audit.act()
def make_webhook(webhook: NotificationChannel) -> tuple[NotificationChannel, str]:
    """Store a new webhook and return it with its signing secret, which is shown once. Raises ValidationError."""
    secret = new_secret()
    webhook.kind = "webhook"
    return save_webhook(webhook, secret), secret


@audit.act()
def save_webhook(webhook: NotificationChannel, secret: str = "") -> NotificationChannel:
    """Check and store a webhook; a change of its host needs a new secret. Raises ValidationError."""
    check_types(webhook.event_types)
    return save_channel(webhook, secret)


@audit.act()
def rotate_secret(webhook: NotificationChannel, overlap: timedelta) -> str:
    """Give a webhook a new signing secret and return it; messages bear signatures by the old one too until the overlap is over."""
    locked = NotificationChannel.objects.select_for_update().get(pk=webhook.pk)
    old, new = opened_secret(locked).split(" ")[0], new_secret()
    locked.sealed_secret = sealer().seal(f"{new} {old}".encode(), bound_to(locked))
    locked.secret_hint = f"…{new[-4:]}"
    locked.previous_secret_until = timezone.now() + overlap
    locked.save(update_fields=["sealed_secret", "secret_hint", "previous_secret_until"])
    audit.record("webhook.rotate", subject_of(locked))
    return new


def tell(events: Sequence[AuditEvent]) -> int:
    """Write a message for every webhook that wants one of these events, within the transaction of the act; return how many."""
    hooks = [hook for hook in NotificationChannel.objects.filter(is_active=True, kind="webhook") if hook.event_types]
    if not hooks:
        return 0
    messages = []
    for event in events:
        above = set(with_ancestors(event.business_unit)) if event.business_unit else set()
        messages += [_message(hook, event) for hook in hooks if wants(hook.event_types, event.action) and _concerns(hook, event, above)]
    return write(messages)


def wants(types: Iterable[str], name: str) -> bool:
    """Say whether one of the types fits an event's name."""
    return any(kind in ("*", name) or (kind.endswith(".*") and name.startswith(kind[:-1])) for kind in types)


def _concerns(hook: NotificationChannel, event: AuditEvent, above: set[UUID]) -> bool:
    if hook.project_id:
        return event.project == hook.project_id
    return hook.business_unit_id in above if hook.business_unit_id else True


def _message(hook: NotificationChannel, event: AuditEvent) -> OutboxMessage:
    return OutboxMessage(
        reference=f"event:{event.id.hex}:{hook.id.hex}",
        channel=hook,
        kind=event.action,
        severity=Severity.INFO,
        title=event.action,
        text="",
        facts={"event": facts_of(event)},
        due_at=timezone.now(),
    )


def facts_of(event: AuditEvent) -> dict[str, Any]:
    """Return what a receiver is told of an event: ids, never a name or a value."""
    return {
        "id": f"aud_{event.id.hex}",
        "seq": event.seq,
        "action": event.action,
        "outcome": event.outcome,
        "actor": {"kind": event.actor_kind, "id": event.actor_id},
        "object": {"kind": event.object_kind, "id": event.object_id},
        "project": f"prj_{event.project.hex}" if event.project else None,
        "business_unit": f"bu_{event.business_unit.hex}" if event.business_unit else None,
        "transaction": str(event.transaction),
        "request_id": event.request_id,
    }
