"""The rules everybody who uses models accepts: versions of the text, and who accepted which."""

from django.db import models
from django.db.models import Q

from accounts.models.people import User


class UsePolicy(models.Model):
    """One version of the acceptable-use policy; a new text is a new version, and everybody is asked again."""

    version = models.PositiveIntegerField(primary_key=True)
    text = models.TextField(max_length=50_000)
    published_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+")
    published_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-version",)
        verbose_name = "acceptable-use policy"
        verbose_name_plural = "acceptable-use policies"
        constraints = (models.CheckConstraint(condition=~Q(text=""), name="use_policy_has_a_text"),)

    def __str__(self) -> str:
        return f"version {self.version}"


class Acceptance(models.Model):
    """That a person accepted a version of the policy."""

    id = models.BigAutoField(primary_key=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="acceptances")
    policy = models.ForeignKey(UsePolicy, on_delete=models.PROTECT, related_name="acceptances")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-at",)
        constraints = (models.UniqueConstraint("user", "policy", name="acceptance_once"),)

    def __str__(self) -> str:
        return f"{self.user} accepted {self.policy}"
