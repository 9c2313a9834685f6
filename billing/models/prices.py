"""What models cost, from when on."""

import uuid

from django.db import models
from django.db.models import Q


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
