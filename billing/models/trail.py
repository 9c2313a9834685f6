"""Who changed what binds spending: budgets, limits and credit accounts. The database refuses to change a row."""

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models


class BudgetChange(models.Model):
    """One change: `before` and `after` hold the fields that differ, amounts in the row's unit; `subject` is the id of the API."""

    class Kind(models.TextChoices):
        """What was done."""

        CREATED = "created"
        CHANGED = "changed"
        FROZEN = "frozen"
        UNFROZEN = "unfrozen"
        ARCHIVED = "archived"
        DELETED = "deleted"

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(auto_now_add=True)
    subject = models.CharField(max_length=16, db_index=True)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    before = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    after = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.subject} {self.kind}"
