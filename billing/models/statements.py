"""Closed months and vendors' own figures: rows that are written once."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q


class Statement(models.Model):
    """What a business unit spent in a month, locked. Names are facts of the day it was closed; amounts in nano-USD.

    A usage row is in exactly one statement of its unit: those up to `last_usage` that no earlier statement had.
    """

    class Kind(models.TextChoices):
        """A correction states what came in after the month was closed."""

        MONTH = "month"
        CORRECTION = "correction"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.MONTH)
    business_unit = models.UUIDField()
    unit_name = models.CharField("business unit", max_length=200)
    chargeback_code = models.CharField(max_length=64, blank=True)
    month = models.DateField(help_text="First day of the month.")
    number = models.PositiveIntegerField(help_text="Counts the statements of a business unit.")
    calls = models.BigIntegerField()
    total_nanousd = models.BigIntegerField()
    late_nanousd = models.BigIntegerField(help_text="The part of the total that belongs to months closed before.")
    last_usage = models.BigIntegerField()
    content_hash = models.CharField(max_length=64, help_text="SHA-256 of the statement as CSV.")
    reason = models.CharField(max_length=500, blank=True)
    closed_at = models.DateTimeField()
    closed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ("-month", "unit_name", "-number")
        constraints = (
            models.UniqueConstraint("business_unit", "month", condition=Q(kind="month"), name="statement_once_per_month"),
            models.UniqueConstraint("business_unit", "number", name="statement_numbered_once"),
        )

    def __str__(self) -> str:
        return f"{self.unit_name} {self.month:%Y-%m}" + (f" correction {self.number}" if self.kind == self.Kind.CORRECTION else "")


class StatementLine(models.Model):
    """One project, key, model and provider in one month; late when that month was closed before."""

    id = models.BigAutoField(primary_key=True)
    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveIntegerField()
    month = models.DateField()
    is_late = models.BooleanField(default=False)
    project = models.UUIDField(null=True)
    project_name = models.CharField(max_length=200, blank=True)
    key = models.CharField(max_length=16)
    key_name = models.CharField(max_length=200, blank=True)
    model = models.CharField(max_length=200)
    provider = models.CharField(max_length=64, blank=True)
    calls = models.BigIntegerField()
    input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    cost_nanousd = models.BigIntegerField()

    class Meta:
        ordering = ("position",)
        constraints = (models.UniqueConstraint("statement", "position", name="statement_line_once"),)

    def __str__(self) -> str:
        return f"{self.project_name} {self.key_name} {self.model}"


class ReconciliationImport(models.Model):
    """A usage or cost export of a vendor, taken in once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    vendor = models.CharField(max_length=32)
    provider = models.CharField(max_length=64, help_text="Whose calls it is compared with.")
    file_name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64, unique=True)
    first_day = models.DateField()
    last_day = models.DateField()
    has_tokens = models.BooleanField()
    has_cost = models.BooleanField()
    imported_at = models.DateTimeField(auto_now_add=True)
    imported_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ("-imported_at",)

    def __str__(self) -> str:
        return f"{self.vendor}: {self.file_name}"


class ReconciliationLine(models.Model):
    """What the vendor counted for one of its models on one day (UTC); cost in nano-USD, negative for credits."""

    id = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(ReconciliationImport, on_delete=models.CASCADE, related_name="lines")
    day = models.DateField()
    upstream_model = models.CharField(max_length=200)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cost_nanousd = models.BigIntegerField(default=0)

    class Meta:
        ordering = ("day", "upstream_model")
        constraints = (models.UniqueConstraint("source", "day", "upstream_model", name="reconciliation_line_once"),)

    def __str__(self) -> str:
        return f"{self.day} {self.upstream_model}"
