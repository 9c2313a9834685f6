"""Web searches: their rate, and how many they were. Rollups tell cache writes for an hour. Columns are added in place: tables keep their triggers."""

from typing import Any

from django.db import migrations, models

COUNT = models.PositiveBigIntegerField(db_default=0, default=0, help_text="Searches of the web that the vendor made and told.")
SUM = models.BigIntegerField(db_default=0, default=0)
ROLLUPS = ("HourRollup", "DayRollup", "LabelRollup")
ADDED = (("UsageRecord", "web_searches"), *((rollup, name) for rollup in ROLLUPS for name in ("cache_write_1h_tokens", "web_searches")))


def add(apps: Any, schema_editor: Any) -> None:
    """Add the columns in place."""
    for name, column in ADDED:
        model = apps.get_model("billing", name)
        if schema_editor.connection.vendor != "sqlite":
            schema_editor.add_field(model, model._meta.get_field(column))
            continue
        # Django makes a table of SQLite's anew for a column that cannot be null
        kind = f"bigint unsigned NOT NULL DEFAULT 0 CHECK ({column} >= 0)" if name == "UsageRecord" else "bigint NOT NULL DEFAULT 0"
        schema_editor.execute(f"ALTER TABLE {model._meta.db_table} ADD COLUMN {column} {kind}")


def remove(apps: Any, schema_editor: Any) -> None:
    """Take the columns away in place."""
    for name, column in ADDED:
        schema_editor.execute(f"ALTER TABLE {apps.get_model('billing', name)._meta.db_table} DROP COLUMN {column}")


class Migration(migrations.Migration):
    """A rate of prices, and numbers of usage rows and their sums."""

    dependencies = (("billing", "0017_hour_cache_writes"),)
    operations = (
        migrations.AddField(
            "price", "web_search_nanousd", models.PositiveBigIntegerField("web search, nano-USD per million searches", blank=True, null=True)
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[migrations.AddField(name.lower(), column, COUNT if name == "UsageRecord" else SUM) for name, column in ADDED]
        ),
        migrations.RunPython(add, remove),
    )
