"""Responses that calls may go on from, each its project's alone, and for how long a project's are stored."""

import uuid

from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import Q

from accounts.models import Project

MOST_DAYS = 3_650


class StoredResponse(models.Model):
    """An answer kept here, sealed with what led to it and bound to its project; or the note that a vendor stores it (`account`) for this project."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    response_id = models.CharField(max_length=200)
    account = models.CharField(max_length=31, blank=True)
    earlier = models.JSONField(default=list, blank=True)
    sealed = models.BinaryField(default=b"", blank=True)
    tokens = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint("project", "response_id", name="stored_response_once"),
            models.CheckConstraint(condition=Q(account="") | Q(sealed=b""), name="stored_response_in_one_place"),
            models.CheckConstraint(condition=~Q(response_id=""), name="stored_response_named"),
        )
        indexes = (models.Index(fields=["project", "created_at"], name="stored_response_age"),)

    def __str__(self) -> str:
        return self.response_id


class StoredItem(models.Model):
    """An item of a stored response, to be found by its own id."""

    response = models.ForeignKey(StoredResponse, on_delete=models.CASCADE, related_name="items")
    item_id = models.CharField(max_length=200, db_index=True)

    class Meta:
        constraints = (models.UniqueConstraint("response", "item_id", name="stored_item_once"),)

    def __str__(self) -> str:
        return self.item_id


class ResponseRetention(models.Model):
    """For how many days a project's responses are stored; 0 for not at all. Projects without a row have the installation's own."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE, primary_key=True, related_name="+")
    days = models.PositiveSmallIntegerField(validators=[MaxValueValidator(MOST_DAYS)])

    class Meta:
        constraints = (models.CheckConstraint(condition=Q(days__lte=MOST_DAYS), name="response_retention_sane"),)

    def __str__(self) -> str:
        return f"{self.project}: {self.days} days"
