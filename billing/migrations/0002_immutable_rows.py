"""The database itself refuses to change a price or a usage row."""

from typing import Any

from django.db import migrations

TABLES = ("billing_price", "billing_usagerecord")


def forbid(apps: Any, schema_editor: Any) -> None:
    """Create the triggers."""
    vendor = schema_editor.connection.vendor
    if vendor == "postgresql":
        schema_editor.execute(
            "CREATE OR REPLACE FUNCTION billing_row_is_final() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'A % row never changes; add a new one.', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$",
            params=None,
        )
    for table in TABLES:
        if vendor == "postgresql":
            schema_editor.execute(
                f"CREATE TRIGGER {table}_final BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION billing_row_is_final()"
            )
        elif vendor == "sqlite":
            schema_editor.execute(
                f"CREATE TRIGGER {table}_final BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, 'A {table} row never changes; add a new one.'); END"
            )


def allow(apps: Any, schema_editor: Any) -> None:
    """Drop the triggers."""
    vendor = schema_editor.connection.vendor
    for table in TABLES:
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_final" + (f" ON {table}" if vendor == "postgresql" else ""))
    if vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION IF EXISTS billing_row_is_final()")


class Migration(migrations.Migration):
    """Triggers on prices and usage."""

    dependencies = (("billing", "0001_initial"),)
    operations = (migrations.RunPython(forbid, allow),)
