"""What projects have at vendors: whose an object is that all who share a provider account's credential could reach, and batches with what they may cost."""

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


class Batch(models.Model):
    """Calls made at once, held for until they are settled by what the vendor says became of them. Its id is that of the call that began it.

    `object_id` is the vendor's name for it, "" until the vendor has taken it, `input_id` the file it is made of, "" where it is made of none. `tickets` and
    `items` say how each request is billed (`gateway.plane.batch`). What it holds are the leases of the worker `batch:<id>`.
    """

    class State(models.TextChoices):
        """Being held for, at the vendor, settled, or not known to have been taken by the vendor."""

        OPENING = "opening"
        OPEN = "open"
        SETTLED = "settled"
        LOST = "lost"

    id = models.CharField(max_length=40, primary_key=True)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+")
    account = models.CharField(max_length=31)
    resource = models.CharField(max_length=32)
    input_id = models.CharField(max_length=200, blank=True)
    object_id = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.OPENING)
    tickets = models.BinaryField()
    items = models.BinaryField()
    quote_nanousd = models.PositiveBigIntegerField(default=0)
    problem = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField()
    next_look_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "batches"
        constraints = (
            models.UniqueConstraint("account", "object_id", condition=~Q(object_id=""), name="batch_once"),
            models.CheckConstraint(condition=Q(state__in=["opening", "open", "settled", "lost"]), name="batch_state_known"),
        )
        indexes = (
            models.Index(fields=("next_look_at",), name="batch_to_look_at", condition=Q(state__in=["opening", "open"])),
            models.Index(fields=("project",), name="batch_unsettled", condition=Q(state__in=["opening", "open", "lost"])),
        )

    def __str__(self) -> str:
        return self.id
