"""The outbox: notices are written with what caused them, and delivered at least once under the same id. Knows no sink and no alert."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from celery import current_app
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from kombu.exceptions import KombuError

from accounts import audit, letters
from accounts.channels import carry, subscribed
from accounts.egress import NotDelivered, Unreachable
from accounts.models import BusinessUnit, NotificationChannel, OutboxMessage, Project, Severity, User
from accounts.quiet import after_quiet, digest_at
from accounts.sinks import Notice

# Longer than any delivery: one to 20 mail recipients at 15 s each for a server that hangs would be cut off by its own timeouts before.
CLAIM_S = 300
# After the first try; together with it ten tries within sixteen hours.
BACKOFF_S = (10, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800)
BATCH = 200
KEPT_DAYS = 90
MOST_DIGEST_LINES = 100
MAIL = "email"
State = OutboxMessage.State

log = structlog.get_logger(__name__)


@transaction.atomic
def notify(
    *,
    reference: str,
    kind: str,
    severity: str,
    title: str,
    text: str,
    path: str = "",
    facts: dict[str, Any] | None = None,
    project: Project | None = None,
    unit: BusinessUnit | None = None,
) -> int:
    """Write a notice for every channel subscribed to the scope, within the caller's transaction; return for how many.

    `reference` names the event: the same one is never written twice for a channel. `path` is below the public URL.
    """
    now = timezone.now()
    messages = [
        OutboxMessage(
            reference=f"{reference}:{channel.id.hex}",
            channel=channel,
            kind=kind,
            severity=severity,
            title=" ".join(title.split())[:200],
            text=text,
            path=path,
            facts=facts or {},
            for_digest=bool(channel.digest) and severity != Severity.CRITICAL,
            due_at=due(channel, severity, now),
        )
        for channel in subscribed(severity, project, unit)
    ]
    return write(messages)


def write(messages: Sequence[OutboxMessage]) -> int:
    """Write messages within the caller's transaction and have them delivered after it; return how many."""
    OutboxMessage.objects.bulk_create(messages, ignore_conflicts=True)
    if messages:
        transaction.on_commit(_wake, robust=True)
    return len(messages)


def _wake() -> None:
    """Have the outbox swept now where this process is part of Celery; elsewhere, and when the broker is away, beat comes soon enough."""
    if current_app.main == "default":  # no application was set up here: it would look for a broker nobody named
        return
    try:
        current_app.send_task("accounts.tasks.sweep_outbox", retry=False, expires=60)
    except (KombuError, OSError) as error:
        log.warning("outbox_not_woken", error=type(error).__name__)


def due(channel: NotificationChannel, severity: str, now: datetime) -> datetime:
    """Return when a notice of this severity may go out through a channel; a critical one at once."""
    if severity == Severity.CRITICAL:
        return now
    at = digest_at(now, channel.digest, channel.time_zone) if channel.digest else now
    return after_quiet(at, channel.quiet_from, channel.quiet_until, channel.time_zone)


def deliver_due(limit: int = BATCH) -> int:
    """Deliver what is due, at most `limit` messages; return how many were taken.

    After a failure its channel rests until the next sweep; after one of the mail server, which all mail goes through, all mail does.
    """
    now = timezone.now()
    _bury(now)
    collect_digests(now)
    due_now = OutboxMessage.objects.filter(_due(now)).order_by("due_at").values_list("pk", "channel_id", "channel__kind")[:limit]
    failed: set[UUID | str] = set()
    sent = 0
    for pk, channel, kind in list(due_now):
        message = None if failed & {channel, kind} else claim(pk)
        if message is None:
            continue
        failure = tried(message)
        sent += failure is None
        if failure is not None:
            failed.add(MAIL if kind == MAIL and isinstance(failure, Unreachable) else channel)
    return sent


def _due(now: datetime) -> Q:
    waiting = Q(state=State.WAITING, for_digest=False, due_at__lte=now)
    return Q(channel__is_active=True) & (waiting | Q(state=State.SENDING, claimed_until__lte=now))


def claim(pk: str) -> OutboxMessage | None:
    """Take a due message for delivery; None when another took it, or when its channel has become quiet."""
    now = timezone.now()
    found = OutboxMessage.objects.select_related("channel__person").filter(_due(now), pk=pk).first()
    if found is None or _forgotten(found):
        return None
    channel = found.channel
    if found.severity != Severity.CRITICAL:
        later = after_quiet(now, channel.quiet_from, channel.quiet_until, channel.time_zone)
        if later > now:
            OutboxMessage.objects.filter(pk=pk, state=found.state, attempts=found.attempts).update(state=State.WAITING, claimed_until=None, due_at=later)
            return None
    claimed = OutboxMessage.objects.filter(pk=pk, state=found.state, attempts=found.attempts).update(
        state=State.SENDING, claimed_until=now + timedelta(seconds=CLAIM_S), attempts=F("attempts") + 1
    )
    found.attempts += 1
    return found if claimed == 1 else None


def _forgotten(message: OutboxMessage) -> bool:
    """Delete a letter to somebody who left, or that asks for what was done meanwhile, unless it is being sent; return whether it was one."""
    person = message.channel.person
    if person is None or (person.is_active and not letters.is_over(message)):
        return False
    return OutboxMessage.objects.filter(pk=message.pk, state=State.WAITING).delete()[0] > 0


def deliver(message: OutboxMessage) -> bool:
    """Send a claimed message and record what came of it; return whether it was taken."""
    return tried(message) is None


def tried(message: OutboxMessage) -> NotDelivered | None:
    """Send a claimed message and record what came of it; return why it was not taken, None where it was."""
    try:
        carry(message.channel, notice_of(message))
    except NotDelivered as failure:
        _fail(message, str(failure))
        return failure
    except Exception as error:
        log.exception("outbox_delivery_broke", message=message.pk, channel=message.channel.name)
        failed = NotDelivered(f"The delivery broke off unexpectedly ({type(error).__name__}); see the log.")
        _fail(message, str(failed))
        return failed
    # Whoever else holds a claim by now sends it once more; it stays sent.
    OutboxMessage.objects.filter(pk=message.pk).update(state=State.SENT, sent_at=timezone.now(), claimed_until=None, last_error="")
    return None


def _fail(message: OutboxMessage, reason: str) -> None:
    is_dead = message.attempts > len(BACKOFF_S)
    fields: dict[str, Any] = {"state": State.DEAD} if is_dead else {"state": State.WAITING}
    if not is_dead:
        fields["due_at"] = timezone.now() + timedelta(seconds=BACKOFF_S[message.attempts - 1])
    mine = OutboxMessage.objects.filter(pk=message.pk, state=State.SENDING, attempts=message.attempts)
    mine.update(claimed_until=None, last_error=reason[:300], **fields)
    log.warning("notice_not_delivered", message=message.pk, channel=message.channel.name, attempts=message.attempts, given_up=is_dead, reason=reason)


def _bury(now: datetime) -> None:
    """Give up messages whose last try never ended: its process died with it."""
    lapsed = OutboxMessage.objects.filter(state=State.SENDING, claimed_until__lte=now, attempts__gt=len(BACKOFF_S))
    lapsed.update(state=State.DEAD, claimed_until=None, last_error="The process ended during the last try.")


def collect_digests(now: datetime) -> int:
    """Join what waits for a digest that is due into one message per channel; return how many digests were made."""
    waiting = OutboxMessage.objects.filter(state=State.WAITING, for_digest=True, due_at__lte=now, channel__is_active=True)
    return sum(_collect(pk, now) for pk in list(waiting.order_by().values_list("channel_id", flat=True).distinct()))


@transaction.atomic
def _collect(channel_id: UUID, now: datetime) -> bool:
    channel = NotificationChannel.objects.select_for_update().get(pk=channel_id)
    waiting = OutboxMessage.objects.filter(channel=channel, state=State.WAITING, for_digest=True, due_at__lte=now).select_related("channel__person")
    parts = [part for part in waiting.order_by("created_at")[:1_000] if not _forgotten(part)]
    if len(parts) < 2:
        return OutboxMessage.objects.filter(pk__in=[part.pk for part in parts], state=State.WAITING).update(for_digest=False) == 1
    lines = [f"{part.created_at:%Y-%m-%d %H:%M} UTC  {part.title}" for part in parts[:MOST_DIGEST_LINES]]
    more = [f"… and {len(parts) - MOST_DIGEST_LINES} more"] if len(parts) > MOST_DIGEST_LINES else []
    worst = max(parts, key=lambda part: Severity.values.index(part.severity))
    joined = OutboxMessage.objects.create(
        reference=f"digest:{parts[0].pk}",
        channel=channel,
        kind="digest",
        severity=worst.severity,
        title=f"{len(parts)} notices",
        text="\n".join(lines + more),
        facts={
            "notices": [{"id": part.pk, "type": part.kind, "title": part.title} for part in parts[:MOST_DIGEST_LINES]],
            **({"letters": [letters.as_part(part) for part in parts[:MOST_DIGEST_LINES]]} if channel.person_id else {}),
        },
        due_at=now,
    )
    OutboxMessage.objects.filter(pk__in=[part.pk for part in parts]).update(state=State.COLLECTED, digest=joined)
    return True


def notice_of(message: OutboxMessage) -> Notice:
    """Return a message as sinks take it."""
    return Notice(
        id=message.pk,
        kind=message.kind,
        severity=message.severity,
        title=message.title,
        text=message.text,
        html=letters.html_of(message) if message.channel.person_id else "",
        at=message.created_at.isoformat(),
        url=f"{settings.PUBLIC_URL}{message.path}" if settings.PUBLIC_URL and message.path else "",
        facts=message.facts,
    )


@audit.act()
def send_again(message: OutboxMessage, by: User | None = None) -> None:
    """Make a message due now with all its tries before it, under the same id. Raises ValidationError unless it waits or was given up."""
    if not _due_now(message, by, State.WAITING, State.DEAD):
        raise ValidationError(f"“{message.title}” is neither waiting nor given up, so there is nothing to send again.")


@audit.act()
def resend(message: OutboxMessage, by: User | None = None) -> None:
    """Make a message due now under the same id, one that was delivered too. Raises ValidationError while it is being sent or part of a digest."""
    if not _due_now(message, by, State.WAITING, State.DEAD, State.SENT):
        raise ValidationError(f"“{message.title}” is being sent right now. Try again in a few minutes.")


def _due_now(message: OutboxMessage, by: User | None, *states: str) -> bool:
    again = OutboxMessage.objects.filter(pk=message.pk, state__in=states)
    if not again.update(state=State.WAITING, for_digest=False, due_at=timezone.now(), attempts=0, sent_at=None, resent_by=by):
        return False
    audit.record("notice.send-again", audit.Subject("notice", message.pk, message.title))
    transaction.on_commit(_wake, robust=True)
    return True


def prune() -> int:
    """Forget delivered messages after 90 days, digests with their parts; return how many."""
    old = Q(sent_at__lt=timezone.now() - timedelta(days=KEPT_DAYS))
    return OutboxMessage.objects.filter(old, state=State.SENT).delete()[0]
