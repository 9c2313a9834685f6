"""Calls priced anew: rows of the same call whose cost is a difference."""

from typing import Any

from django.db import migrations, models

TABLE = "billing_usagerecord"


def restore_trigger(apps: Any, schema_editor: Any) -> None:
    """Give SQLite's table its trigger back: SQLite changes a table by making it anew, without its triggers."""
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute(
            f"CREATE TRIGGER IF NOT EXISTS {TABLE}_final BEFORE UPDATE ON {TABLE} BEGIN SELECT RAISE(ABORT, 'A {TABLE} row never changes; add a new one.'); END"
        )


class Migration(migrations.Migration):
    """A signed cost."""

    dependencies = (("billing", "0012_four_eyes_on_prices"),)
    operations = (
        migrations.AlterField(
            model_name="usagerecord",
            name="cost_nanousd",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AlterField(
            model_name="usagerecord",
            name="kind",
            field=models.CharField(choices=[("call", "Call"), ("rerate", "Rerate")], default="call", max_length=16),
        ),
        migrations.AddConstraint(
            model_name="usagerecord",
            constraint=models.CheckConstraint(
                condition=models.Q(("cost_nanousd__gte", 0), models.Q(("kind", "call"), _negated=True), _connector="OR"),
                name="usage_cost_of_a_call_not_negative",
            ),
        ),
        migrations.RunPython(restore_trigger, restore_trigger),
    )
