"""What calls cost: usage records, how far each journal has been taken in, and receipts put aside. Knows no provider accounts and no screens."""

from django.db import models
from django.db.models import F, Q


class UsageRecord(models.Model):
    """One row per call, written once from its receipt. Names and ids are facts of that moment, not references.

    A call priced anew gets rows of kind `rerate`, `rerate:2` and so on: no tokens, and a cost that is the difference and may be below zero.
    `windows` names the budget windows the call was held against, separated by spaces; `worker` whose leases it drew on; `posting` the
    ledger posting that consumed its cost.
    """

    class Kind(models.TextChoices):
        """Corrections are further kinds of the same call, never edits."""

        CALL = "call"
        RERATE = "rerate"

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
    person = models.UUIDField(null=True, help_text="Whose personal key or access token the call was made by.")
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
    cache_write_1h_tokens = models.PositiveBigIntegerField(default=0, db_default=0, help_text="Of the cache writes, those for an hour.")
    audio_input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    reasoning_tokens = models.PositiveBigIntegerField(default=0)
    audio_output_tokens = models.PositiveBigIntegerField(default=0)
    web_searches = models.PositiveBigIntegerField(default=0, db_default=0, help_text="Searches of the web that the vendor made and told.")
    price = models.UUIDField(null=True)
    cost_nanousd = models.BigIntegerField(default=0)
    quote_nanousd = models.PositiveBigIntegerField(default=0)
    attempts = models.JSONField(default=list)
    end_user = models.CharField(max_length=200, blank=True)
    session = models.CharField(max_length=200, blank=True)
    tags = models.CharField(max_length=500, blank=True)
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=200, blank=True)
    client_request_id = models.CharField(max_length=200, blank=True)
    worker = models.CharField(max_length=64, blank=True)
    windows = models.TextField(blank=True)
    posting = models.BigIntegerField(null=True, blank=True)
    is_demo = models.BooleanField(default=False)
    recorded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-started_at",)
        constraints = (
            models.UniqueConstraint("call_id", "kind", name="usage_once_per_call_and_kind"),
            models.CheckConstraint(condition=Q(outcome__in=["ok", "refused", "failed", "aborted", "unknown"]), name="usage_outcome_known"),
            models.CheckConstraint(condition=Q(usage_source__in=["provider", "counted", "estimated", "none"]), name="usage_source_known"),
            models.CheckConstraint(condition=Q(cost_nanousd__gte=0) | ~Q(kind="call"), name="usage_cost_of_a_call_not_negative"),
            models.CheckConstraint(condition=Q(cached_tokens__lte=F("input_tokens")), name="usage_cached_within_input"),
            models.CheckConstraint(condition=Q(reasoning_tokens__lte=F("output_tokens")), name="usage_reasoning_within_output"),
        )
        indexes = (
            models.Index(fields=("key", "-started_at"), name="usage_by_key"),
            models.Index(fields=("project", "-started_at"), name="usage_by_project"),
            models.Index(fields=("posting",), name="usage_by_posting", condition=Q(posting__isnull=False)),
            models.Index(fields=("end_user", "-started_at"), name="usage_by_end_user", condition=~Q(end_user="")),
            models.Index(fields=("-started_at",), name="usage_of_demo", condition=Q(is_demo=True)),
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
