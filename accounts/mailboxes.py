"""Mail to one person: a mailbox is a channel of their own, with their digest and quiet hours. Knows no request; what is written here waits in the outbox."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import Any

from django.conf import settings
from django.utils import timezone

from accounts import audit
from accounts.channels import check_times
from accounts.hostile import one_line, unlinked
from accounts.models import NotificationChannel, OutboxMessage, Severity, User
from accounts.outbox import due, write


@dataclass(frozen=True)
class Letter:
    """What somebody is told: a title, text, what to know (name and value), and what would change (what, before, after).

    `reference` names the event, so that it is told once; `link` is a DecisionLink's id where they can decide by this mail. A critical one waits for no
    digest and no quiet hours.
    """

    reference: str
    kind: str
    title: str
    text: str
    path: str
    known: tuple[tuple[str, str], ...] = ()
    changes: tuple[tuple[str, str, str], ...] = ()
    link: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    severity: str = Severity.INFO


def can_mail() -> bool:
    """Say whether this installation can send mails that lead back to it."""
    return bool(settings.MAIL_URL and settings.PUBLIC_URL)


def mailbox_of(person: User) -> NotificationChannel:
    """Return the mailbox of a person, made when it is first needed."""
    made, _ = NotificationChannel.objects.get_or_create(person=person, defaults={"name": f"mailbox usr_{person.pk.hex}", "kind": "email"})
    return made


def post(person: User, letter: Letter) -> bool:
    """Write a letter to a person within the caller's transaction, unless they cannot sign in or nothing can be mailed; return whether it was written.

    Its words come from people, so addresses in them are made unfit to be followed.
    """
    if not can_mail() or not person.is_active:
        return False
    box, now = mailbox_of(person), timezone.now()
    told = {
        **letter.facts,
        "known": [[one_line(name), unlinked(value)] for name, value in letter.known],
        "changes": [[unlinked(one_line(part)) for part in line] for line in letter.changes],
        "link": letter.link,
    }
    message = OutboxMessage(
        reference=f"{letter.reference}:{box.id.hex}",
        channel=box,
        kind=letter.kind,
        severity=letter.severity,
        title=unlinked(one_line(letter.title))[:200],
        text=unlinked(letter.text),
        path=letter.path,
        facts=told,
        for_digest=bool(box.digest) and letter.severity != Severity.CRITICAL,
        due_at=due(box, letter.severity, now),
    )
    return write([message]) == 1


@audit.act("mailbox.save")
def save_preferences(person: User, *, digest: str, quiet_from: time | None, quiet_until: time | None, time_zone: str) -> NotificationChannel:
    """Store how a person wants their mail. Raises ValidationError."""
    box = NotificationChannel.objects.select_for_update().get(pk=mailbox_of(person).pk)
    box.digest, box.quiet_from, box.quiet_until, box.time_zone = digest, quiet_from, quiet_until, time_zone
    check_times(box)
    box.full_clean()
    box.save()
    return box
