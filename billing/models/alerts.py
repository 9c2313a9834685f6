"""What was noticed about money, once each, and how far the looking has come. Knows no channels."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from accounts.models import BusinessUnit, Project, Severity
from billing.models.budgets import Window


class AlertEvent(models.Model):
    """Something worth telling. One for each kind, subject, window and threshold, whoever looks however often.

    `subject` is what it is about (`bud_…`, `crd_…`, a project and a model); `window` the span of time; `threshold` a percentage, an amount in
    nano-USD or a number of days, as the kind says. The scope says whom it concerns; without one it is the whole platform.
    """

    class Kind(models.TextChoices):
        """The rule that noticed it."""

        BUDGET = "budget", "budget threshold"
        OVERRUN = "overrun", "used beyond a hold"
        FORECAST = "forecast", "forecast above budget"
        ANOMALY = "anomaly", "unusual spend"
        CREDIT_LOW = "credit_low", "credit low"
        CREDIT_EXPIRING = "credit_expiring", "credit expiring"
        UNPRICED = "unpriced", "price unknown"

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=16, choices=Kind.choices)
    subject = models.CharField(max_length=300)
    window = models.CharField(max_length=120)
    threshold = models.PositiveBigIntegerField(default=0)
    severity = models.CharField(max_length=8, choices=Severity.choices)
    title = models.CharField(max_length=200)
    text = models.TextField()
    facts = models.JSONField(default=dict, blank=True)
    project = models.ForeignKey(Project, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    business_unit = models.ForeignKey(BusinessUnit, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    at = models.DateTimeField(auto_now_add=True, db_index=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        ordering = ("-at", "-id")
        constraints = (
            models.UniqueConstraint("kind", "subject", "window", "threshold", name="alert_once"),
            models.CheckConstraint(condition=Q(severity__in=["info", "warning", "critical"]), name="alert_severity_known"),
            models.CheckConstraint(condition=Q(acknowledged_at__isnull=True) | Q(acknowledged_by__isnull=False), name="alert_acknowledged_by_somebody"),
        )

    def __str__(self) -> str:
        return self.title


class WindowWatch(models.Model):
    """What the last look at a window saw: the next amount of spend that alerts (none left: null), and the base it was reckoned from."""

    window = models.OneToOneField(Window, on_delete=models.CASCADE, primary_key=True, related_name="watch")
    base = models.PositiveBigIntegerField()
    next_spent = models.PositiveBigIntegerField(null=True)
    has_told_overrun = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.window_id


class AlertPosition(models.Model):
    """How far usage records have been looked through: up to and with `seen`; each look begins one look earlier, at `before`."""

    name = models.CharField(max_length=32, primary_key=True)
    seen = models.PositiveBigIntegerField(default=0)
    before = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} @ {self.seen}"
