"""Calls by end user, and on Postgres a small index that says where in the table a rare or absent value cannot be."""

from typing import Any

from django.db import migrations, models

TABLE = "billing_usagerecord"
NAME = "usage_by_anything"
# Values that the 400 or so calls of 32 pages have; more make an index of 2 bytes a call useless, not wrong.
DISTINCT = {
    "model": 32, "upstream_model": 32, "provider": 16, "account": 32, "deployment": 32, "outcome": 16, "usage_source": 16, "business_unit": 32,
    "person": 100, "session": 300, "client_request_id": 500,
}  # fmt: skip
UUIDS = {"business_unit", "person"}


def make(apps: Any, schema_editor: Any) -> None:
    """Create the index on every partition; a question that names one of its columns then reads only the pages that may have it."""
    if schema_editor.connection.vendor != "postgresql":
        return
    columns = [f"{name} {'uuid' if name in UUIDS else 'text'}_bloom_ops(n_distinct_per_range = {distinct})" for name, distinct in DISTINCT.items()]
    schema_editor.execute(f"CREATE INDEX {NAME} ON {TABLE} USING brin (started_at, {', '.join(columns)}) WITH (pages_per_range = 32, autosummarize = on)")


def drop(apps: Any, schema_editor: Any) -> None:
    """Remove the index."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP INDEX {NAME}")


class Migration(migrations.Migration):
    """Indexes."""

    dependencies = (("billing", "0014_usage_by_person"),)
    operations = (
        migrations.AddIndex(
            model_name="usagerecord",
            index=models.Index(condition=models.Q(("end_user", ""), _negated=True), fields=["end_user", "-started_at"], name="usage_by_end_user"),
        ),
        migrations.AddIndex(
            model_name="usagerecord",
            index=models.Index(condition=models.Q(("is_demo", True)), fields=["-started_at"], name="usage_of_demo"),
        ),
        migrations.RunPython(make, drop),
    )
