"""The database itself refuses to change or delete an audit event; only its texts can be erased."""

from typing import Any

from django.db import migrations

TABLE = "accounts_auditevent"
COLUMNS = (
    "seq", "id", "at", "transaction", "action", "outcome", "actor_kind", "actor_id", "on_behalf_of", "face", "object_kind", "object_id",
    "business_unit", "project", "request_id", "commitments", "key_id", "previous", "hash",
)
SAID = "An audit event never changes."


def forbid(apps: Any, schema_editor: Any) -> None:
    """Create the triggers."""
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            "CREATE OR REPLACE FUNCTION audit_event_is_final() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{SAID}' USING ERRCODE = 'integrity_constraint_violation'; END $$",
            params=None,
        )
        schema_editor.execute(f"CREATE TRIGGER {TABLE}_final BEFORE UPDATE OF {names} ON {TABLE} FOR EACH ROW EXECUTE FUNCTION audit_event_is_final()")
        schema_editor.execute(f"CREATE TRIGGER {TABLE}_kept BEFORE DELETE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION audit_event_is_final()")
    elif schema_editor.connection.vendor == "sqlite":
        schema_editor.execute(f"CREATE TRIGGER {TABLE}_final BEFORE UPDATE OF {names} ON {TABLE} BEGIN SELECT RAISE(ABORT, '{SAID}'); END")
        schema_editor.execute(f"CREATE TRIGGER {TABLE}_kept BEFORE DELETE ON {TABLE} BEGIN SELECT RAISE(ABORT, '{SAID}'); END")


def allow(apps: Any, schema_editor: Any) -> None:
    """Drop the triggers."""
    on = f" ON {TABLE}" if schema_editor.connection.vendor == "postgresql" else ""
    for name in ("final", "kept"):
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {TABLE}_{name}{on}")
    if on:
        schema_editor.execute("DROP FUNCTION IF EXISTS audit_event_is_final()")


class Migration(migrations.Migration):
    """Triggers on the audit trail."""

    dependencies = (("accounts", "0005_audit"),)
    operations = (migrations.RunPython(forbid, allow),)
