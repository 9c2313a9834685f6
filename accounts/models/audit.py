"""The audit trail: events that never change, chained one to the next, and the end of the chain."""

from django.db import models
from django.db.models import Q


class AuditEvent(models.Model):
    """One act on one object. Everything but `texts` is sealed by `hash`; each text is sealed by its commitment and may be erased."""

    class Outcome(models.TextChoices):
        """Whether the act was done."""

        DONE = "done"
        REFUSED = "refused"

    seq = models.PositiveBigIntegerField("number", primary_key=True)
    id = models.UUIDField(unique=True, editable=False)
    at = models.DateTimeField(db_index=True)
    transaction = models.UUIDField(help_text="The same for all events of one act.")
    action = models.CharField(max_length=80)
    outcome = models.CharField(max_length=8, choices=Outcome.choices)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.CharField("actor", max_length=48, blank=True)
    on_behalf_of = models.CharField(max_length=48, blank=True)
    face = models.CharField("through", max_length=16)
    object_kind = models.CharField(max_length=40, blank=True)
    object_id = models.CharField("object", max_length=48, blank=True)
    business_unit = models.UUIDField(null=True)
    project = models.UUIDField(null=True)
    request_id = models.CharField(max_length=64, blank=True)
    commitments = models.JSONField(default=dict)
    texts = models.JSONField(default=dict)
    key_id = models.CharField(max_length=16)
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ("-seq",)
        constraints = (models.CheckConstraint(condition=Q(outcome__in=["done", "refused"]), name="audit_outcome_known"),)
        indexes = (
            models.Index(fields=("object_id", "-seq"), name="audit_by_object", condition=~Q(object_id="")),
            models.Index(fields=("actor_id", "-seq"), name="audit_by_actor", condition=~Q(actor_id="")),
            models.Index(fields=("action", "-seq"), name="audit_by_action"),
        )

    def __str__(self) -> str:
        return f"{self.seq} {self.action} {self.object_id}"


class AuditHead(models.Model):
    """The end of the chain; whoever appends holds this one row."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    seq = models.PositiveBigIntegerField(default=0)
    hash = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = (models.CheckConstraint(condition=Q(id=1), name="audit_head_once"),)

    def __str__(self) -> str:
        return str(self.seq)


class AuditAnchor(models.Model):
    """How far one anchor outside the database has come; `id` is made of its URL, which may hold a secret and is not kept."""

    id = models.CharField(max_length=32, primary_key=True)
    name = models.CharField(max_length=200)
    seq = models.PositiveBigIntegerField(default=0)
    kept_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True)
    failing_since = models.DateTimeField(null=True)

    class Meta:
        ordering = ("name",)
        verbose_name = "audit anchor"

    def __str__(self) -> str:
        return self.name
