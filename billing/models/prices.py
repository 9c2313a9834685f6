"""What models cost, from when on, and who decided so."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q


class Price(models.Model):
    """Rates per million tokens in nano-USD, valid from a moment on. A price never changes; a change is a new price.

    What a person entered holds only once another has approved it. `modes` are rates of service tiers: `[{"name", "rates", "tiers"}]`.
    """

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
    cache_write_1h_nanousd = models.PositiveBigIntegerField("cache write for an hour", null=True, blank=True)
    audio_input_nanousd = models.PositiveBigIntegerField("audio input", null=True, blank=True)
    audio_output_nanousd = models.PositiveBigIntegerField("audio output", null=True, blank=True)
    reasoning_nanousd = models.PositiveBigIntegerField("reasoning", null=True, blank=True)
    web_search_nanousd = models.PositiveBigIntegerField("web search, nano-USD per million searches", null=True, blank=True)
    request_nanousd = models.PositiveBigIntegerField("per request, nano-USD", default=0)
    tiers = models.JSONField(default=list, blank=True)
    modes = models.JSONField(default=list, blank=True)
    source = models.CharField(max_length=16, choices=Source.choices, default=Source.ENTERED)
    source_version = models.CharField(max_length=32, blank=True)
    entered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, editable=False, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("provider", "upstream_model", "-valid_from")
        constraints = (
            models.UniqueConstraint(
                "provider", "upstream_model", "valid_from", "source", condition=Q(entered_by=None) & ~Q(source="entered"), name="price_once_per_moment"
            ),
            models.CheckConstraint(condition=~Q(upstream_model="") & ~Q(provider=""), name="price_named"),
        )

    def __str__(self) -> str:
        return f"{self.provider}/{self.upstream_model} from {self.valid_from:%Y-%m-%d}"


class PriceDecision(models.Model):
    """What a person decided about a price: approved or rejected, once, and withdrawn, once. Never changed."""

    class Decision(models.TextChoices):
        """What was decided."""

        APPROVED = "approved"
        REJECTED = "rejected"
        WITHDRAWN = "withdrawn"

    id = models.BigAutoField(primary_key=True)
    price = models.ForeignKey(Price, on_delete=models.PROTECT, related_name="decisions")
    decision = models.CharField(max_length=9, choices=Decision.choices)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(auto_now_add=True)
    reason = models.CharField(max_length=500)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.CheckConstraint(condition=Q(decision__in=["approved", "rejected", "withdrawn"]), name="price_decision_known"),
            models.CheckConstraint(condition=~Q(reason=""), name="price_decision_has_reason"),
            models.UniqueConstraint("price", condition=Q(decision__in=["approved", "rejected"]), name="price_decided_once"),
            models.UniqueConstraint("price", condition=Q(decision="withdrawn"), name="price_withdrawn_once"),
        )

    def __str__(self) -> str:
        return f"{self.price}: {self.decision}"
