"""What it cost: prices, usage records, and how far each journal has been taken in. Knows no provider accounts and no screens."""

import uuid

from django.db import models
from django.db.models import F, Q


class Price(models.Model):
    """Rates per million tokens in nano-USD, valid from a moment on. A price never changes; a change is a new price."""

    class Source(models.TextChoices):
        """Where the figures come from."""

        SEED = "genai-prices"
        ENTERED = "entered"
        SIMULATED = "simulated"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.CharField(max_length=64)
    upstream_model = models.CharField(max_length=200)
    valid_from = models.DateTimeField()
    input_nanousd = models.PositiveBigIntegerField("input, nano-USD per million tokens")
    output_nanousd = models.PositiveBigIntegerField("output, nano-USD per million tokens")
    cached_nanousd = models.PositiveBigIntegerField("cached input", null=True, blank=True)
    cache_write_nanousd = models.PositiveBigIntegerField("cache write", null=True, blank=True)
    audio_input_nanousd = models.PositiveBigIntegerField("audio input", null=True, blank=True)
    audio_output_nanousd = models.PositiveBigIntegerField("audio output", null=True, blank=True)
    reasoning_nanousd = models.PositiveBigIntegerField("reasoning", null=True, blank=True)
    request_nanousd = models.PositiveBigIntegerField("per request, nano-USD", default=0)
    tiers = models.JSONField(default=list, blank=True)
    source = models.CharField(max_length=16, choices=Source.choices, default=Source.ENTERED)
    source_version = models.CharField(max_length=32, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("provider", "upstream_model", "-valid_from")
        constraints = (
            models.UniqueConstraint("provider", "upstream_model", "valid_from", name="price_once_per_moment"),
            models.CheckConstraint(condition=~Q(upstream_model="") & ~Q(provider=""), name="price_named"),
        )

    def __str__(self) -> str:
        return f"{self.provider}/{self.upstream_model} from {self.valid_from:%Y-%m-%d}"


class UsageRecord(models.Model):
    """One row per call, written once from its receipt. Names and ids are facts of that moment, not references."""

    class Kind(models.TextChoices):
        """Corrections are further kinds of the same call, never edits."""

        CALL = "call"

    id = models.BigAutoField(primary_key=True)
    call_id = models.CharField(max_length=40)
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.CALL)
    started_at = models.DateTimeField(db_index=True)
    duration_ms = models.PositiveBigIntegerField()
    first_byte_ms = models.PositiveBigIntegerField(default=0)
    gateway_us = models.PositiveBigIntegerField(default=0)
    key = models.CharField(max_length=16)
    project = models.UUIDField(null=True)
    business_unit = models.UUIDField(null=True)
    model = models.CharField(max_length=200)
    deployment = models.CharField(max_length=255, blank=True)
    account = models.CharField(max_length=31, blank=True)
    provider = models.CharField(max_length=64, blank=True)
    upstream_model = models.CharField(max_length=200, blank=True)
    endpoint = models.CharField(max_length=100)
    stream = models.BooleanField(default=False)
    status = models.PositiveSmallIntegerField()
    outcome = models.CharField(max_length=16)
    error_code = models.CharField(max_length=40, blank=True)
    usage_source = models.CharField(max_length=16)
    flags = models.CharField(max_length=200, blank=True)
    input_tokens = models.PositiveBigIntegerField(default=0)
    cached_tokens = models.PositiveBigIntegerField(default=0)
    cache_write_tokens = models.PositiveBigIntegerField(default=0)
    audio_input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    reasoning_tokens = models.PositiveBigIntegerField(default=0)
    audio_output_tokens = models.PositiveBigIntegerField(default=0)
    price = models.UUIDField(null=True)
    cost_nanousd = models.PositiveBigIntegerField(default=0)
    quote_nanousd = models.PositiveBigIntegerField(default=0)
    attempts = models.JSONField(default=list)
    end_user = models.CharField(max_length=200, blank=True)
    session = models.CharField(max_length=200, blank=True)
    tags = models.CharField(max_length=500, blank=True)
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=200, blank=True)
    client_request_id = models.CharField(max_length=200, blank=True)
    is_demo = models.BooleanField(default=False)
    recorded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-started_at",)
        constraints = (
            models.UniqueConstraint("call_id", "kind", name="usage_once_per_call_and_kind"),
            models.CheckConstraint(condition=Q(outcome__in=["ok", "refused", "failed", "aborted", "unknown"]), name="usage_outcome_known"),
            models.CheckConstraint(condition=Q(usage_source__in=["provider", "counted", "estimated", "none"]), name="usage_source_known"),
            models.CheckConstraint(condition=Q(cached_tokens__lte=F("input_tokens")), name="usage_cached_within_input"),
            models.CheckConstraint(condition=Q(reasoning_tokens__lte=F("output_tokens")), name="usage_reasoning_within_output"),
        )
        indexes = (
            models.Index(fields=("key", "-started_at"), name="usage_by_key"),
            models.Index(fields=("project", "-started_at"), name="usage_by_project"),
        )

    def __str__(self) -> str:
        return self.call_id


class JournalPosition(models.Model):
    """How far a journal segment has been taken in, advanced in the same transaction as its rows."""

    segment = models.CharField(max_length=200, primary_key=True)
    offset = models.PositiveBigIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.segment} @ {self.offset}"


class QuarantinedReceipt(models.Model):
    """A receipt the database would not take: kept whole, with the reason, until a person releases it."""

    id = models.BigAutoField(primary_key=True)
    segment = models.CharField(max_length=200)
    offset = models.PositiveBigIntegerField()
    payload = models.BinaryField()
    reason = models.CharField(max_length=500)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-at",)
        constraints = (models.UniqueConstraint("segment", "offset", name="quarantine_once_per_record"),)

    def __str__(self) -> str:
        return f"{self.segment} @ {self.offset}"
