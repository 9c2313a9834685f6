"""What people ask for: requests with their steps, decisions and notes. Knows no kind of request: accounts.grants does."""

import uuid
from typing import Any

from django.db import models
from django.db.models import Q
from django_fsm import FSMField, transition

from accounts.models.notices import NotificationChannel
from accounts.models.people import BusinessUnit, Environment, Project, User
from accounts.models.rules import ApprovalRule, Approver
from accounts.models.service_accounts import ServiceAccount

MONEY_KINDS = frozenset({"credit", "budget_raise"})


class GrantRequest(models.Model):
    """Something asked for. `version` rises with every edit, and decisions count for one version only.

    `amount_nanousd` is what was asked, `granted_nanousd` what an approver made of it; `until` is when the grant ends by itself;
    `business_unit` is where it is decided; `outcome` is what the grant keeps to take itself back; `warn_at` is when whoever asked is told that the
    end is near, empty when there is nothing (more) to tell.
    """

    class State(models.TextChoices):
        """Where it stands. Approved is what waits to be carried out, applied what was, revoked what ended or was taken back."""

        SUBMITTED = "submitted"
        NEEDS_INFO = "needs_info", "needs information"
        APPROVED = "approved"
        APPLIED = "applied"
        DENIED = "denied"
        WITHDRAWN = "withdrawn"
        EXPIRED = "expired"
        REVOKED = "revoked"

    OPEN = (State.SUBMITTED, State.NEEDS_INFO)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=64)
    target = models.CharField(max_length=200)
    parameters = models.JSONField(default=dict, blank=True)
    sealed_parameters = models.BinaryField(default=b"", blank=True, editable=False)
    title = models.CharField(max_length=200)
    reason = models.TextField(max_length=2000)
    amount_nanousd = models.PositiveBigIntegerField(null=True, blank=True)
    granted_nanousd = models.PositiveBigIntegerField(null=True, blank=True)
    until = models.DateTimeField(null=True, blank=True)
    requester = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="requests")
    service_account = models.ForeignKey(ServiceAccount, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    project = models.ForeignKey(Project, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    business_unit = models.ForeignKey(BusinessUnit, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    environment = models.CharField(max_length=8, choices=Environment.choices, blank=True)
    version = models.PositiveIntegerField(default=1)
    state = FSMField(max_length=16, choices=State.choices, default=State.SUBMITTED, protected=True)
    rule = models.ForeignKey(ApprovalRule, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    is_automatic = models.BooleanField(default=False)
    outcome = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    runs_at = models.DateTimeField(null=True, blank=True, help_text="When an act that no second person can approve is carried out unless cancelled.")
    decided_at = models.DateTimeField(null=True, blank=True)
    warn_at = models.DateTimeField(null=True, blank=True, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)
        verbose_name = "request"
        constraints = (
            models.CheckConstraint(
                condition=Q(state__in=["submitted", "needs_info", "approved", "applied", "denied", "withdrawn", "expired", "revoked"]),
                name="request_state_known",
            ),
            models.CheckConstraint(condition=Q(requester__isnull=True) | Q(service_account__isnull=True), name="request_one_asker"),
            models.CheckConstraint(
                condition=Q(granted_nanousd__isnull=True, amount_nanousd__isnull=True) | Q(granted_nanousd__lte=models.F("amount_nanousd")),
                name="request_grants_no_more_than_asked",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="request_says_why"),
        )
        indexes = (
            models.Index(fields=("-created_at",), name="request_open", condition=Q(state__in=["submitted", "needs_info"])),
            models.Index(fields=("until",), name="request_ends", condition=Q(state="applied", until__isnull=False)),
            models.Index(fields=("warn_at",), name="request_warns", condition=Q(state="applied", warn_at__isnull=False)),
        )

    def __str__(self) -> str:
        return self.title

    @property
    def shown_id(self) -> str:
        """Return the prefixed id."""
        return f"{'crq' if self.kind in MONEY_KINDS else 'arq'}_{self.id.hex}"

    @property
    def is_open(self) -> bool:
        """Say whether it still waits for a decision or an answer."""
        return self.state in self.OPEN

    @transition(state, source=State.SUBMITTED, target=State.NEEDS_INFO)
    def ask(self) -> None:
        """Go back to whoever asked."""

    @transition(state, source=OPEN, target=State.SUBMITTED)
    def submit(self) -> None:
        """Wait for a decision (again)."""

    @transition(state, source=State.SUBMITTED, target=State.APPROVED)
    def approve(self) -> None:
        """Be approved by everybody who has to."""

    @transition(state, source=State.APPROVED, target=State.APPLIED)
    def apply(self) -> None:
        """Be carried out."""

    @transition(state, source=OPEN, target=State.DENIED)
    def deny(self) -> None:
        """End without effect."""

    @transition(state, source=(*OPEN, State.APPROVED), target=State.WITHDRAWN)
    def withdraw(self) -> None:
        """Be taken back by whoever asked."""

    @transition(state, source=OPEN, target=State.EXPIRED)
    def expire(self) -> None:
        """End because nobody decided in time."""

    @transition(state, source=State.APPLIED, target=State.REVOKED)
    def revoke(self) -> None:
        """Lose its effect, at its end or before."""


class ApprovalStep(models.Model):
    """One step of one version of a request, copied from its rule when it was submitted. `people` are ids in hexadecimal."""

    class State(models.TextChoices):
        """Steps are asked one after another."""

        WAITING = "waiting"
        OPEN = "open"
        APPROVED = "approved"
        CLOSED = "closed", "closed without a decision"
        DENIED = "denied"

    id = models.BigAutoField(primary_key=True)
    request = models.ForeignKey(GrantRequest, on_delete=models.CASCADE, related_name="steps")
    version = models.PositiveIntegerField()
    position = models.PositiveSmallIntegerField()
    approver = models.CharField(max_length=8, choices=Approver.choices)
    roles = models.JSONField(default=list, blank=True)
    people = models.JSONField(default=list, blank=True)
    channel = models.ForeignKey(NotificationChannel, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    quorum = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    escalations = models.PositiveSmallIntegerField(default=0)
    remind_at = models.DateTimeField(null=True, blank=True)
    escalate_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("request", "version", "position")
        constraints = (
            models.UniqueConstraint("request", "version", "position", name="approval_step_once"),
            models.UniqueConstraint("request", condition=Q(state="open"), name="approval_step_one_open"),
            models.CheckConstraint(condition=Q(state__in=["waiting", "open", "approved", "closed", "denied"]), name="approval_step_state_known"),
        )

    def __str__(self) -> str:
        return f"{self.request}, step {self.position}"


class Decision(models.Model):
    """What was decided at one step: by a person, or by the system that `channel` leads to, whose message had the id `answer`.

    `seat` is whose right a person took, another's when delegated. The database counts each person, seat and answer once. A system is no person: it
    decides steps of its own and counts in no quorum.
    """

    class Verdict(models.TextChoices):
        """One way or the other."""

        APPROVED = "approved"
        DENIED = "denied"

    id = models.BigAutoField(primary_key=True)
    step = models.ForeignKey(ApprovalStep, on_delete=models.CASCADE, related_name="decisions")
    verdict = models.CharField(max_length=8, choices=Verdict.choices)
    approver = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    seat = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    channel = models.ForeignKey(NotificationChannel, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    answer = models.CharField(max_length=100, blank=True, editable=False)
    digest = models.CharField(max_length=64, blank=True, editable=False)
    comment = models.CharField(max_length=1000, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.UniqueConstraint("step", "approver", name="decision_once_per_person"),
            models.UniqueConstraint("step", "seat", name="decision_once_per_seat"),
            models.UniqueConstraint("step", condition=Q(channel__isnull=False), name="decision_once_by_a_system"),
            models.CheckConstraint(
                condition=Q(approver__isnull=False, seat__isnull=False, channel__isnull=True)
                | (Q(approver__isnull=True, seat__isnull=True, channel__isnull=False) & ~Q(answer="")),
                name="decision_by_a_person_or_a_system",
            ),
            models.CheckConstraint(condition=Q(verdict__in=["approved", "denied"]), name="decision_verdict_known"),
        )

    def __str__(self) -> str:
        return f"{self.verdict} by {self.decided_by}"

    @property
    def decided_by(self) -> User | NotificationChannel | None:
        """Return the person or the way to the system."""
        return self.approver or self.channel


class DecisionLink(models.Model):
    """A way from a mail to one step of one version of a request, for one approver, once. It has no authority: they sign in and decide as ever."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    step = models.ForeignKey(ApprovalStep, on_delete=models.CASCADE, related_name="links")
    approver = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-created_at",)
        indexes = (models.Index(fields=("expires_at",), name="decision_link_expiry"),)

    def __str__(self) -> str:
        return f"link of {self.approver} to {self.step}"


class RequestNote(models.Model):
    """A line of a request's history: what happened or was said, by whom (nobody: the system)."""

    id = models.BigAutoField(primary_key=True)
    request = models.ForeignKey(GrantRequest, on_delete=models.CASCADE, related_name="notes")
    version = models.PositiveIntegerField()
    what = models.CharField(max_length=16)
    text = models.CharField(max_length=2000, blank=True)
    author = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    program = models.ForeignKey(ServiceAccount, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.what}: {self.text}"[:80]

    @property
    def by(self) -> Any:
        """Return who it was, None for the system."""
        return self.author or self.program
