"""How much may be spent, by whom and when: budgets, limits, their windows, and what workers hold of them."""

import secrets
from string import ascii_lowercase, digits

from django.db import models
from django.db.models import F, Q

from accounts.models import BusinessUnit, Project, VirtualKey

ALPHABET = ascii_lowercase + digits


def short_id() -> str:
    """Return twelve random characters, short enough to stand in every receipt."""
    return "".join(secrets.choice(ALPHABET) for _ in range(12))


ONE_SCOPE = (
    Q(project__isnull=False, key__isnull=True, business_unit__isnull=True)
    | Q(project__isnull=True, key__isnull=False, business_unit__isnull=True)
    | Q(project__isnull=True, key__isnull=True, business_unit__isnull=False)
)


class Scoped(models.Model):
    """What belongs to exactly one project, key or business unit (a unit without a parent is the organisation)."""

    id = models.CharField(max_length=12, primary_key=True, default=short_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    key = models.ForeignKey(VirtualKey, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    business_unit = models.ForeignKey(BusinessUnit, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True

    @property
    def scope(self) -> Project | VirtualKey | BusinessUnit:
        """Return what it belongs to."""
        found = self.project or self.key or self.business_unit
        assert found is not None
        return found


class Unit(models.TextChoices):
    """What is counted."""

    NANOUSD = "nanousd", "money (nano-USD)"
    TOKENS = "tokens"
    CALLS = "calls"


class Budget(Scoped):
    """What may be spent in each window. `amount` is in `unit`; `per` opens one window for every session or end user of the scope."""

    class Mode(models.TextChoices):
        """A hard budget refuses, a soft one only tells."""

        HARD = "hard"
        SOFT = "soft"

    class Period(models.TextChoices):
        """How long a window lasts; all of them begin and end in UTC."""

        DAILY = "daily"
        WEEKLY = "weekly"
        MONTHLY = "monthly"
        FIXED = "fixed", "from a day to a day"
        TOTAL = "total", "without an end"

    class Per(models.TextChoices):
        """Whom a window is for."""

        SCOPE = "", "all together"
        SESSION = "session", "each session"
        END_USER = "end_user", "each end user"

    name = models.CharField(max_length=200)
    mode = models.CharField(max_length=8, choices=Mode.choices, default=Mode.HARD)
    unit = models.CharField(max_length=8, choices=Unit.choices, default=Unit.NANOUSD)
    period = models.CharField(max_length=8, choices=Period.choices, default=Period.MONTHLY)
    per = models.CharField("one window for", max_length=8, choices=Per.choices, default=Per.SCOPE, blank=True)
    amount = models.PositiveBigIntegerField()
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    thresholds = models.JSONField(default=list, blank=True, help_text="Percentages that alert, such as [50, 80, 100]; empty for these three.")
    is_frozen = models.BooleanField(default=False)
    is_archived = models.BooleanField(default=False)
    is_demo = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(condition=ONE_SCOPE, name="budget_one_scope", violation_error_message="Choose one project, key or business unit."),
            models.CheckConstraint(condition=~Q(name=""), name="budget_named"),
            models.CheckConstraint(condition=Q(mode__in=["hard", "soft"]), name="budget_mode_known"),
            models.CheckConstraint(condition=Q(unit__in=["nanousd", "tokens"]), name="budget_unit_known"),
            models.CheckConstraint(condition=Q(period__in=["daily", "weekly", "monthly", "fixed", "total"]), name="budget_period_known"),
            models.CheckConstraint(condition=Q(per__in=["", "session", "end_user"]), name="budget_per_known"),
            models.CheckConstraint(
                condition=Q(period="fixed", starts_at__isnull=False, ends_at__isnull=False, ends_at__gt=F("starts_at")) | ~Q(period="fixed"),
                name="budget_fixed_has_days",
                violation_error_message="A budget from a day to a day needs both, the end after the start.",
            ),
        )

    def __str__(self) -> str:
        return self.name


class Limit(Scoped):
    """How fast: calls, tokens or nano-USD per minute (UTC), or calls at once."""

    class Kind(models.TextChoices):
        """What is limited."""

        RPM = "rpm", "calls per minute"
        TPM = "tpm", "tokens per minute"
        SPEND = "spend", "nano-USD per minute"
        PARALLEL = "parallel", "calls at once"

    kind = models.CharField(max_length=8, choices=Kind.choices)
    amount = models.PositiveBigIntegerField()

    class Meta:
        ordering = ("kind",)
        constraints = (
            models.CheckConstraint(condition=ONE_SCOPE, name="limit_one_scope", violation_error_message="Choose one project, key or business unit."),
            models.CheckConstraint(condition=Q(kind__in=["rpm", "tpm", "spend", "parallel"]), name="limit_kind_known"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="limit_above_zero"),
            models.UniqueConstraint("project", "kind", condition=Q(project__isnull=False), name="limit_once_per_project"),
            models.UniqueConstraint("key", "kind", condition=Q(key__isnull=False), name="limit_once_per_key"),
            models.UniqueConstraint("business_unit", "kind", condition=Q(business_unit__isnull=False), name="limit_once_per_unit"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.amount}"


class Window(models.Model):
    """A budget's or limit's account for one span of time, named by its id (`<budget>:2026-11`): nothing is ever reset.

    In `unit`: at most `base` + `credit` may be spent; `held` is what leases and disputed calls keep; `overrun` what vendors used beyond a hold.
    """

    id = models.CharField(max_length=100, primary_key=True, editable=False)
    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, null=True, related_name="windows")
    limit = models.ForeignKey(Limit, on_delete=models.CASCADE, null=True, related_name="windows")
    subject = models.CharField("session or end user", max_length=200, blank=True)
    unit = models.CharField(max_length=8, choices=Unit.choices)
    opens_at = models.DateTimeField()
    closes_at = models.DateTimeField(null=True)
    base = models.PositiveBigIntegerField()
    credit = models.PositiveBigIntegerField(default=0)
    spent = models.PositiveBigIntegerField(default=0)
    held = models.PositiveBigIntegerField(default=0)
    overrun = models.PositiveBigIntegerField(default=0)
    recall = models.PositiveIntegerField(default=0, help_text="Raised when idle leases must come back.")
    closed_at = models.DateTimeField(null=True, help_text="When unused credit went back and no lease was left.")

    class Meta:
        ordering = ("-opens_at",)
        constraints = (
            models.CheckConstraint(
                condition=Q(budget__isnull=False, limit__isnull=True) | Q(budget__isnull=True, limit__isnull=False), name="window_one_owner"
            ),
            models.CheckConstraint(condition=Q(spent__gte=F("overrun")), name="window_overrun_is_spent"),
        )
        indexes = (models.Index(fields=("closes_at",), name="window_open", condition=Q(closed_at__isnull=True)),)

    def __str__(self) -> str:
        return self.id

    @property
    def amount(self) -> int:
        """Return what may be spent in all, in `unit`."""
        return self.base + self.credit

    @property
    def left(self) -> int:
        """Return what may still be taken, in `unit`; zero after its budget was lowered under what is used."""
        return max(0, self.amount - self.spent - self.held)


class Host(models.Model):
    """A machine whose steward takes leases, named by its journal directory; heard of every few seconds while it runs."""

    id = models.CharField(max_length=64, primary_key=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.id


class Lease(models.Model):
    """What one worker holds of a window. `request`, `granted` and `returned` (a GiveBack's number) answer the same question twice in the same way."""

    id = models.BigAutoField(primary_key=True)
    worker = models.CharField(max_length=64)
    host = models.CharField(max_length=64, db_index=True)
    window = models.ForeignKey(Window, on_delete=models.CASCADE, related_name="leases")
    outstanding = models.PositiveBigIntegerField(default=0)
    request = models.PositiveBigIntegerField(default=0)
    granted = models.PositiveBigIntegerField(default=0)
    returned = models.PositiveBigIntegerField(default=0)
    recall_seen = models.PositiveIntegerField(default=0)
    at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = (models.UniqueConstraint("worker", "window", name="lease_once_per_worker"),)

    def __str__(self) -> str:
        return f"{self.worker} holds {self.outstanding} of {self.window_id}"


class DisputedHold(models.Model):
    """What stays held of a call whose worker died before it was settled, until a person releases it or reconciliation settles it."""

    id = models.BigAutoField(primary_key=True)
    call_id = models.CharField(max_length=40)
    window = models.ForeignKey(Window, on_delete=models.PROTECT, related_name="disputes")
    amount = models.PositiveBigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)
    released_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ("-created_at",)
        constraints = (models.UniqueConstraint("call_id", "window", name="disputed_once_per_call"),)

    def __str__(self) -> str:
        return f"{self.call_id} in {self.window_id}"
