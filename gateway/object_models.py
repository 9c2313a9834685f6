"""What projects have at vendors: whose an object is that all who share a provider account's credential could reach."""

from django.db import models
from django.db.models import Q

from accounts.models import Project


class VendorObject(models.Model):
    """An object at a provider account (a file, a batch, a vector store), and the project it belongs to.

    `account` is the account's slug, `key` the public id of the key it was made with, `seen` the vendor's JSON about it as it was told last.
    """

    id = models.BigAutoField(primary_key=True)
    account = models.CharField(max_length=31)
    kind = models.CharField(max_length=32)
    object_id = models.CharField(max_length=200)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=16)
    seen = models.BinaryField(default=b"", blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="When the vendor deletes it.")

    class Meta:
        constraints = (
            models.UniqueConstraint("account", "object_id", name="vendor_object_once"),
            models.CheckConstraint(condition=~Q(object_id="") & ~Q(kind="") & ~Q(account=""), name="vendor_object_named"),
        )
        indexes = (
            models.Index(fields=("project", "kind", "-id"), name="vendor_object_listing"),
            models.Index(fields=("expires_at",), name="vendor_object_end", condition=Q(expires_at__isnull=False)),
        )

    def __str__(self) -> str:
        return f"{self.object_id} at {self.account}"
