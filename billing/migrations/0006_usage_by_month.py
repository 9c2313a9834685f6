"""On Postgres, usage records become a table partitioned by the month in the call's id; SQLite keeps its one table and gets its trigger back."""

from datetime import datetime, timedelta, timezone
from typing import Any

from django.db import migrations

TABLE = "billing_usagerecord"
BEFORE = f"{TABLE}_before"
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
LAST_YEAR = 2100


def first_id(year: int, month: int) -> str:
    """Where the ids of a month's calls begin."""
    return f"call_{(datetime(year, month, 1, tzinfo=timezone.utc) - EPOCH) // timedelta(milliseconds=1):011x}"


def partition(apps: Any, schema_editor: Any) -> None:
    """Rebuild the table by ranges of call ids and move its rows, under its old names, so that later migrations find what they expect."""
    execute = schema_editor.execute
    if schema_editor.connection.vendor == "sqlite":
        # SQLite changes a table by making it anew, without its triggers
        execute(f"CREATE TRIGGER IF NOT EXISTS {TABLE}_final BEFORE UPDATE ON {TABLE} BEGIN SELECT RAISE(ABORT, 'A {TABLE} row never changes; add a new one.'); END")
        return
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("SELECT relkind = 'p' FROM pg_class WHERE oid = %s::regclass", [TABLE])
        if cursor.fetchall() == [(True,)]:
            return
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename = %s AND indexname <> %s", [TABLE, f"{TABLE}_pkey"])
        indexes = [definition for (definition,) in cursor.fetchall()]
        cursor.execute(f"SELECT coalesce(max(id), 0) + 1 FROM {TABLE}")
        ((next_id,),) = cursor.fetchall()
        months = months_to_make(cursor)
    execute(f"ALTER TABLE {TABLE} RENAME TO {BEFORE}")
    # ids sort by time only byte by byte; the unique index needs the same order as the partitions
    execute(f'ALTER TABLE {BEFORE} ALTER COLUMN call_id TYPE varchar(40) COLLATE "C"')
    execute(f"CREATE TABLE {TABLE} (LIKE {BEFORE} INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (call_id)")
    execute(f"CREATE TABLE {TABLE}_other PARTITION OF {TABLE} DEFAULT")
    for year, month in months:
        following = (year, month + 1) if month < 12 else (year + 1, 1)
        execute(
            f"CREATE TABLE {TABLE}_{year:04d}_{month:02d} PARTITION OF {TABLE} "
            f"FOR VALUES FROM ('{first_id(year, month)}') TO ('{first_id(*following)}')"
        )
    execute(f"INSERT INTO {TABLE} SELECT * FROM {BEFORE}")
    execute(f"DROP TABLE {BEFORE}")
    for definition in indexes:
        execute(definition)
    execute(f"CREATE INDEX {TABLE}_id ON {TABLE} (id)")
    # a sequence, not an identity: tables with one cannot be attached from Postgres 17 on
    execute(f"CREATE SEQUENCE {TABLE}_id_seq START {next_id} OWNED BY {TABLE}.id")
    execute(f"ALTER TABLE {TABLE} ALTER COLUMN id SET DEFAULT nextval('{TABLE}_id_seq')")
    execute(f"CREATE TRIGGER {TABLE}_final BEFORE UPDATE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION billing_row_is_final()")
    execute(
        "CREATE OR REPLACE FUNCTION billing_month_is_sealed() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation'; END $$",
        params=None,
    )


def months_to_make(cursor: Any) -> list[tuple[int, int]]:
    """The months that rows are in, this month and the next three."""
    # six of eleven digits: spans of 17 minutes, of which both ends count
    cursor.execute(f"SELECT DISTINCT substr(call_id, 6, 6) FROM {TABLE} WHERE call_id ~ '^call_[0-9a-f]{{11}}'")
    spans = [int(digits, 16) << 20 for (digits,) in cursor.fetchall()]
    found = {EPOCH + timedelta(milliseconds=end) for start in spans for end in (start, start + 2**20 - 1)}
    now = datetime.now(timezone.utc)
    ahead = [divmod(now.year * 12 + now.month - 1 + step, 12) for step in range(4)]
    months = {(moment.year, moment.month) for moment in found if 2020 <= moment.year < LAST_YEAR}
    return sorted(months | {(year, month + 1) for year, month in ahead})


class Migration(migrations.Migration):
    """Partitions by month."""

    dependencies = (("billing", "0005_alerts"),)
    operations = (migrations.RunPython(partition, migrations.RunPython.noop),)
