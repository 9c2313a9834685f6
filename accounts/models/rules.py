"""Who decides about what: approval rules with their steps, and delegations while somebody is away. Knows no request."""

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.models.notices import NotificationChannel
from accounts.models.people import BusinessUnit, Environment, User


class Approver(models.TextChoices):
    """Whom a step asks."""

    MANAGER = "manager", "managers of the unit"
    OWNER = "owner", "owners of the project"
    ROLE = "role", "people with a platform role"
    PEOPLE = "people", "named people"
    EXTERNAL = "external", "another system, by signed webhook"


class ApprovalRule(models.Model):
    """When a request is decided how: the first active rule, by position, whose conditions all hold.

    `kinds` are kinds of requests, empty for all; a unit's rule holds for everything below it. An automatic rule has no steps and holds while
    what it gave one project within `cap_days` stays within its cap. Days are working days.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200, unique=True)
    position = models.PositiveSmallIntegerField(default=100, help_text="Lower is tried first.")
    is_active = models.BooleanField(default=True)
    kinds = models.JSONField(default=list, blank=True, help_text='Such as ["credit", "join_project"]; empty for every kind.')
    business_unit = models.ForeignKey(BusinessUnit, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    environment = models.CharField(max_length=8, choices=Environment.choices, blank=True)
    up_to_nanousd = models.PositiveBigIntegerField("up to, nano-USD", null=True, blank=True, help_text="Empty: whatever the amount.")
    is_automatic = models.BooleanField("approves by itself", default=False)
    cap_nanousd = models.PositiveBigIntegerField("cap per project, nano-USD", null=True, blank=True)
    cap_days = models.PositiveSmallIntegerField("cap counts this many days", default=30, validators=[MinValueValidator(1), MaxValueValidator(366)])
    remind_days = models.PositiveSmallIntegerField("remind after working days", default=1, validators=[MaxValueValidator(60)], help_text="0 for never.")
    escalate_days = models.PositiveSmallIntegerField("escalate after working days", default=3, validators=[MaxValueValidator(60)], help_text="0 for never.")
    expire_days = models.PositiveSmallIntegerField("expires after working days", default=15, validators=[MinValueValidator(1), MaxValueValidator(250)])
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("position", "name")
        constraints = (
            models.CheckConstraint(condition=~Q(name=""), name="approval_rule_named"),
            models.CheckConstraint(condition=Q(environment__in=["", *Environment.values]), name="approval_rule_environment_known"),
            models.CheckConstraint(
                condition=Q(is_automatic=False) | Q(up_to_nanousd__isnull=False),
                name="approval_rule_automatic_has_a_limit",
                violation_error_message="A rule that approves by itself needs an amount it goes up to (0 for requests without an amount).",
            ),
            models.CheckConstraint(condition=Q(cap_days__gte=1), name="approval_rule_cap_has_days"),
            models.CheckConstraint(condition=Q(expire_days__gte=1), name="approval_rule_expires"),
        )

    def __str__(self) -> str:
        return self.name


class RuleStep(models.Model):
    """One step of a rule: whom it asks, and how many of them must approve."""

    id = models.BigAutoField(primary_key=True)
    rule = models.ForeignKey(ApprovalRule, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField(default=1)
    approver = models.CharField(max_length=8, choices=Approver.choices, default=Approver.MANAGER)
    roles = models.JSONField(default=list, blank=True, help_text='Platform roles, such as ["finance"]; for steps that ask a role.')
    people = models.ManyToManyField(User, blank=True, related_name="+", help_text="For steps that ask named people.")
    channel = models.ForeignKey(NotificationChannel, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    quorum = models.PositiveSmallIntegerField(default=1, validators=[MinValueValidator(1), MaxValueValidator(20)])

    class Meta:
        ordering = ("rule", "position")
        constraints = (
            models.UniqueConstraint("rule", "position", name="rule_step_once_per_position"),
            models.CheckConstraint(condition=Q(approver__in=["manager", "owner", "role", "people", "external"]), name="rule_step_approver_known"),
            models.CheckConstraint(condition=Q(quorum__gte=1), name="rule_step_quorum"),
            models.CheckConstraint(
                condition=Q(approver="external", channel__isnull=False, quorum=1) | (~Q(approver="external") & Q(channel__isnull=True)),
                name="rule_step_external_has_a_channel",
                violation_error_message="A step of another system needs a webhook channel and asks it once; other steps have no channel.",
            ),
        )

    def __str__(self) -> str:
        return f"{self.rule}, step {self.position}"


class Delegation(models.Model):
    """While somebody is away, another decides in their place: with their right, no further, and never about what either asked for."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    delegator = models.ForeignKey(User, on_delete=models.CASCADE, related_name="delegations")
    delegate = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=200, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-starts_at",)
        constraints = (
            models.CheckConstraint(condition=~Q(delegator=F("delegate")), name="delegation_to_another", violation_error_message="Name somebody else."),
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="delegation_ends", violation_error_message="The end comes after the start."),
        )

    def __str__(self) -> str:
        return f"{self.delegate} for {self.delegator}"

    @property
    def shown_id(self) -> str:
        """Return the prefixed id."""
        return f"dlg_{self.id.hex}"

    @property
    def standing(self) -> str:
        """Say whether it `holds` now, lies `ahead` or is `over`."""
        now = timezone.now()
        if self.ended_at is not None or self.ends_at <= now:
            return "over"
        return "holds" if self.starts_at <= now else "ahead"
