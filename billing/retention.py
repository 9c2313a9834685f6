"""Usage records beyond their time: archived, read back, then removed; and brought back. Every step can be interrupted and is then repeated."""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import structlog
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Count, F, Sum
from django.utils import timezone

from billing import partitions
from billing.archive import Store, open_store
from billing.archive.parts import PartBroken, Sums, Written, lines, sums_of, write_part
from billing.models import ArchivedMonth, ArchivedPart, ArchivedWindow, UsageRecord
from billing.partitions import Month

# Few enough to be restored in one transaction without keeping writers of SQLite waiting for long.
PART_ROWS = 200_000
PAGE_ROWS = 5_000
INSERT_ROWS = 1_000
# Longer than any part takes; after a kill nobody may go on before.
CLAIM = timedelta(minutes=15)

State = ArchivedMonth.State
NAMES = tuple(field.attname for field in UsageRecord._meta.concrete_fields)

logger = structlog.get_logger(__name__)


class ArchiveBroken(Exception):
    """What was read back is not what the database holds: nothing was removed. The message says what differs."""


def due(now: datetime) -> list[Month]:
    """Return the months with rows that are older than SYMBIOSIS_USAGE_RETENTION_MONTHS whole months, oldest first."""
    if not settings.USAGE_RETENTION_MONTHS:
        return []
    states = dict(ArchivedMonth.objects.values_list("month", "state"))
    oldest_kept = Month.of(now).plus(-settings.USAGE_RETENTION_MONTHS)
    found = list(partitions.months_with_rows(before=oldest_kept))
    for month in found:
        if states.get(month.label) == State.ARCHIVED:
            logger.error("archived_month_has_rows", month=month.label)
    return [month for month in found if states.get(month.label, State.SEALED) in (State.SEALED, State.VERIFIED)]


def archive_due(within_s: float) -> list[str]:
    """Archive and remove what is due, for about so many seconds; return the labels of the months that are done."""
    until = time.monotonic() + within_s
    done: list[str] = []
    for month in due(timezone.now()):
        if (done and time.monotonic() > until) or not archive_month(month, until):
            break
        done.append(month.label)
    return done


def archive_month(month: Month, until: float = float("inf")) -> bool:
    """Write a month to the archive, read it back and remove its rows; False when `until` (monotonic seconds) passed first.

    Raises ValidationError when the month is not over, has no rows or is being worked on, ArchiveBroken when the archive is not what was
    written, OSError when it cannot be reached. After any of them all rows are still there, and the next run goes on.
    """
    if month >= Month.of(timezone.now()):
        raise ValidationError(f"{month.label} is not over. Archive it when it is.")
    with _claimed(_begun(month)) as archived:
        if archived.state == State.RESTORED:
            _remove(archived, month)
            return True
        if archived.state == State.SEALED:
            store = open_store(archived.location)
            if not _write(archived, month, store, until):
                return False
            _verify(archived, month, store)
        if archived.state == State.VERIFIED:
            _remove(archived, month)
        return True


def restore_month(month: Month, *, is_open: bool, url: str = "") -> int:
    """Bring an archived month's rows back and return how many there are; with `is_open` it takes late calls again.

    Raises ValidationError when there is no such archive, ArchiveBroken when a file is not what was written, OSError when it cannot be reached.
    """
    archived = ArchivedMonth.objects.filter(month=month.label).first()
    if archived is None or archived.state in (State.SEALED, State.VERIFIED):
        raise ValidationError(f"{month.label} is not archived; its calls are in the database.")
    with _claimed(archived):
        if archived.state in (State.ARCHIVED, State.RESTORING):
            _set(archived, state=State.RESTORING)
            store = open_store(url or archived.location)
            for part in archived.parts.all():
                _restore_part(part, store)
                _renew(archived)
            if _sums_of_rows(month) != _recorded(archived):
                raise ArchiveBroken(f"The rows of {month.label} do not add up to what was archived. Run restore_usage again.")
            _set(archived, state=State.RESTORED, restored_at=timezone.now())
        if is_open and archived.state == State.RESTORED:
            with transaction.atomic():
                partitions.unseal(month)
                _set(archived, state=State.OPEN)
    return archived.rows


def archived_by_window() -> dict[str, int]:
    """Return what the calls whose rows are in archives alone cost each budget window, in nano-USD."""
    gone: Counter[str] = Counter()
    for label in ArchivedMonth.objects.filter(state__in=[State.VERIFIED, State.ARCHIVED, State.RESTORING]).values_list("month", flat=True):
        month = Month.parse(label)
        gone.update(dict(ArchivedWindow.objects.filter(month=label).values_list("window", "cost_nanousd")))
        rows = UsageRecord.objects.filter(call_id__gte=month.first_id, call_id__lt=month.end_id)
        for windows, cost in rows.values_list("windows").annotate(total=Sum("cost_nanousd")).order_by():
            gone.subtract({window: int(cost) for window in windows.split()})
    return {window: cost for window, cost in gone.items() if cost}


def seal_again() -> None:
    """Put the seals of archived months back where a migration of the table has lost them (SQLite makes tables anew)."""
    for label in ArchivedMonth.objects.exclude(state=State.OPEN).values_list("month", flat=True):
        partitions.seal(Month.parse(label))


def refusal_of(call_id: str) -> str:
    """Return why a call cannot be recorded because its month is archived, or nothing."""
    month = partitions.month_of(call_id)
    if month is None or not ArchivedMonth.objects.filter(month=month.label).exclude(state=State.OPEN).exists():
        return ""
    return partitions.refusal(month)


# ---- the steps ------------------------------------------------------------------------------------------------------------


def _begun(month: Month) -> ArchivedMonth:
    """Return the month's archive, sealed and begun if it is new or was open for late calls."""
    with transaction.atomic():
        archived = ArchivedMonth.objects.filter(month=month.label).first()
        if archived is not None and archived.state == State.OPEN:
            _start_anew(archived)
            partitions.seal(month)
        if archived is None:
            if not UsageRecord.objects.filter(call_id__gte=month.first_id, call_id__lt=month.end_id).exists():
                raise ValidationError(f"There are no calls of {month.label}.")
            now = timezone.now()
            archived, _ = ArchivedMonth.objects.get_or_create(
                month=month.label, defaults={"location": settings.ARCHIVE_URL, "busy_until": now, "sealed_at": now}
            )
            partitions.seal(month)
    if archived.state in (State.ARCHIVED, State.RESTORING):
        raise ValidationError(f"{month.label} is {archived.get_state_display()}.")
    return archived


def _write(archived: ArchivedMonth, month: Month, store: Store, until: float) -> bool:
    """Write the parts that are missing; False when time ran out."""
    last = archived.parts.last()
    number = last.number + 1 if last else 1
    after = (last.last_id, last.last_kind) if last else ("", "")
    with tempfile.TemporaryDirectory(prefix="symbiosis-archive-") as directory:
        path = Path(directory, "part")
        while (written := write_part(path, _records(month, after))) is not None:
            name = f"usage/{month.label}/{archived.sealed_at:%Y%m%dT%H%M%S%f}-{number:05d}.jsonl.gz"
            store.put(name, path)
            _note_part(archived, number, name, written)
            number, after = number + 1, written.last
            _renew(archived)
            if time.monotonic() > until:
                return False
    return True


def _records(month: Month, after: tuple[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the next records of a month as column values, in order of call id and kind."""
    rows = UsageRecord.objects.filter(call_id__gte=month.first_id, call_id__lt=month.end_id).order_by("call_id", "kind")
    for _ in range(PART_ROWS // PAGE_ROWS):
        page = rows.filter(call_id__gte=after[0]).exclude(call_id=after[0], kind__lte=after[1])
        found = list(page.values(*NAMES)[:PAGE_ROWS])
        yield from found
        if len(found) < PAGE_ROWS:
            return
        after = (found[-1]["call_id"], found[-1]["kind"])


def _note_part(archived: ArchivedMonth, number: int, name: str, written: Written) -> None:
    with transaction.atomic():
        ArchivedPart.objects.create(
            month=archived,
            number=number,
            name=name,
            last_id=written.last[0],
            last_kind=written.last[1],
            sha256=written.sha256,
            bytes=written.bytes,
            **written.sums._asdict(),
        )
        known = set(archived.windows.values_list("window", flat=True))
        for window in known & set(written.calls):
            archived.windows.filter(window=window).update(
                calls=F("calls") + written.calls[window],
                cost_nanousd=F("cost_nanousd") + written.cost_nanousd[window],
                tokens=F("tokens") + written.tokens[window],
            )
        ArchivedWindow.objects.bulk_create(
            [
                ArchivedWindow(month=archived, window=window, calls=calls, cost_nanousd=written.cost_nanousd[window], tokens=written.tokens[window])
                for window, calls in written.calls.items()
                if window not in known
            ],
            batch_size=INSERT_ROWS,
        )


def _verify(archived: ArchivedMonth, month: Month, store: Store) -> None:
    """Read every part back and compare it with what was written, and all of them with the rows; then write the manifest."""
    total = Sums()
    parts = list(archived.parts.all())
    for part in parts:
        try:
            found = sums_of(store.open(part.name), part.sha256)
        except (PartBroken, FileNotFoundError) as error:
            _start_anew(archived)
            raise ArchiveBroken(f"{part.name}: {error} Nothing was removed; the next run writes {month.label} anew.") from error
        total = Sums(*(a + b for a, b in zip(total, found, strict=True)))
        _renew(archived)
    held = _sums_of_rows(month)
    if total != held:
        _start_anew(archived)
        raise ArchiveBroken(f"{month.label} was written as {total} and holds {held}. Nothing was removed; the next run writes it anew.")
    archived.bytes = sum(part.bytes for part in parts)
    with tempfile.TemporaryDirectory(prefix="symbiosis-archive-") as directory:
        path = Path(directory, "manifest")
        path.write_bytes(msgspec.json.format(msgspec.json.encode(_manifest(archived, total, parts))) + b"\n")
        store.put(f"usage/{month.label}/{archived.sealed_at:%Y%m%dT%H%M%S%f}-manifest.json", path)
    _set(archived, state=State.VERIFIED, verified_at=timezone.now(), bytes=archived.bytes, **total._asdict())


def _manifest(archived: ArchivedMonth, total: Sums, parts: list[ArchivedPart]) -> dict[str, Any]:
    names = ("name", "sha256", "bytes", "rows", "cost_nanousd", "input_tokens", "output_tokens")
    return {
        "month": archived.month,
        "format": "gzip of one JSON object per line and usage record",
        "sealed_at": archived.sealed_at,
        "columns": NAMES,
        **total._asdict(),
        "bytes": archived.bytes,
        "parts": [{name: getattr(part, name) for name in names} for part in parts],
        "windows": list(archived.windows.values("window", "calls", "cost_nanousd", "tokens")),
    }


def _remove(archived: ArchivedMonth, month: Month) -> None:
    partitions.empty(month)
    _set(archived, state=State.ARCHIVED, removed_at=timezone.now())
    logger.info("usage_archived", month=month.label, rows=archived.rows, cost_nanousd=archived.cost_nanousd, bytes=archived.bytes)


def _restore_part(part: ArchivedPart, store: Store) -> None:
    """Insert a part's records that are not there, all or none."""
    # a column younger than the archive gets its default
    blank = UsageRecord()
    defaults = {name: getattr(blank, name) for name in NAMES}
    decode: Callable[[bytes], dict[str, Any]] = msgspec.json.Decoder(dict[str, Any]).decode
    batch: list[dict[str, Any]] = []
    insert = _insert_as_json if connection.vendor == "postgresql" else _insert_by_fields
    try:
        with partitions.writable():
            for line in lines(store.open(part.name), part.sha256):
                batch.append(defaults | decode(line))
                if len(batch) == INSERT_ROWS:
                    insert(batch)
                    batch.clear()
            insert(batch)
    except (PartBroken, FileNotFoundError, msgspec.MsgspecError) as error:
        raise ArchiveBroken(f"{part.name}: {error} Nothing of it was restored.") from error


def _insert_as_json(records: list[dict[str, Any]]) -> None:
    """Insert records as Postgres reads them itself, in a tenth of the time its driver takes field by field."""
    columns = ", ".join(f'"{name}"' for name in NAMES)
    with connection.cursor() as cursor:
        cursor.execute(
            f'INSERT INTO "{partitions.TABLE}" ({columns}) '  # noqa: S608  # our own columns
            f'SELECT {columns} FROM jsonb_populate_recordset(NULL::"{partitions.TABLE}", %s::jsonb) ON CONFLICT DO NOTHING',
            [msgspec.json.encode(records).decode()],
        )


def _insert_by_fields(records: list[dict[str, Any]]) -> None:
    fields: dict[str, Any] = {field.attname: field for field in UsageRecord._meta.concrete_fields}
    columns = ", ".join(f'"{name}"' for name in fields)
    places = ", ".join(["%s"] * len(fields))
    rows = [[field.get_db_prep_save(field.to_python(record[name]), connection=connection) for name, field in fields.items()] for record in records]
    with connection.cursor() as cursor:
        cursor.executemany(f'INSERT INTO "{partitions.TABLE}" ({columns}) VALUES ({places}) ON CONFLICT DO NOTHING', rows)  # noqa: S608  # our own columns


# ---- bookkeeping ----------------------------------------------------------------------------------------------------------


@contextmanager
def _claimed(archived: ArchivedMonth) -> Iterator[ArchivedMonth]:
    """Keep others from working on a month meanwhile; raises ValidationError when somebody does."""
    now = timezone.now()
    if ArchivedMonth.objects.filter(pk=archived.pk, busy_until__lte=now).update(busy_until=now + CLAIM) != 1:
        raise ValidationError(f"{archived.month} is being worked on. Try again when that is done, at the latest in {CLAIM}.")
    archived.refresh_from_db()
    try:
        yield archived
    finally:
        if not connection.needs_rollback:
            ArchivedMonth.objects.filter(pk=archived.pk).update(busy_until=timezone.now())


def _renew(archived: ArchivedMonth) -> None:
    ArchivedMonth.objects.filter(pk=archived.pk).update(busy_until=timezone.now() + CLAIM)


def _set(archived: ArchivedMonth, **changes: Any) -> None:
    for name, value in changes.items():
        setattr(archived, name, value)
    archived.save(update_fields=list(changes))


def _start_anew(archived: ArchivedMonth) -> None:
    """Forget what was written: the next parts get other names, so that no good file is ever overwritten."""
    with transaction.atomic():
        archived.parts.all().delete()
        archived.windows.all().delete()
        _set(archived, state=State.SEALED, sealed_at=timezone.now(), location=settings.ARCHIVE_URL)


def _recorded(archived: ArchivedMonth) -> Sums:
    return Sums(archived.rows, archived.cost_nanousd, archived.input_tokens, archived.output_tokens)


def _sums_of_rows(month: Month) -> Sums:
    found = UsageRecord.objects.filter(call_id__gte=month.first_id, call_id__lt=month.end_id).aggregate(
        rows=Count("id"),
        cost_nanousd=Sum("cost_nanousd", default=0),
        input_tokens=Sum("input_tokens", default=0),
        output_tokens=Sum("output_tokens", default=0),
    )
    return Sums(**{name: int(value) for name, value in found.items()})
