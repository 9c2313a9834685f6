"""Double entry: every entry moves an amount from one account to another, so that all of them together are always zero. Never changed."""

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import F, Q

from billing.models.budgets import Scoped


class Posting(models.Model):
    """One business event and its entries. `reference` makes it happen once."""

    class Kind(models.TextChoices):
        """What happened."""

        OPEN = "open", "window opened"
        ADJUST = "adjust", "budget changed"
        GRANT = "grant", "credit granted"
        MOVE = "move", "credit moved"
        EXPIRE = "expire", "credit expired"
        DRAW = "draw", "credit drawn into a window"
        UNDRAW = "undraw", "unused credit returned"
        LEASE = "lease", "held for a worker"
        RETURN = "return", "given back"
        CONSUME = "consume", "calls settled"
        DISPUTE = "dispute", "kept for an unsettled call"
        RELEASE = "release", "disputed hold released"
        RERATE = "rerate", "calls priced anew"
        REVERSE = "reverse", "reversal"

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    reference = models.CharField(max_length=200, unique=True)
    at = models.DateTimeField(auto_now_add=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    reason = models.CharField(max_length=500, blank=True)
    reverses = models.OneToOneField("self", on_delete=models.PROTECT, null=True, blank=True, related_name="reversed_by")

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.kind} {self.reference}"


class Entry(models.Model):
    """One movement in nano-USD out of `debit` into `credit`: balanced by being one row.

    Accounts are named `window:<id>:free|held|consumed`, `grant:<id>`, `budgets` and `credits` (where amounts come from), `expired`, `overrun`.
    """

    id = models.BigAutoField(primary_key=True)
    posting = models.ForeignKey(Posting, on_delete=models.PROTECT, related_name="entries")
    debit = models.CharField(max_length=120)
    credit = models.CharField(max_length=120)
    amount_nanousd = models.PositiveBigIntegerField()

    class Meta:
        ordering = ("id",)
        verbose_name_plural = "entries"
        constraints = (
            models.CheckConstraint(condition=Q(amount_nanousd__gt=0), name="entry_above_zero"),
            models.CheckConstraint(condition=~Q(debit=F("credit")), name="entry_between_two_accounts"),
        )
        indexes = (models.Index(fields=("debit",), name="entry_by_debit"), models.Index(fields=("credit",), name="entry_by_credit"))

    def __str__(self) -> str:
        return f"{self.debit} → {self.credit}"


class CreditAccount(Scoped):
    """Where credit of a project, key or business unit waits until its budgets draw on it."""

    name = models.CharField(max_length=200)
    is_frozen = models.BooleanField(default=False)
    low_percent = models.PositiveSmallIntegerField("alert at percent left", default=20, validators=[MaxValueValidator(100)])
    low_nanousd = models.PositiveBigIntegerField("alert at amount left, nano-USD", default=0, help_text="0 for none.")
    expiring_days = models.PositiveSmallIntegerField("alert days before it expires", default=7, validators=[MaxValueValidator(366)])
    is_demo = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(
                condition=Q(project__isnull=False, key__isnull=True, business_unit__isnull=True)
                | Q(project__isnull=True, key__isnull=False, business_unit__isnull=True)
                | Q(project__isnull=True, key__isnull=True, business_unit__isnull=False),
                name="credit_account_one_scope",
                violation_error_message="Choose one project, key or business unit.",
            ),
            models.UniqueConstraint("project", condition=Q(project__isnull=False), name="credit_account_once_per_project"),
            models.UniqueConstraint("key", condition=Q(key__isnull=False), name="credit_account_once_per_key"),
            models.UniqueConstraint("business_unit", condition=Q(business_unit__isnull=False), name="credit_account_once_per_unit"),
        )

    def __str__(self) -> str:
        return self.name


class CreditGrant(models.Model):
    """An amount of credit in nano-USD with its end; the earliest end is drawn first."""

    id = models.BigAutoField(primary_key=True)
    account = models.ForeignKey(CreditAccount, on_delete=models.PROTECT, related_name="grants")
    amount_nanousd = models.PositiveBigIntegerField()
    remaining_nanousd = models.PositiveBigIntegerField()
    expires_at = models.DateTimeField(null=True, blank=True)
    expired_at = models.DateTimeField(null=True, blank=True, editable=False)
    reason = models.CharField(max_length=500)
    granted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = (F("expires_at").asc(nulls_last=True), "id")
        constraints = (
            models.CheckConstraint(condition=Q(amount_nanousd__gt=0), name="grant_above_zero"),
            models.CheckConstraint(condition=Q(remaining_nanousd__lte=F("amount_nanousd")), name="grant_remaining_within_amount"),
        )

    def __str__(self) -> str:
        return f"{self.amount_nanousd} to {self.account}"
