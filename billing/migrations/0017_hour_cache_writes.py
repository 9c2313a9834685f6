"""Writes to a cache for an hour: their rate and how many they were. Usage rows are not written anew, which would take hours and their triggers."""

from typing import Any

from django.db import migrations, models

COLUMN = models.PositiveBigIntegerField(db_default=0, default=0, help_text="Of the cache writes, those for an hour.")


def add(apps: Any, schema_editor: Any) -> None:
    """Add the column in place."""
    record = apps.get_model("billing", "UsageRecord")
    if schema_editor.connection.vendor != "sqlite":
        schema_editor.add_field(record, record._meta.get_field("cache_write_1h_tokens"))
        return
    # Django makes a table of SQLite's anew for a column that cannot be null
    schema_editor.execute(
        f"ALTER TABLE {record._meta.db_table} ADD COLUMN cache_write_1h_tokens bigint unsigned NOT NULL DEFAULT 0 CHECK (cache_write_1h_tokens >= 0)"
    )


def remove(apps: Any, schema_editor: Any) -> None:
    """Take the column away in place."""
    schema_editor.execute(f"ALTER TABLE {apps.get_model('billing', 'UsageRecord')._meta.db_table} DROP COLUMN cache_write_1h_tokens")


class Migration(migrations.Migration):
    """A rate of prices, and a number of usage rows."""

    dependencies = (("billing", "0016_exports"),)
    operations = (
        migrations.AddField("price", "cache_write_1h_nanousd", models.PositiveBigIntegerField("cache write for an hour", blank=True, null=True)),
        migrations.SeparateDatabaseAndState(state_operations=[migrations.AddField("usagerecord", "cache_write_1h_tokens", COLUMN)]),
        migrations.RunPython(add, remove),
    )
