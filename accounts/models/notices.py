"""What is told to whom: channels that notices go to, and the outbox they wait in. Knows no sink and no alert."""

import uuid

from django.db import models
from django.db.models import Q

from accounts.models.people import BusinessUnit, Project, User


class Severity(models.TextChoices):
    """How much it matters; critical notices wait for nothing."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


def message_id() -> str:
    """Return a new message's id, the same on every try of its delivery."""
    return f"msg_{uuid.uuid4().hex}"


class NotificationChannel(models.Model):
    """Where notices about a scope and everything below it go: one project, one business unit, or with neither the whole platform.

    With `event_types` it is a webhook: it is told every event of these types and no notices. With `person` it is that person's mailbox: it has no
    scope, and gets what is written to them alone. `kind` names a sink on the shelf; `options` are its plain settings, the sealed secret is bound
    to this row. Quiet hours and the time of a daily digest are wall-clock times in `time_zone`.
    """

    class Digest(models.TextChoices):
        """How notices that are not critical are collected."""

        NONE = "", "each at once"
        HOURLY = "hourly"
        DAILY = "daily", "daily at 08:00"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=32)
    person = models.OneToOneField(User, on_delete=models.CASCADE, null=True, blank=True, editable=False, related_name="mailbox")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    business_unit = models.ForeignKey(BusinessUnit, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    least_severity = models.CharField("from severity", max_length=8, choices=Severity.choices, default=Severity.INFO)
    event_types = models.JSONField(default=list, blank=True, help_text='Such as ["key.create", "budget.*"]; empty for notices.')
    options = models.JSONField(default=dict, blank=True)
    sealed_secret = models.BinaryField(default=b"", blank=True, editable=False)
    secret_hint = models.CharField(max_length=100, blank=True, editable=False)
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    is_active = models.BooleanField(default=True)
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    digest = models.CharField(max_length=8, choices=Digest.choices, default=Digest.NONE, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    check_result = models.CharField(max_length=300, blank=True, editable=False)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(condition=~Q(name=""), name="channel_named"),
            models.CheckConstraint(
                condition=Q(project__isnull=True) | Q(business_unit__isnull=True),
                name="channel_one_scope",
                violation_error_message="Choose one project or one business unit, or neither for the whole platform.",
            ),
            models.CheckConstraint(
                condition=Q(person__isnull=True) | Q(project__isnull=True, business_unit__isnull=True, kind="email", event_types=[]),
                name="channel_mailbox_is_personal",
            ),
            models.CheckConstraint(condition=Q(least_severity__in=["info", "warning", "critical"]), name="channel_severity_known"),
            models.CheckConstraint(condition=Q(digest__in=["", "hourly", "daily"]), name="channel_digest_known"),
            models.CheckConstraint(
                condition=Q(quiet_from__isnull=True, quiet_until__isnull=True) | Q(quiet_from__isnull=False, quiet_until__isnull=False),
                name="channel_quiet_hours_whole",
                violation_error_message="Quiet hours need both a beginning and an end.",
            ),
        )

    def __str__(self) -> str:
        return self.name


class OutboxMessage(models.Model):
    """A notice on its way to one channel, written in the transaction of what caused it. `reference` makes it be written once.

    It is claimed until `claimed_until`; `attempts` counts claims and tells one claim from the next. Messages of a digest wait together
    until `due_at` and end as parts of one message.
    """

    class State(models.TextChoices):
        """Where it stands."""

        WAITING = "waiting"
        SENDING = "sending"
        SENT = "sent"
        DEAD = "dead", "given up"
        COLLECTED = "collected", "part of a digest"

    id = models.CharField(max_length=40, primary_key=True, default=message_id, editable=False)
    reference = models.CharField(max_length=200, unique=True)
    channel = models.ForeignKey(NotificationChannel, on_delete=models.CASCADE, related_name="messages")
    kind = models.CharField(max_length=64)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    title = models.CharField(max_length=200)
    text = models.TextField()
    path = models.CharField(max_length=300, blank=True)
    facts = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=9, choices=State.choices, default=State.WAITING)
    for_digest = models.BooleanField(default=False)
    digest = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="parts")
    due_at = models.DateTimeField()
    claimed_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    resent_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")

    class Meta:
        ordering = ("-created_at",)
        constraints = (
            models.CheckConstraint(condition=Q(state__in=["waiting", "sending", "sent", "dead", "collected"]), name="outbox_state_known"),
            models.CheckConstraint(condition=Q(severity__in=["info", "warning", "critical"]), name="outbox_severity_known"),
            models.CheckConstraint(condition=~Q(state="sending") | Q(claimed_until__isnull=False), name="outbox_claim_has_an_end"),
        )
        indexes = (
            models.Index(fields=("due_at",), name="outbox_due", condition=Q(state="waiting")),
            models.Index(fields=("claimed_until",), name="outbox_claimed", condition=Q(state="sending")),
        )

    def __str__(self) -> str:
        return f"{self.title} → {self.channel}"
