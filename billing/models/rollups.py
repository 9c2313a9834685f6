"""Usage added up by hour and by day: small facts that point to what they are about, so that reports never read single calls."""

from django.db import models

MEASURES = (
    "calls",
    "errors",
    "input_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "audio_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_output_tokens",
    "cache_write_1h_tokens",
    "web_searches",
    "cost_nanousd",
    "cache_saving_nanousd",
    "duration_ms",
    "first_byte_ms",
    "gateway_us",
)
# In this order they make a series' digest.
FACTS = ("business_unit", "project", "key", "model", "deployment", "account", "provider", "upstream_model", "is_demo")


class Measures(models.Model):
    """What is added up. Corrections count as cost only and may be negative; `errors` are calls refused, failed or of unknown outcome."""

    calls = models.BigIntegerField(default=0)
    errors = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    cached_tokens = models.BigIntegerField(default=0)
    cache_write_tokens = models.BigIntegerField(default=0)
    audio_input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    reasoning_tokens = models.BigIntegerField(default=0)
    audio_output_tokens = models.BigIntegerField(default=0)
    cache_write_1h_tokens = models.BigIntegerField(default=0, db_default=0)
    web_searches = models.BigIntegerField(default=0, db_default=0)
    cost_nanousd = models.BigIntegerField(default=0)
    cache_saving_nanousd = models.BigIntegerField("saved by cached input", default=0)
    duration_ms = models.BigIntegerField(default=0)
    first_byte_ms = models.BigIntegerField(default=0)
    gateway_us = models.BigIntegerField(default=0)

    class Meta:
        abstract = True


class Series(models.Model):
    """One combination of facts that calls have had. Names are facts of the calls, not references; `digest` makes it one row."""

    id = models.BigAutoField(primary_key=True)
    digest = models.CharField(max_length=64, unique=True)
    business_unit = models.UUIDField(null=True)
    project = models.UUIDField(null=True, db_index=True)
    key = models.CharField(max_length=16)
    model = models.CharField(max_length=200)
    deployment = models.CharField(max_length=255, blank=True)
    account = models.CharField(max_length=31, blank=True)
    provider = models.CharField(max_length=64, blank=True)
    upstream_model = models.CharField(max_length=200, blank=True)
    is_demo = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural = "series"

    def __str__(self) -> str:
        return f"{self.key} {self.model} {self.deployment}"


class HourRollup(Measures):
    """A series in one hour (UTC)."""

    id = models.BigAutoField(primary_key=True)
    hour = models.DateTimeField()
    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="hours")

    class Meta:
        constraints = (models.UniqueConstraint("hour", "series", name="hour_rollup_once"),)

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%dT%H} {self.series_id}"


class DayRollup(Measures):
    """A series on one day (UTC)."""

    id = models.BigAutoField(primary_key=True)
    day = models.DateField()
    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="days")

    class Meta:
        verbose_name = "spend"
        verbose_name_plural = "spend"
        constraints = (models.UniqueConstraint("day", "series", name="day_rollup_once"),)

    def __str__(self) -> str:
        return f"{self.day} {self.series_id}"


class LabelRollup(Measures):
    """What callers named, an end user or a tag, in one project on one day (UTC). A call with two tags counts under each."""

    class Kind(models.TextChoices):
        """What the label is."""

        END_USER = "end_user", "end user"
        TAG = "tag"

    id = models.BigAutoField(primary_key=True)
    day = models.DateField()
    kind = models.CharField(max_length=8, choices=Kind.choices)
    project = models.UUIDField()
    label = models.CharField(max_length=500)
    is_demo = models.BooleanField(default=False)

    class Meta:
        constraints = (models.UniqueConstraint("day", "kind", "project", "label", "is_demo", name="label_rollup_once"),)

    def __str__(self) -> str:
        return f"{self.day} {self.kind} {self.label}"


class RollupPosition(models.Model):
    """The one row that says up to which usage row everything is added up; whoever adds locks it."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    last_usage = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return str(self.last_usage)
