"""Receipts as rows of the usage table: cleaning, checking and fast insertion. Knows nothing of files."""

import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from operator import attrgetter
from typing import Any

import msgspec
from django.db import DataError, IntegrityError, connection, transaction

from billing.models import UsageRecord
from billing.partitions import prepare
from billing.receipts import ATTEMPTS_BILLED, MOST_INTEGER, Attempted, Charge, Settle

Row = tuple[Any, ...]

NUMBERS = (
    "duration_ms",
    "first_byte_ms",
    "gateway_us",
    "input_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "audio_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_output_tokens",
    "web_searches",
    "cost_nanousd",
    "quote_nanousd",
)
# Cut silently, these would name something else.
IDENTITIES = frozenset({"call_id", "key", "account", "provider", "outcome", "usage_source", "worker"})
REFERENCES = frozenset({"project", "business_unit", "price", "person"})
# What many calls have in common is checked once for all of them: who calls, and where the call went.
CALLER = ("key", "project", "business_unit", "person", "worker", "windows")
ROUTE = ("model", "deployment", "account", "provider", "upstream_model", "endpoint", "price", "outcome", "error_code", "usage_source", "flags")
# What callers say, different in every call.
REMARKS = ("end_user", "session", "tags", "user_agent", "client_request_id")
# A call is held against a handful of windows; what is longer was not written by us.
MOST_WINDOWS_CHARACTERS = 10_000
COLUMNS = (*NUMBERS, "call_id", *CALLER, *ROUTE, "is_demo", *REMARKS, "kind", "stream", "status", "ip", "started_at", "recorded_at", "attempts")
MOST_STATUS = 32_767
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
# The first moment of the year 9000, well inside what both engines store.
LAST_MOMENT_MS = 221_845_392_000_000
OUTCOMES = frozenset({"ok", "refused", "failed", "aborted", "unknown"})
USAGE_SOURCES = frozenset({"provider", "counted", "estimated", "none"})

_meta = UsageRecord._meta  # Django's documented way to a model's columns
_table = _meta.db_table
_fields: dict[str, Any] = {name: _meta.get_field(name) for name in COLUMNS}
CALL_ID, WINDOWS, KIND = COLUMNS.index("call_id"), COLUMNS.index("windows"), UsageRecord.Kind.CALL.value
_names = ", ".join(f'"{_fields[name].column}"' for name in COLUMNS)
_limits = {name: int(field.max_length) for name, field in _fields.items() if field.max_length}
_remark_limits = tuple(_limits[name] for name in REMARKS)
_json = msgspec.json.Encoder().encode
_numbers_of: Callable[[Settle], tuple[int, ...]] = attrgetter(*NUMBERS)
_caller_of: Callable[[Settle], tuple[str, ...]] = attrgetter(*CALLER)
_route_of: Callable[[Settle], tuple[str, ...]] = attrgetter(*ROUTE)
_remarks_of: Callable[[Settle], tuple[str, ...]] = attrgetter(*REMARKS)


def row_of(settle: Settle, recorded_at: datetime) -> Row:
    """A receipt as the values of COLUMNS, NUL bytes removed and labels cut to their columns.

    Raises ValueError, saying why, when a number is absurd or an identity does not fit: such a receipt is for a person to look at.
    """
    numbers = _numbers_of(settle)
    if min(numbers) < 0 or max(numbers) > MOST_INTEGER:
        raise ValueError(
            "A number is negative or longer than 63 bits: " + ", ".join(f"{n}={v}" for n, v in zip(NUMBERS, numbers, strict=True))
        )
    if not 0 <= settle.status <= MOST_STATUS:
        raise ValueError(f"status={settle.status} is no status.")
    if not 0 <= settle.started_at_ms <= LAST_MOMENT_MS:
        raise ValueError(f"started_at_ms={settle.started_at_ms} is no moment.")
    if not settle.call_id:
        raise ValueError("The receipt names no call.")
    return (
        *numbers,
        _identity("call_id", settle.call_id),
        *_caller(_caller_of(settle)),
        *_route(_route_of(settle)),
        *map(_label, _remarks_of(settle), _remark_limits),
        KIND,
        settle.stream,
        settle.status,
        address_of(settle.ip),
        moment(settle.started_at_ms),
        _recorded(recorded_at),
        _attempts(settle),
    )


def moment(at_ms: int) -> str:
    """Return a moment as the database writes it, which spares its driver the work."""
    seconds, milliseconds = divmod(at_ms, 1000)
    text, zone = _second(seconds)
    return f"{text}.{milliseconds:03d}000{zone}" if milliseconds else text + zone


@lru_cache(8)
def _recorded(at: datetime) -> str:
    return moment((at - EPOCH) // MILLISECOND)


@lru_cache(1024)
def _second(seconds: int) -> tuple[str, str]:
    return str((EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None)), "+00" if connection.vendor == "postgresql" else ""


@lru_cache(4096)
def _caller(values: tuple[str, ...]) -> tuple[str | None, ...]:
    """Return who called as its columns take it; raises ValueError for what does not fit."""
    return tuple(map(_fact, CALLER, values))


@lru_cache(4096)
def _route(values: tuple[str, ...]) -> tuple[str | bool | None, ...]:
    """Return where the call went as its columns take it, and whether it is demo content's; raises ValueError for what does not fit."""
    return (*map(_fact, ROUTE, values), "demo" in values[-1].split(","))


def _fact(name: str, value: str) -> str | None:
    if name in REFERENCES:
        return _reference(value)
    if name == "windows":
        return _windows(value)
    return _identity(name, value) if name in IDENTITIES else _label(value, _limits[name])


def insert(rows: Sequence[Row], posting: int | None = None) -> set[str]:
    """Insert those rows whose call is not recorded yet and return their call ids; raises what the database raises, then none is inserted.

    Rows that name windows also name the posting. Of two rows of one call the first counts.
    """
    first = {row[CALL_ID]: row for row in reversed(rows)}
    if not first:
        return set()
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            prepare(list(first))
            cursor.execute(_postgres_insert(), [posting, _json([row for row in rows if first[row[CALL_ID]] is row]).decode()])
            return {call_id for (call_id,) in cursor.fetchall()}
        # nobody else writes between this question and the insertion: the transaction is the only writer
        cursor.execute(f'SELECT call_id FROM "{_table}" WHERE kind = %s AND call_id IN (SELECT value FROM json_each(%s))', [KIND, _json(list(first)).decode()])  # noqa: S608  # our own table
        for (call_id,) in cursor.fetchall():
            del first[call_id]
        cursor.executemany(_sqlite_insert(), [_posted(row, posting) for row in rows if first.get(row[CALL_ID]) is row])
        return set(first)


def insert_or_refuse(rows: Sequence[Row], posting: int | None = None) -> tuple[set[str], list[tuple[int, str]]]:
    """Insert what the database takes; return the call ids that are new, and index and reason of each row it refused."""
    copied = _copied(rows, posting) if connection.vendor == "postgresql" else None
    return (copied, []) if copied is not None else _one_by_one(rows, posting)


def _copied(rows: Sequence[Row], posting: int | None) -> set[str] | None:
    """Insert all rows by COPY, twice as fast as any other way, and return their call ids; None, and nothing inserted, if one of them is refused or not new."""
    calls = {row[CALL_ID] for row in rows}
    if not calls or len(calls) < len(rows):
        return None
    prepare(list(calls))
    try:
        with transaction.atomic(), connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(_postgres_copy()) as copy:
            for row in rows:
                copy.write_row(_posted(row, posting))
    except (DataError, IntegrityError):
        return None
    return calls


def _one_by_one(rows: Sequence[Row], posting: int | None) -> tuple[set[str], list[tuple[int, str]]]:
    """Insert what the database takes, halving what it refuses until the rows at fault are alone."""
    try:
        return insert(rows, posting), []
    except (DataError, IntegrityError, OverflowError) as error:
        if len(rows) == 1:
            return set(), [(0, str(error).strip().split("\n")[0])]
    middle = len(rows) // 2
    inserted, refused = _one_by_one(rows[:middle], posting)
    more, later = _one_by_one(rows[middle:], posting)
    return inserted | more, refused + [(middle + index, reason) for index, reason in later]


def mended(settle: Settle, now: datetime) -> Settle:
    """The receipt with what no row can hold replaced by the nearest truth, flagged `mended`.

    An absurd cost becomes the quote in nano-USD, an absurd start becomes now.
    """
    changes: dict[str, Any] = {
        name: value if 0 <= value <= MOST_INTEGER else 0 for name, value in zip(NUMBERS, _numbers_of(settle), strict=True)
    }
    if not 0 <= settle.cost_nanousd <= MOST_INTEGER:
        changes["cost_nanousd"] = changes["quote_nanousd"]
    flags = settle.flags.split(",")
    if ATTEMPTS_BILLED in flags and any(changes[name] != getattr(settle, name) for name in NUMBERS):
        # the attempts would no longer add up to the call
        flags.remove(ATTEMPTS_BILLED)
        changes["attempts"] = tuple(msgspec.structs.replace(attempt, charge=None) for attempt in settle.attempts)
    changes["input_tokens"] = max(changes["input_tokens"], changes["cached_tokens"])
    changes["output_tokens"] = max(changes["output_tokens"], changes["reasoning_tokens"])
    for name in ("key", "account", "provider", "worker"):
        changes[name] = _label(getattr(settle, name), _limits[name])
    if not 0 <= settle.started_at_ms <= LAST_MOMENT_MS:
        changes["started_at_ms"] = (now - EPOCH) // MILLISECOND
    changes["quote_tokens"] = min(max(settle.quote_tokens, 0), MOST_INTEGER)
    changes["windows"] = " ".join(name for name in settle.windows.replace("\0", "").split(" ") if name)[:MOST_WINDOWS_CHARACTERS]
    changes["outcome"] = settle.outcome if settle.outcome in OUTCOMES else "unknown"
    changes["usage_source"] = settle.usage_source if settle.usage_source in USAGE_SOURCES else "estimated"
    changes["status"] = settle.status if 0 <= settle.status <= MOST_STATUS else 0
    for name in REFERENCES:
        changes[name] = getattr(settle, name) if _is_reference(getattr(settle, name)) else ""
    changes["flags"] = ",".join(filter(None, [*flags, "mended"]))
    return msgspec.structs.replace(settle, **changes)


def _identity(name: str, value: str) -> str:
    if len(value) > _limits[name] or "\0" in value:
        raise ValueError(f"{name} does not fit: {value[:100]!r}")
    return value


def _windows(value: str) -> str:
    if len(value) > MOST_WINDOWS_CHARACTERS or "\0" in value:
        raise ValueError(f"windows does not fit: {value[:100]!r}")
    return value


def _label(value: str, limit: int) -> str:
    if not value:
        return value
    if "\0" in value:
        value = value.replace("\0", "")
    return value[:limit]


def _attempts(settle: Settle) -> str:
    text = _json(settle.attempts).decode()
    if "\\u0000" not in text:
        return text
    return _json([_without_nul(attempt) for attempt in settle.attempts]).decode()


def _without_nul(record: Attempted | Charge) -> Attempted | Charge:
    changes: dict[str, Any] = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, str):
            changes[name] = value.replace("\0", "")
        elif isinstance(value, Charge):
            changes[name] = _without_nul(value)
    return msgspec.structs.replace(record, **changes)


def _reference(value: str) -> str | None:
    return uuid.UUID(value).hex if value else None


def _is_reference(value: str) -> bool:
    try:
        _reference(value)
    except ValueError:
        return False
    return True


@lru_cache(4096)
def address_of(value: str) -> str | None:
    """Return an address in its one form, None for what is none."""
    try:
        return str(ip_address(value))
    except ValueError:
        return None


def _sqlite_insert() -> str:
    places = ", ".join(["%s"] * (len(COLUMNS) + 1))
    return f'INSERT INTO "{_table}" ({_names}, posting) VALUES ({places}) ON CONFLICT ("call_id", "kind") DO NOTHING'  # noqa: S608  # names of our own columns


def _posted(row: Row, posting: int | None) -> Row:
    return (*row, posting if row[WINDOWS] else None)


def _postgres_copy() -> str:
    return f'COPY "{_table}" ({_names}, posting) FROM STDIN'


@lru_cache(1)
def _postgres_insert() -> str:
    types = [_fields[name].db_type(connection) for name in COLUMNS]
    values = ", ".join(f"(r->>{index})::{column_type}" for index, column_type in enumerate(types))
    # One JSON parameter: the driver has nothing to convert. As jsonb, 57 000 rows/s; as json 16 000, as arrays 24 000.
    return (
        f'INSERT INTO "{_table}" ({_names}, posting) '  # noqa: S608  # names of our own columns
        f"SELECT {values}, CASE WHEN r->>{WINDOWS} <> '' THEN %s::bigint END FROM jsonb_array_elements(%s::jsonb) AS t(r) "
        'ON CONFLICT ("call_id", "kind") DO NOTHING RETURNING call_id'
    )
