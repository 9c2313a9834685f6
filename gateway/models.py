"""What is governed: provider accounts, catalogue models, deployments, and the revision every change bumps. No prices, no people."""

import uuid
from datetime import date

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower

from accounts.models import DataClass, User
from billing.models import Price
from gateway.object_models import Batch, VendorObject
from gateway.stored_models import ResponseRetention, StoredItem, StoredResponse

__all__ = [
    "Batch", "Change", "Deployment", "Model", "ProviderAccount", "ResponseRetention", "Revision", "State", "StoredItem", "StoredResponse",
    "VendorObject", "Verification",
]  # fmt: skip

ACCOUNT_SLUG = RegexValidator(r"\A[a-z][a-z0-9-]{1,30}\Z", "Use 2 to 31 lower-case letters, digits and hyphens, starting with a letter.")
MODEL_NAME = RegexValidator(r"\A[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}\Z", "Use letters, digits and . _ : / @ + - only, at most 200 characters.")


CAPABILITIES = ("tools", "parallel_tools", "json_schema", "reasoning", "vision", "documents", "audio_input", "caching")


def check_capabilities(value: object) -> None:
    """Raise ValidationError unless this is a list of words we know, each once."""
    if not isinstance(value, list) or len(set(map(str, value))) != len(value) or not set(value) <= set(CAPABILITIES):
        raise ValidationError(f"Give a list of: {', '.join(CAPABILITIES)}.")


class State(models.TextChoices):
    """Draining takes no new calls and lets running ones end."""

    ACTIVE = "active"
    DRAINING = "draining"
    DISABLED = "disabled"


class ProviderAccount(models.Model):
    """One credential and base URL at a provider. The credential is sealed, bound to this row, and never shown."""

    class Transport(models.TextChoices):
        """`own` is the fast client; `httpx` for HTTP/2, egress proxies and odd TLS."""

        OWN = "own"
        HTTPX = "httpx"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.CharField(max_length=31, unique=True, validators=[ACCOUNT_SLUG])
    name = models.CharField(max_length=200)
    provider = models.CharField(max_length=64)
    base_url = models.URLField(max_length=500)
    sealed_credential = models.BinaryField(default=b"", blank=True, editable=False)
    credential_hint = models.CharField(max_length=16, blank=True, editable=False)
    options = models.JSONField(default=dict, blank=True)
    state = models.CharField(max_length=16, choices=State.choices, default=State.ACTIVE)
    transport = models.CharField(max_length=8, choices=Transport.choices, default=Transport.OWN)
    ca_pem = models.TextField("custom CA (PEM)", blank=True)
    connect_timeout_ms = models.PositiveIntegerField(default=5_000, validators=[MinValueValidator(10), MaxValueValidator(60_000)])
    first_byte_timeout_ms = models.PositiveIntegerField(default=60_000, validators=[MinValueValidator(10), MaxValueValidator(3_600_000)])
    idle_timeout_ms = models.PositiveIntegerField(default=60_000, validators=[MinValueValidator(10), MaxValueValidator(3_600_000)])
    total_timeout_ms = models.PositiveIntegerField(default=600_000, validators=[MinValueValidator(10), MaxValueValidator(86_400_000)])
    max_parallel = models.PositiveIntegerField(default=0, help_text="Calls in flight per worker; 0 for no limit.")
    allow_unknown_endpoints = models.BooleanField(default=False, help_text="Pass endpoints the gateway cannot meter; they are recorded as unpriced.")
    is_demo = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    check_result = models.CharField(max_length=300, blank=True, editable=False)
    # what the vendor's listing held when it was last followed; None before the first time
    listed_models = models.JSONField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("slug",)
        constraints = (
            models.CheckConstraint(condition=Q(state__in=["active", "draining", "disabled"]), name="account_state_known"),
            models.CheckConstraint(condition=Q(base_url__startswith="https://") | Q(base_url__startswith="http://"), name="account_http_only"),
            models.CheckConstraint(condition=Q(total_timeout_ms__gte=10), name="account_deadline_positive"),
        )

    def __str__(self) -> str:
        return self.slug


class Verification(models.Model):
    """What somebody checked about a provider account before it may be relied on, and when it has to be looked at again; dates are UTC."""

    class TrainingUse(models.TextChoices):
        """Whether the vendor may train on what is sent there."""

        NEVER = "never", "never, by the agreement"
        OPTED_OUT = "opted_out", "opted out"
        ALLOWED = "allowed", "allowed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.OneToOneField(ProviderAccount, on_delete=models.CASCADE, related_name="verification")
    agreement = models.CharField(max_length=300, help_text="The contract or data processing agreement: its name, number or date.")
    region = models.CharField(max_length=64, help_text="Where the vendor processes what is sent, such as EU or us-east-1.")
    training_use = models.CharField("use for training", max_length=16, choices=TrainingUse.choices)
    verified_on = models.DateField()
    verified_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    review_on = models.DateField("to be reviewed on")

    class Meta:
        constraints = (
            models.CheckConstraint(condition=~Q(agreement="") & ~Q(region=""), name="verification_says_what"),
            models.CheckConstraint(condition=Q(training_use__in=["never", "opted_out", "allowed"]), name="verification_training_use_known"),
            models.CheckConstraint(condition=Q(review_on__gt=F("verified_on")), name="verification_ends"),
        )

    def __str__(self) -> str:
        return f"Verification of {self.account}"

    def days_left(self, today: date) -> int:
        """Return the days until it has to be reviewed; 0 or less when that is due."""
        return (self.review_on - today).days


class Model(models.Model):
    """A catalogue entry: the public name callers use."""

    class Kind(models.TextChoices):
        """Which endpoints serve it."""

        CHAT = "chat"
        EMBEDDINGS = "embeddings"
        MODERATION = "moderation"
        IMAGE = "image", "images"
        SPEECH = "speech", "speech (text to sound)"
        TRANSCRIPTION = "transcription", "transcription (sound to text)"
        RERANK = "rerank", "reranking"
        REALTIME = "realtime", "realtime (sessions of speech)"

    class Lifecycle(models.TextChoices):
        """Requested models wait for approval and are not served; deprecated ones are, until they retire."""

        REQUESTED = "requested"
        APPROVED = "approved"
        DEPRECATED = "deprecated"
        RETIRED = "retired"

    class UnknownPrice(models.TextChoices):
        """What happens to a call whose price is not known."""

        REFUSE = "refuse"
        ASSUME = "assume", "assume a price"
        FREE = "free", "free (self-hosted)"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200, unique=True, validators=[MODEL_NAME])
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.CHAT)
    owned_by = models.CharField(max_length=100, blank=True)
    description = models.TextField(blank=True)
    is_active = models.BooleanField(default=True)
    lifecycle = models.CharField(max_length=12, choices=Lifecycle.choices, default=Lifecycle.APPROVED)
    deprecated_at = models.DateTimeField("deprecated since", null=True, blank=True)
    retires_at = models.DateTimeField("retires on", null=True, blank=True, help_text="From then on it is served no more.")
    successor = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    data_class = models.CharField(
        "cleared for data up to", max_length=12, choices=DataClass.choices, default=DataClass.INTERNAL, help_text="Projects with closer kept data are refused."
    )
    context_tokens = models.PositiveIntegerField("context, tokens", null=True, blank=True)
    max_output_tokens = models.PositiveIntegerField("longest answer, tokens", null=True, blank=True)
    capabilities = models.JSONField(default=list, blank=True, validators=[check_capabilities], help_text="What it can do, of: " + ", ".join(CAPABILITIES) + ".")
    unknown_price = models.CharField(max_length=16, choices=UnknownPrice.choices, default=UnknownPrice.REFUSE)
    assumed_price = models.ForeignKey(
        Price,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        help_text="Billed, and flagged as assumed, where no price is known and the policy is to assume one.",
        related_name="+",
    )
    is_demo = models.BooleanField(default=False, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(Lower("name"), name="model_name_once"),
            models.CheckConstraint(
                condition=Q(kind__in=["chat", "embeddings", "moderation", "image", "speech", "transcription", "rerank", "realtime"]), name="model_kind_known"
            ),
            models.CheckConstraint(condition=Q(unknown_price__in=["refuse", "assume", "free"]), name="model_unknown_price_known"),
            models.CheckConstraint(condition=Q(lifecycle__in=["requested", "approved", "deprecated", "retired"]), name="model_lifecycle_known"),
            models.CheckConstraint(condition=Q(data_class__in=DataClass.values), name="model_data_class_known"),
            models.CheckConstraint(
                condition=~Q(lifecycle="deprecated") | Q(deprecated_at__isnull=False, retires_at__isnull=False),
                name="model_deprecated_with_dates",
                violation_error_message="Say since when it is deprecated and when it retires.",
            ),
            models.CheckConstraint(
                condition=Q(retires_at__isnull=True) | Q(deprecated_at__isnull=True) | Q(retires_at__gte=models.F("deprecated_at")),
                name="model_retires_after_deprecation",
                violation_error_message="It cannot retire before it is deprecated.",
            ),
            models.CheckConstraint(
                condition=~Q(unknown_price="assume") | Q(assumed_price__isnull=False),
                name="model_assumes_a_price",
                violation_error_message="Choose the price to assume.",
            ),
        )

    def __str__(self) -> str:
        return self.name


class ModelAlias(models.Model):
    """A further name of a catalogue model, such as one that always means the newest version."""

    name = models.CharField(max_length=200, unique=True, validators=[MODEL_NAME])
    model = models.ForeignKey(Model, on_delete=models.CASCADE, related_name="aliases")

    class Meta:
        ordering = ("name",)
        verbose_name_plural = "model aliases"
        constraints = (models.UniqueConstraint(Lower("name"), name="model_alias_once"),)

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse the name of a model: that one is asked for under it."""
        if Model.objects.filter(name__iexact=self.name).exists():
            raise ValidationError({"name": "A model of the catalogue has this name."})


class Deployment(models.Model):
    """A model served by one provider account under an upstream name."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    model = models.ForeignKey(Model, on_delete=models.CASCADE, related_name="deployments")
    account = models.ForeignKey(ProviderAccount, on_delete=models.PROTECT, related_name="deployments")
    upstream_model = models.CharField(max_length=200)
    order = models.PositiveSmallIntegerField(default=0, help_text="Lower is tried first.")
    weight = models.PositiveSmallIntegerField(
        default=100, validators=[MinValueValidator(1), MaxValueValidator(1000)], help_text="Share among deployments of the same order."
    )
    region = models.CharField(max_length=64, blank=True)
    max_parallel = models.PositiveIntegerField(default=0, help_text="Calls in flight per worker; 0 for no limit.")
    state = models.CharField(max_length=16, choices=State.choices, default=State.ACTIVE)
    price = models.ForeignKey(Price, on_delete=models.PROTECT, null=True, blank=True, help_text="Overrides the price book.", related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("model", "order", "-weight")
        constraints = (
            models.UniqueConstraint("model", "account", "upstream_model", name="deployment_once"),
            models.CheckConstraint(condition=Q(weight__gte=1, weight__lte=1000), name="deployment_weight_in_range"),
            models.CheckConstraint(condition=Q(state__in=["active", "draining", "disabled"]), name="deployment_state_known"),
            models.CheckConstraint(condition=~Q(upstream_model=""), name="deployment_upstream_named"),
        )

    def __str__(self) -> str:
        return f"{self.model} at {self.account}"


class Revision(models.Model):
    """The one row whose number every configuration change raises, under a row lock, so that numbers commit in order."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    number = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = (models.CheckConstraint(condition=Q(id=1), name="revision_single_row"),)

    def __str__(self) -> str:
        return str(self.number)


class Change(models.Model):
    """What a revision changed: a virtual key or a person (loaded by delta) or the structure (compiled whole)."""

    class Kind(models.TextChoices):
        """Kinds of change."""

        KEY = "key"
        PERSON = "person"
        STRUCTURE = "structure"

    number = models.PositiveBigIntegerField(primary_key=True)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    object_id = models.UUIDField(null=True)
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.number} {self.kind}"
