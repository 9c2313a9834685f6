"""Files made in the background for whoever asked: what was asked, how far it is, and the file in parts until it is deleted."""

import uuid
from datetime import timedelta

from django.db import models
from django.db.models import Q

from accounts.models import ServiceAccount, User

KEPT = timedelta(days=7)


class Export(models.Model):
    """One file. It holds what its asker may see when it is made; `attempts` counts claims and tells one claim from the next."""

    class State(models.TextChoices):
        """Where it stands."""

        WAITING = "waiting"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=32)
    format = models.CharField(max_length=8)
    first_day = models.DateField()
    last_day = models.DateField()
    project = models.UUIDField(null=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="+")
    service_account = models.ForeignKey(ServiceAccount, on_delete=models.CASCADE, null=True, related_name="+")
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_until = models.DateTimeField(null=True)
    rows = models.PositiveBigIntegerField(default=0)
    size_bytes = models.PositiveBigIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-created_at",)
        constraints = (
            models.CheckConstraint(condition=Q(state__in=["waiting", "running", "done", "failed"]), name="export_state_known"),
            models.CheckConstraint(condition=Q(user__isnull=True) | Q(service_account__isnull=True), name="export_one_asker"),
            models.CheckConstraint(condition=Q(user__isnull=False) | Q(service_account__isnull=False), name="export_has_asker"),
            models.CheckConstraint(condition=~Q(state="running") | Q(claimed_until__isnull=False), name="export_claim_has_an_end"),
            models.CheckConstraint(condition=Q(last_day__gte=models.F("first_day")), name="export_days_in_order"),
        )
        indexes = (models.Index(fields=("created_at",), name="export_open", condition=Q(state__in=["waiting", "running"])),)

    def __str__(self) -> str:
        return f"{self.kind} {self.first_day} to {self.last_day}"


class ExportPart(models.Model):
    """A piece of a file."""

    id = models.BigAutoField(primary_key=True)
    export = models.ForeignKey(Export, on_delete=models.CASCADE, related_name="parts")
    position = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        ordering = ("position",)
        constraints = (models.UniqueConstraint("export", "position", name="export_part_once"),)

    def __str__(self) -> str:
        return f"{self.export} {self.position}"
