"""The database itself refuses to change or delete a posting or an entry."""

from typing import Any

from django.db import migrations

TABLES = ("billing_posting", "billing_entry")


def forbid(apps: Any, schema_editor: Any) -> None:
    """Create the triggers."""
    vendor = schema_editor.connection.vendor
    if vendor == "postgresql":
        for table in TABLES:
            schema_editor.execute(
                f"CREATE TRIGGER {table}_final BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION billing_row_is_final()"
            )
    elif vendor == "sqlite":
        for event, table in ((event, table) for table in TABLES for event in ("UPDATE", "DELETE")):
            name = f"{table}_final" if event == "UPDATE" else f"{table}_kept"
            schema_editor.execute(
                f"CREATE TRIGGER IF NOT EXISTS {name} BEFORE {event} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'A {table} row never changes; add a new one.'); END"
            )


def allow(apps: Any, schema_editor: Any) -> None:
    """Drop the triggers on the ledger."""
    vendor = schema_editor.connection.vendor
    for table in TABLES:
        for name in (f"{table}_final", f"{table}_kept"):
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}" + (f" ON {table}" if vendor == "postgresql" else ""))


class Migration(migrations.Migration):
    """Triggers on the ledger."""

    dependencies = (("billing", "0007_archive"),)
    operations = (migrations.RunPython(forbid, allow),)
