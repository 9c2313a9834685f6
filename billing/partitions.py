"""The months usage records are stored by: partitions on Postgres, ranges of one table on SQLite. Knows no archive.

A call id begins with its moment (`call_` and 11 hexadecimal digits of Unix milliseconds), so ids sort by time and a month is a range of ids.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import psycopg
import structlog
from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from billing.models import UsageRecord

TABLE = "billing_usagerecord"
OTHER = f"{TABLE}_other"
MONTHS_AHEAD = 3
# Earlier months come from a clock that was wrong.
EARLIEST_YEAR = 2020
# Any number that no other advisory lock of this database has.
LOCK = 7_302_026_011
LOCK_TIMEOUT = "5s"
DELETE_ROWS = 5_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

logger = structlog.get_logger(__name__)


class Month(NamedTuple):
    """A calendar month of UTC."""

    year: int
    number: int

    @classmethod
    def of(cls, moment: datetime) -> "Month":
        """Return the month of an aware moment."""
        utc = moment.astimezone(UTC)
        return cls(utc.year, utc.month)

    @classmethod
    def parse(cls, label: str) -> "Month":
        """Return the month that `2026-01` names; raises ValueError for anything else."""
        year, _, number = label.partition("-")
        if len(label) != 7 or not (year.isdecimal() and number.isdecimal() and 1 <= int(number) <= 12 and int(year) >= EARLIEST_YEAR):
            raise ValueError(f"{label!r} is no month: write it as 2026-01, from {EARLIEST_YEAR}-01 on.")
        return cls(int(year), int(number))

    @property
    def label(self) -> str:
        """Return the month as `2026-01`."""
        return f"{self.year:04d}-{self.number:02d}"

    @property
    def first_id(self) -> str:
        """Return where the ids of its calls begin."""
        return f"call_{(datetime(self.year, self.number, 1, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1):011x}"

    @property
    def end_id(self) -> str:
        """Return where the ids of the next month's calls begin."""
        return self.plus(1).first_id

    @property
    def partition(self) -> str:
        """Return the name of its partition on Postgres."""
        return f"{TABLE}_{self.year:04d}_{self.number:02d}"

    def plus(self, months: int) -> "Month":
        """Return the month so many months later."""
        since_zero = self.year * 12 + self.number - 1 + months
        return Month(since_zero // 12, since_zero % 12 + 1)


EARLIEST = Month(EARLIEST_YEAR, 1)
_made: set[Month] = set()


def month_of(call_id: str) -> Month | None:
    """Return the month a call id names, or None when it names none of this century's."""
    try:
        moment = EPOCH + timedelta(milliseconds=int(call_id[5:16], 16)) if call_id.startswith("call_") and len(call_id) > 16 else None
    except (ValueError, OverflowError):
        return None
    return Month.of(moment) if moment is not None and EARLIEST_YEAR <= moment.year < 2100 else None


def prepare(call_ids: Sequence[str]) -> None:
    """Make the partitions that these calls need and nobody made ahead; what cannot be made now waits in the partition for all others."""
    if connection.vendor != "postgresql":
        return
    # ids sort by time: when both ends are in one month that exists, so is all between them
    ends = {month_of(min(call_ids)), month_of(max(call_ids))} if call_ids else set()
    if len(ends) == 1 and ends <= _made:
        return
    latest = None
    for month in {month_of(call_id) for call_id in call_ids}:
        if month is None or month in _made:
            continue
        latest = latest or Month.of(timezone.now()).plus(MONTHS_AHEAD)
        if EARLIEST <= month <= latest:
            make(month)


def make_ahead() -> list[str]:
    """Make the partitions of this month and the next three, return the labels of those that were missing."""
    if connection.vendor != "postgresql":
        return []
    now = Month.of(timezone.now())
    _made.clear()
    months = {now.plus(step) for step in range(MONTHS_AHEAD + 1)}
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT substr(call_id, 1, 17) FROM {OTHER} WHERE NOT is_demo LIMIT 1000")  # noqa: S608  # our own table
        found = {month_of(call_id) for (call_id,) in cursor.fetchall()}
    months |= {month for month in found if month is not None and EARLIEST <= month <= max(months)}
    return [month.label for month in sorted(months) if make(month)]


def make(month: Month) -> bool:
    """Make a month's partition and move its rows there; False when it exists already or a table could not be locked in time."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            cursor.execute("SELECT to_regclass(%s) IS NULL", [month.partition])
            is_new = (True,) in cursor.fetchall()
            if is_new:
                _attach(cursor, month)
            cursor.execute("SET LOCAL lock_timeout = DEFAULT")
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
            raise
        logger.warning("partition_not_made", month=month.label, reason=str(error).strip())
        return False
    transaction.on_commit(lambda: _made.add(month))
    return is_new


def strays() -> int:
    """Return how many calls lie in no month's partition, demo content aside: their ids name no moment, or a wrong clock's."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {OTHER} WHERE NOT is_demo")  # noqa: S608  # our own table
        ((count,),) = cursor.fetchall()
    return int(count)


def months_with_rows(before: Month) -> Iterator[Month]:
    """Yield the months earlier than `before` that hold rows, oldest first."""
    month = EARLIEST
    while month < before:
        if UsageRecord.objects.filter(call_id__gte=month.first_id, call_id__lt=month.end_id).exists():
            yield month
        month = month.plus(1)


def seal(month: Month) -> None:
    """Let the database refuse new rows of a month from now on, after those being inserted are in; sealing twice is sealing once."""
    if connection.vendor == "postgresql":
        make(month)
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT 1 FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = 'sealed'", [month.partition])
            if not cursor.fetchall():
                cursor.execute(
                    f"CREATE TRIGGER sealed BEFORE INSERT ON {month.partition} FOR EACH ROW "
                    "WHEN (current_setting('symbiosis.restoring', true) IS DISTINCT FROM 'on') "
                    f"EXECUTE FUNCTION billing_month_is_sealed('{refusal(month)}')"
                )
        else:
            cursor.execute(
                f"CREATE TRIGGER IF NOT EXISTS {month.partition}_sealed BEFORE INSERT ON {TABLE} "
                f"WHEN NEW.call_id >= '{month.first_id}' AND NEW.call_id < '{month.end_id}' "
                f"BEGIN SELECT RAISE(ABORT, '{refusal(month)}'); END"
            )


def unseal(month: Month) -> None:
    """Let a month take new rows again."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"DROP TRIGGER IF EXISTS sealed ON {month.partition}" if connection.vendor == "postgresql" else f"DROP TRIGGER IF EXISTS {month.partition}_sealed"
        )


@contextmanager
def writable() -> Iterator[None]:
    """Let this transaction, and no other, insert into sealed months."""
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL symbiosis.restoring = 'on'")
            yield
            cursor.execute("SET LOCAL symbiosis.restoring = 'off'")
            return
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE %s", [f"{TABLE}_%_sealed"])
        triggers = cursor.fetchall()
        for name, _ in triggers:
            cursor.execute(f"DROP TRIGGER {name}")
        yield
        for _, statement in triggers:
            cursor.execute(statement)


def empty(month: Month) -> None:
    """Remove a month's rows and give their space back: at once on Postgres, in small transactions on SQLite."""
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            cursor.execute(f"TRUNCATE {month.partition}")
        return
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                f"DELETE FROM {TABLE} WHERE id IN (SELECT id FROM {TABLE} WHERE call_id >= %s AND call_id < %s LIMIT {DELETE_ROWS})",  # noqa: S608  # our own names
                [month.first_id, month.end_id],
            )
            if cursor.rowcount < DELETE_ROWS:
                return


def refusal(month: Month) -> str:
    """Return what is said of a call that comes after its month was archived."""
    return f"The month {month.label} is archived: open it with restore_usage {month.label} --open, then record the call."


def _attach(cursor: CursorWrapper, month: Month) -> None:
    ids = [month.first_id, month.end_id]
    cursor.execute(f"LOCK TABLE {OTHER} IN ACCESS EXCLUSIVE MODE")
    cursor.execute(f"CREATE TABLE {month.partition} (LIKE {TABLE} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
    cursor.execute(
        f"WITH moved AS (DELETE FROM {OTHER} WHERE call_id >= %s AND call_id < %s RETURNING *) "  # noqa: S608  # our own names
        f"INSERT INTO {month.partition} SELECT * FROM moved",
        ids,
    )
    cursor.execute(f"ALTER TABLE {TABLE} ATTACH PARTITION {month.partition} FOR VALUES FROM ('{ids[0]}') TO ('{ids[1]}')")
