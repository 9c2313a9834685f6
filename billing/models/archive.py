"""Which months of usage records were archived, in which files, and what they add up to: sums stay when rows go."""

from django.db import models


class ArchivedMonth(models.Model):
    """One month's archive. From `sealed` on the database refuses new calls of that month, except while it is `open`."""

    class State(models.TextChoices):
        """How far it is: every step can be repeated, so that an interrupted run goes on."""

        SEALED = "sealed", "being written"
        VERIFIED = "verified", "written and read back"
        ARCHIVED = "archived", "rows removed"
        RESTORING = "restoring", "being restored"
        RESTORED = "restored", "rows back, unchanging"
        OPEN = "open", "rows back, taking late calls"

    month = models.CharField(max_length=7, primary_key=True)
    state = models.CharField(max_length=9, choices=State.choices, default=State.SEALED)
    location = models.CharField(max_length=500)
    busy_until = models.DateTimeField()
    rows = models.PositiveBigIntegerField(default=0)
    cost_nanousd = models.BigIntegerField(default=0)
    input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    bytes = models.PositiveBigIntegerField(default=0)
    sealed_at = models.DateTimeField()
    verified_at = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True)
    restored_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-month",)

    def __str__(self) -> str:
        return f"{self.month} ({self.state})"


class ArchivedPart(models.Model):
    """One file of a month's archive, complete and stored when this row exists; `sha256` is of the compressed bytes."""

    id = models.BigAutoField(primary_key=True)
    month = models.ForeignKey(ArchivedMonth, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=200)
    last_id = models.CharField(max_length=40)
    last_kind = models.CharField(max_length=16)
    sha256 = models.CharField(max_length=64)
    bytes = models.PositiveBigIntegerField()
    rows = models.PositiveBigIntegerField()
    cost_nanousd = models.BigIntegerField()
    input_tokens = models.PositiveBigIntegerField()
    output_tokens = models.PositiveBigIntegerField()

    class Meta:
        ordering = ("number",)
        constraints = (models.UniqueConstraint("month", "number", name="archived_part_once"),)

    def __str__(self) -> str:
        return self.name


class ArchivedWindow(models.Model):
    """What a month's archived calls spent of one budget window, so that the ledger stays explained without their rows."""

    id = models.BigAutoField(primary_key=True)
    month = models.ForeignKey(ArchivedMonth, on_delete=models.CASCADE, related_name="windows")
    window = models.CharField(max_length=120)
    calls = models.PositiveBigIntegerField()
    cost_nanousd = models.BigIntegerField()
    tokens = models.PositiveBigIntegerField()

    class Meta:
        ordering = ("window",)
        constraints = (models.UniqueConstraint("month", "window", name="archived_window_once"),)

    def __str__(self) -> str:
        return f"{self.window} in {self.month_id}"
