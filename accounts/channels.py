"""Every write to notification channels, and the way from a notice through a channel's sink. Knows no outbox and no alert."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from uuid import UUID
from zoneinfo import available_timezones

import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils import timezone

from accounts import audit
from accounts.addresses import AddressRules
from accounts.audit.watch import subject_of
from accounts.egress import AddressForbidden, NotAllowed, NotDelivered
from accounts.models import ApprovalStep, BusinessUnit, NotificationChannel, Project, RuleStep, Severity, User
from accounts.models.notices import message_id
from accounts.sealing import SealBroken, Sealer
from accounts.sinks import Exits, Notice, Sink, shelf

# What the mail sink takes for the end of an address.
SEPARATORS = frozenset(',;" ')

log = structlog.get_logger(__name__)


def exits() -> Exits:
    """Return the ways out of this installation."""
    return Exits(rules=AddressRules(settings.PRIVATE_CHANNELS), mail_url=settings.MAIL_URL, mail_from=settings.MAIL_FROM)


@cache
def sealer() -> Sealer:
    """Return the sealer of this installation."""
    return Sealer(settings.SEALING_KEY)


def bound_to(channel: NotificationChannel) -> bytes:
    """Return what a channel's secret is bound to: its row."""
    return b"notification-channel:" + channel.id.bytes


def opened_secret(channel: NotificationChannel) -> str:
    """Return the channel's secret in clear, empty for none, followed by the one before it while both count; raises SealBroken."""
    if not channel.sealed_secret:
        return ""
    secrets = sealer().open(bytes(channel.sealed_secret), bound_to(channel)).decode()
    is_overlapping = channel.previous_secret_until is not None and channel.previous_secret_until > timezone.now()
    return secrets if is_overlapping else secrets.partition(" ")[0]


def sink_of(channel: NotificationChannel) -> Sink:
    """Return the sink a channel names; raises ValidationError when there is none on the shelf."""
    found = shelf().get(channel.kind)
    if found is None:
        raise ValidationError({"kind": f"There is no kind {channel.kind!r}. Choose one of: {', '.join(sorted(shelf()))}."})
    return found


def check_channel(channel: NotificationChannel, secret: str) -> None:
    """Raise ValidationError unless the channel, with the secret typed now or none, may be stored."""
    sink, stored = sink_of(channel), NotificationChannel.objects.filter(pk=channel.pk).first()
    options = channel.options
    if not isinstance(options, dict) or set(options) != set(sink.options) or not all(isinstance(text, str) and text for text in options.values()):
        wanted = ", ".join(f"{name} ({hint})" for name, hint in sink.options.items())
        raise ValidationError({"options": f"{sink.title} needs exactly: {wanted or 'nothing'}."})
    check_times(channel)
    kept = bool(stored and stored.sealed_secret and stored.kind == channel.kind)
    if sink.asks_for and not secret and not kept:
        raise ValidationError({"secret": f"{sink.title} needs a secret: {sink.asks_for}."})
    if secret and not sink.asks_for:
        raise ValidationError({"secret": f"{sink.title} has no secret. Leave it empty."})
    if stored and kept and not secret and sink.host(stored.options) != sink.host(options):
        raise ValidationError({"secret": "The host changes, so enter the secret again: it is not used with another host unseen."})
    try:
        sink.check(options, secret, exits())
    except NotAllowed as refusal:
        hint = " If that is meant, list it in SYMBIOSIS_PRIVATE_CHANNELS." if isinstance(refusal, AddressForbidden) else ""
        raise ValidationError(f"{refusal}{hint}") from refusal
    except ValueError as refusal:
        raise ValidationError(str(refusal)) from refusal


def check_times(channel: NotificationChannel) -> None:
    """Raise ValidationError unless time zone and quiet hours of a channel make sense."""
    if channel.time_zone not in available_timezones():
        raise ValidationError({"time_zone": "Enter a name of the time zone database, such as Europe/Berlin."})
    if channel.quiet_from is not None and channel.quiet_from == channel.quiet_until:
        raise ValidationError({"quiet_until": "Quiet hours that end when they begin would last all day. Deactivate the channel instead."})


@audit.act()
def save_channel(channel: NotificationChannel, secret: str = "") -> NotificationChannel:
    """Check and store a channel, sealing the secret when one is given. Raises ValidationError."""
    stored = NotificationChannel.objects.select_for_update().filter(pk=channel.pk).first()
    check_channel(channel, secret)
    if secret:
        channel.sealed_secret = sealer().seal(secret.encode(), bound_to(channel))
        channel.secret_hint = f"…{secret[-4:]}" if len(secret) >= 24 else "…"
    elif stored is not None and stored.kind == channel.kind:
        channel.sealed_secret, channel.secret_hint = stored.sealed_secret, stored.secret_hint
    else:
        channel.sealed_secret, channel.secret_hint = b"", ""
    channel.full_clean()
    channel.save()
    return channel


@audit.act()
def delete_channel(channel: NotificationChannel) -> int:
    """Delete a channel with its messages; return how many of them had not been delivered yet. Raises ValidationError while requests need it."""
    if RuleStep.objects.filter(channel=channel).exists() or ApprovalStep.objects.filter(channel=channel).exists():
        raise ValidationError("Requests are decided through this webhook: take it out of their approval rules, or deactivate it, and keep it for the record.")
    waiting = channel.messages.filter(state__in=["waiting", "sending", "dead"]).count()
    channel.delete()
    return waiting


def test_channel(channel: NotificationChannel) -> str:
    """Send a marked test message at once, whatever the hour, and record the result; return it in words. Raises NotDelivered after recording."""
    notice = Notice(
        id=message_id(),
        kind="test",
        severity=Severity.INFO,
        title=f"Test: {channel.name}"[:200],
        text="This is a test message of Symbiosis Gateway. Nothing has happened, and nothing needs to be done.",
        html="",
        at=timezone.now().isoformat(),
        facts={"test": True},
    )
    try:
        result = f"ok: {carry(channel, notice)}"
    except NotDelivered as failure:
        _record(channel, str(failure))
        raise
    _record(channel, result)
    return result


def _record(channel: NotificationChannel, result: str) -> None:
    audit.record("notification-channel.test", subject_of(channel), result=result[:300])
    NotificationChannel.objects.filter(pk=channel.pk).update(checked_at=timezone.now(), check_result=result[:300])


def with_html(notice: Notice) -> Notice:
    """Return a notice with the page it has for mail programs."""
    return replace(notice, html=notice.html or render_to_string("emails/notice.html", {"notice": notice}))


def mail_to(person: User, notice: Notice) -> str:
    """Mail a notice to one person and return a line about it. Raises NotDelivered, also for an address that could be read as several."""
    if any(letter in SEPARATORS or not letter.isprintable() for letter in person.email):
        raise NotDelivered("The address of this account cannot be mailed to.")
    return shelf()["email"].send(with_html(notice), {"to": person.email}, "", exits())


def carry(channel: NotificationChannel, notice: Notice) -> str:
    """Send a notice through a channel's sink and return a line about it. Raises NotDelivered with the reason in words."""
    if channel.person is not None:
        return mail_to(channel.person, notice)
    try:
        return sink_of(channel).send(with_html(notice), channel.options, opened_secret(channel), exits())
    except NotAllowed as refusal:
        raise NotDelivered(str(refusal)) from refusal
    except SealBroken as broken:
        raise NotDelivered(str(broken)) from broken
    except ValidationError as refusal:
        raise NotDelivered(" ".join(refusal.messages)) from refusal


def subscribed(severity: str, project: Project | None = None, unit: BusinessUnit | None = None) -> list[NotificationChannel]:
    """Return the active channels that want notices of this severity about a project or unit: its own, those of units above, and the platform's."""
    at_least = Severity.values[: Severity.values.index(severity) + 1]
    units = with_ancestors(project.business_unit_id if project else unit.pk if unit else None)
    scopes = Q(project__isnull=True, business_unit__isnull=True) | Q(business_unit__in=units)
    if project:
        scopes |= Q(project=project)
    return list(NotificationChannel.objects.filter(scopes, is_active=True, person=None, least_severity__in=at_least, event_types=[]))


def with_ancestors(unit: UUID | None) -> Iterable[UUID]:
    """Return a unit and every unit above it."""
    found: list[UUID] = []
    while unit is not None and unit not in found:
        found.append(unit)
        unit = BusinessUnit.objects.values_list("parent_id", flat=True).filter(pk=unit).first()
    return found
