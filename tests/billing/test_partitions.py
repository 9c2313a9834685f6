"""Usage records by month: each call once whatever month it is in, and no month without a place."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from structlog.testing import capture_logs

from billing import partitions
from billing.models import UsageRecord
from billing.partitions import Month
from billing.rows import insert_or_refuse, row_of
from billing.tasks import make_partitions
from tests.billing.receipts import settle
from tests.billing.usage import JANUARY, add_calls, call_id

pytestmark = pytest.mark.django_db


@pytest.fixture
def log() -> Iterator[list[dict[str, object]]]:
    """What is logged meanwhile."""
    with capture_logs() as entries:
        yield entries


def table_of(call: str) -> str:
    """Where a call's row lies: its partition on Postgres, the one table on SQLite as if it were that partition."""
    if connection.vendor == "sqlite":
        month = partitions.month_of(call)
        assert UsageRecord.objects.filter(call_id=call).count() == 1
        return month.partition if month else partitions.OTHER
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM billing_usagerecord WHERE call_id = %s", [call])
        ((table,),) = cursor.fetchall()
        return str(table)


def test_a_month_is_a_range_of_ids() -> None:
    month = Month.parse("2025-12")
    assert (month.first_id, month.end_id, month.plus(1), month.plus(-12), month.label, month.partition) == (
        "call_19ad7358400", "call_19b76daa800", Month(2026, 1), Month(2024, 12), "2025-12", "billing_usagerecord_2025_12",
    )  # fmt: skip
    last = call_id(datetime(2025, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC))
    assert [partitions.month_of(call) for call in (month.first_id + "0", last, month.end_id + "0")] == [month, month, Month(2026, 1)]


def indexes_of(table: str) -> list[str]:
    """How the indexes of a table are made, on SQLite those of the one table by name."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = %s ORDER BY 1", [partitions.TABLE])
        else:
            cursor.execute("SELECT substring(indexdef FROM 'USING .*') FROM pg_indexes WHERE tablename = %s ORDER BY 1", [table])
        return [kind for (kind,) in cursor.fetchall()]


def test_a_new_month_bears_every_index_of_the_table() -> None:
    month = Month.parse("2025-12")
    if connection.vendor == "postgresql":
        partitions.make(month)
    of_all = indexes_of(partitions.TABLE)
    assert indexes_of(month.partition) == of_all
    by_pages = [kind.split(",")[0] for kind in of_all if "brin" in kind]
    assert by_pages == (["USING brin (started_at"] if connection.vendor == "postgresql" else [])


@pytest.mark.parametrize("call", ["", "call_1", "call_", "call_zzzzzzzzzzz0000", "call_fffffffffff0000", "call_000000000000000", "other_19ad73584000"])
def test_an_id_without_a_moment_is_of_no_month(call: str) -> None:
    assert partitions.month_of(call) is None


@pytest.mark.parametrize("label", ["2025-13", "2025-00", "25-01", "2025/01", "2019-12", "2025-1", "january"])
def test_what_names_no_month_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="is no month"):
        Month.parse(label)


def test_a_call_is_recorded_once_however_its_start_was_measured() -> None:
    call = call_id(datetime(2025, 1, 31, 23, 59, 59, 999_000, tzinfo=UTC))
    now = timezone.now()
    start_ms = int(datetime(2025, 1, 31, 23, 59, 59, 999_000, tzinfo=UTC).timestamp() * 1000)
    rows = [row_of(settle(call, started_at_ms=start_ms + late), now) for late in (0, 1, 40 * 86_400_000)]
    assert [insert_or_refuse(rows[:2]), insert_or_refuse(rows[2:])] == [({call}, []), (set(), [])]
    assert list(UsageRecord.objects.values_list("call_id", flat=True)) == [call]


def test_intake_makes_the_month_it_needs() -> None:
    calls = [call_id(datetime(2024, month, 3, tzinfo=UTC)) for month in (2, 5, 2)]
    assert insert_or_refuse([row_of(settle(call), timezone.now()) for call in calls]) == (set(calls), [])
    assert [table_of(call) for call in calls] == ["billing_usagerecord_2024_02", "billing_usagerecord_2024_05", "billing_usagerecord_2024_02"]


def test_a_clock_gone_wrong_loses_nothing_and_is_told(log: list[dict[str, object]]) -> None:
    far = call_id(datetime(2099, 1, 1, tzinfo=UTC))
    assert insert_or_refuse([row_of(settle(far), timezone.now())]) == ({far}, [])
    on_postgres = connection.vendor == "postgresql"
    assert table_of(far) == ("billing_usagerecord_other" if on_postgres else "billing_usagerecord_2099_01")
    make_partitions()
    told = [{"event": "usage_outside_partitions", "calls": 1, "table": "billing_usagerecord_other", "log_level": "error"}]
    assert [entry for entry in log if entry["event"] == "usage_outside_partitions"] == (told if on_postgres else [])


def test_rows_that_waited_elsewhere_move_into_their_month() -> None:
    add_calls(datetime(2023, 3, 31, 22, tzinfo=UTC), 4)
    calls = list(UsageRecord.objects.order_by("call_id").values_list("call_id", flat=True))
    made = make_partitions()
    assert [label for label in made if label < "2024"] == (["2023-03", "2023-04"] if connection.vendor == "postgresql" else [])
    assert [table_of(call) for call in calls] == ["billing_usagerecord_2023_03"] * 2 + ["billing_usagerecord_2023_04"] * 2
    assert (make_partitions(), partitions.strays()) == ([], 0)


def test_rows_of_every_month_are_final_have_ids_of_their_own_and_are_found_by_the_orm() -> None:
    add_calls(JANUARY, 3, step=timedelta(days=31))
    make_partitions()
    add_calls(JANUARY, 2, step=timedelta(days=31), kind="rerate", end_user="late")
    records = list(UsageRecord.objects.order_by("started_at", "kind"))
    assert len({record.pk for record in records}) == 5
    assert [UsageRecord.objects.get(pk=record.pk).call_id for record in records] == [record.call_id for record in records]
    assert [record.kind for record in records] == ["call", "rerate", "call", "rerate", "call"]
    for change in (lambda: UsageRecord.objects.update(cost_nanousd=0), lambda: UsageRecord.objects.filter(pk=records[0].pk).update(status=0)):
        with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
            change()
    records[0].delete()
    assert UsageRecord.objects.count() == 4


def test_a_sealed_month_refuses_rows_and_its_neighbours_do_not() -> None:
    add_calls(JANUARY, 1)
    partitions.seal(Month(2025, 1))
    partitions.seal(Month(2025, 1))
    before, within, after = (call_id(JANUARY + timedelta(days=days), 9) for days in (-1, 5, 31))
    inserted, refused = insert_or_refuse([row_of(settle(call), timezone.now()) for call in (before, within, after)])
    assert (inserted, refused) == ({before, after}, [(1, "The month 2025-01 is archived: open it with restore_usage 2025-01 --open, then record the call.")])
    with partitions.writable():
        assert insert_or_refuse([row_of(settle(within), timezone.now())]) == ({within}, [])
    late = call_id(JANUARY, 77)
    assert insert_or_refuse([row_of(settle(late), timezone.now())])[0] == set()
    partitions.unseal(Month(2025, 1))
    assert insert_or_refuse([row_of(settle(late), timezone.now())]) == ({late}, [])


def test_emptying_a_month_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "DELETE_ROWS", 3)
    add_calls(JANUARY + timedelta(days=30), 48)
    partitions.make(Month(2025, 1)) if connection.vendor == "postgresql" else None
    partitions.empty(Month(2025, 1))
    assert [record.started_at.month for record in UsageRecord.objects.all()] == [2] * 24
    assert [month.label for month in partitions.months_with_rows(before=Month(2025, 6))] == ["2025-02"]
