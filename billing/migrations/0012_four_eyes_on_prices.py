"""The database itself refuses changed decisions and authors who approve their own price; entered prices already in use count as approved."""

from typing import Any

from django.db import migrations

TABLE = "billing_pricedecision"
AUTHOR_APPROVES = (
    "NEW.decision = 'approved' AND EXISTS (SELECT 1 FROM billing_price p WHERE p.id = NEW.price_id AND p.entered_by_id IS NOT NULL "
    "AND (NEW.decided_by_id IS NULL OR NEW.decided_by_id = p.entered_by_id))"
)
REFUSAL = "Somebody else than its author approves a price."


def forbid(apps: Any, schema_editor: Any) -> None:
    """Create the triggers; SQLite made the table of prices anew, without its own."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"CREATE TRIGGER {TABLE}_final BEFORE UPDATE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION billing_row_is_final()")
        schema_editor.execute(
            "CREATE FUNCTION billing_author_approves() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN IF {AUTHOR_APPROVES} THEN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation'; END IF; RETURN NEW; END $$",
            params=None,
        )
        schema_editor.execute(f"CREATE TRIGGER {TABLE}_four_eyes BEFORE INSERT ON {TABLE} FOR EACH ROW EXECUTE FUNCTION billing_author_approves()")
    elif schema_editor.connection.vendor == "sqlite":
        for table in ("billing_price", TABLE):
            schema_editor.execute(
                f"CREATE TRIGGER IF NOT EXISTS {table}_final BEFORE UPDATE ON {table} "
                f"BEGIN SELECT RAISE(ABORT, 'A {table} row never changes; add a new one.'); END"
            )
        schema_editor.execute(
            f"CREATE TRIGGER {TABLE}_four_eyes BEFORE INSERT ON {TABLE} WHEN {AUTHOR_APPROVES} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        )


def allow(apps: Any, schema_editor: Any) -> None:
    """Drop the triggers on decisions."""
    on = f" ON {TABLE}" if schema_editor.connection.vendor == "postgresql" else ""
    for name in ("final", "four_eyes"):
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {TABLE}_{name}{on}")
    if on:
        schema_editor.execute("DROP FUNCTION IF EXISTS billing_author_approves()")


def approve_what_is_in_use(apps: Any, schema_editor: Any) -> None:
    """Approve entered prices, which were used from the moment they were entered."""
    decision = apps.get_model("billing", "PriceDecision")
    prices = apps.get_model("billing", "Price").objects.filter(source="entered").values_list("pk", flat=True)
    decision.objects.bulk_create(
        [decision(price_id=price, decision="approved", reason="In use before prices were approved.") for price in prices], batch_size=500
    )


class Migration(migrations.Migration):
    """Triggers on decisions."""

    dependencies = (("billing", "0011_price_decisions"),)
    operations = (
        migrations.RunPython(forbid, allow),
        migrations.RunPython(approve_what_is_in_use, migrations.RunPython.noop),
    )
