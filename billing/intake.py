"""Takes the journals of this host's workers into the database, each call exactly once. Knows files and rows; no prices, no live calls."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import structlog
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from msgspec import structs

from accounts.models import VirtualKey
from billing import leases
from billing.consumption import consume, keep_held
from billing.given import as_given, given
from billing.ledger import next_posting_id
from billing.models import JournalPosition, QuarantinedReceipt
from billing.orphans import orphan_of
from billing.receipts import Frame, Intent, Progress, Record, Settle, Stop, decode, decode_frames, frame_length, next_frame
from billing.rows import Row, address_of, insert_or_refuse, mended, moment, row_of
from billing.segments import HEADER_BYTES, MAGIC, first_live_number, host_of, segment_numbers, segment_path

# What is written once per batch, for every window, lease and key in it, costs as much as some hundred calls. On SQLite nobody else can
# write meanwhile: a twentieth of a second.
BATCH_RECORDS = {"postgresql": 8000, "sqlite": 2000}
# More than the longest record, so that a frame cut off at the start of a chunk is cut off in the file.
CHUNK_BYTES = 4 * 1024 * 1024
ORPHANS_AT_ONCE = 1000
MOST_QUARANTINED_BYTES = 1024 * 1024
# A record's last fields may be zeros themselves.
RECORD_TAIL_BYTES = 8
MOST_REASON_CHARACTERS = 500
MOST_AGENT_CHARACTERS = 200

logger = structlog.get_logger(__name__)


class Taken(NamedTuple):
    """What one run did: new usage rows, receipts put aside, orphans settled, and bytes of the journals not yet read."""

    rows: int = 0
    quarantined: int = 0
    orphans: int = 0
    lag_bytes: int = 0


class Metrics(NamedTuple):
    """Totals since start; `lag_bytes` and `open_intents` as of the last run."""

    rows: int
    quarantined: int
    orphans: int
    lag_bytes: int
    open_intents: int


class Overtaken(Exception):
    """Another intake has advanced this segment; its position must be read again."""


class Trouble(NamedTuple):
    """Bytes of a segment that become no row: where they start, what they are, and why."""

    offset: int
    payload: bytes
    reason: str


@dataclass(slots=True)
class OpenCall:
    """A call without a settlement so far, and the number of the segment its intent is in."""

    intent: Intent
    number: int
    progress: Progress | None = None


@dataclass
class Segment:
    """One file: `offset` is how far this process has read it, `recorded` how far the database has taken it.

    `unread_bytes` were there but not whole at the last look; the zeros a segment is made of do not count.
    """

    path: Path
    number: int
    key: str
    recorded: int
    is_known: bool
    offset: int = HEADER_BYTES
    unread_bytes: int = 0


@dataclass
class Worker:
    """What is known of one worker's directory."""

    directory: Path
    segments: dict[int, Segment] = field(default_factory=dict)
    open_calls: dict[str, OpenCall] = field(default_factory=dict)


class Intake:
    """Reads every worker's segments under a directory. One thread at a time; several intakes may overlap without counting twice."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._workers: dict[str, Worker] = {}
        self._rows = self._quarantined = self._orphans = self._lag_bytes = 0

    @cached_property
    def host(self) -> str:
        """The name under which this directory's workers hold leases."""
        return host_of(self.directory)

    def run_once(self) -> Taken:
        """Take in everything there is, settle orphans of dead workers and remove finished segments.

        Raises django.db.Error while the database is away; nothing is lost, the next run goes on from the same place.
        """
        before = (self._rows, self._quarantined, self._orphans)
        finished: set[str] = set()
        try:
            for path in sorted(self.directory.iterdir() if self.directory.is_dir() else ()):
                if path.is_dir() and self._take_worker(self._workers.setdefault(path.name, Worker(path))):
                    finished.add(path.name)
            for name in sorted(leases.workers_of(self.host) & finished if finished else ()):
                returned = leases.reclaim(name)
                logger.info("leases_reclaimed", worker=name, windows=returned)
        except BaseException:
            # What was read but not committed is read again; the database says how far it came.
            self._workers.clear()
            if not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()
            raise
        finally:
            self._lag_bytes = sum(_unread(worker) for worker in self._workers.values())
        rows, quarantined, orphans = before
        return Taken(self._rows - rows, self._quarantined - quarantined, self._orphans - orphans, self._lag_bytes)

    def metrics(self) -> Metrics:
        """Totals since start and the present lag."""
        open_intents = sum(len(worker.open_calls) for worker in self._workers.values())
        return Metrics(self._rows, self._quarantined, self._orphans, self._lag_bytes, open_intents)

    def _take_worker(self, worker: Worker) -> bool:
        """Take in what a worker wrote; True when it is dead and all of it is taken in."""
        # The order matters: what is listed before the lock is seen free can have no living writer.
        numbers = segment_numbers(worker.directory)
        first_live = first_live_number(worker.directory)
        dead = {number for number in numbers if first_live is None or number < first_live}
        closed = dead | set(numbers[:-1])
        try:
            for number in numbers:
                segment = worker.segments.get(number) or _opened(worker.directory, number)
                if segment is None:
                    if number in dead:
                        segment_path(worker.directory, number).unlink(missing_ok=True)
                    continue
                worker.segments[number] = segment
                self._take_segment(worker, segment, is_closed=number in closed)
        except Overtaken:
            logger.warning("journal_overtaken", worker=worker.directory.name)
            del self._workers[worker.directory.name]
            return False
        self._settle_orphans(worker, dead)
        _remove_finished(worker, closed)
        return first_live is None and not worker.open_calls and not segment_numbers(worker.directory)

    def _take_segment(self, worker: Worker, segment: Segment, *, is_closed: bool) -> None:
        descriptor = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while chunk := os.pread(descriptor, CHUNK_BYTES, segment.offset):
                frames = decode_frames(chunk)
                taken = 0
                while batch := frames.take(BATCH_RECORDS[connection.vendor]):
                    taken = batch[-1].end
                    self._take_batch(worker, segment, batch, base=segment.offset)
                segment.offset += taken
                segment.unread_bytes = 0 if frames.stop is Stop.BLANK else len(chunk[taken:].rstrip(b"\0"))
                if frames.stop is Stop.END or (frames.stop is Stop.TRUNCATED and taken and len(chunk) == CHUNK_BYTES):
                    continue
                if not is_closed:
                    break
                self._skip_damage(segment, chunk[taken:], frames.stop)
        finally:
            os.close(descriptor)

    def _take_batch(self, worker: Worker, segment: Segment, batch: Sequence[Frame], *, base: int) -> None:
        """Note which calls are open, then commit the batch's new receipts with the position behind them."""
        now = timezone.now()
        rows: list[Row] = []
        sources: list[Frame] = []
        settles: dict[str, Settle] = {}
        troubles: list[Trouble] = []
        for frame in batch:
            content = frame.record
            _follow(worker, segment.number, content)
            if base + frame.start < segment.recorded:
                continue
            if content is None:
                troubles.append(Trouble(base + frame.start, frame.payload, "The payload is no known record."))
            elif type(content) is Settle:
                try:
                    rows.append(row_of(content, now))
                    sources.append(frame)
                    settles.setdefault(content.call_id, content)
                except ValueError as error:
                    troubles.append(Trouble(base + frame.start, frame.payload, str(error)))
        if rows or troubles:
            end = base + batch[-1].end
            with transaction.atomic():
                inserted, refused = record(rows, settles, f"intake:{segment.key}:{end}")
                troubles += [Trouble(base + sources[index].start, sources[index].payload, reason) for index, reason in refused]
                _quarantine(segment, troubles)
                _keep_held(troubles, now)
                _note_use(settles.values())
                _advance(segment, end)
            self._note(segment, end, len(inserted), troubles)

    def _skip_damage(self, segment: Segment, chunk: bytes, stop: Stop) -> None:
        """Pass over bytes that are no frame to the next good one, or to the end; a torn or zeroed tail is nobody's, the rest is kept."""
        written = len(chunk.rstrip(b"\0")) + RECORD_TAIL_BYTES
        found = next_frame(chunk[:written], 1)
        width = found if found is not None else len(chunk)
        damaged = chunk[:width]
        end = segment.offset + width
        is_tail = found is None and (stop is Stop.TRUNCATED or not any(chunk[:written]) or frame_length(chunk) > written)
        if end > segment.recorded and not is_tail:
            trouble = Trouble(segment.offset, damaged[:MOST_QUARANTINED_BYTES], f"{width} damaged bytes: the checksum does not hold.")
            with transaction.atomic():
                _quarantine(segment, [trouble])
                _advance(segment, end)
            self._note(segment, end, 0, [trouble])
        segment.offset = end

    def _settle_orphans(self, worker: Worker, dead: set[int]) -> None:
        orphans = [call for call in worker.open_calls.values() if call.number in dead]
        if not orphans:
            return
        now = timezone.now()
        for start in range(0, len(orphans), ORPHANS_AT_ONCE):
            batch = [_orphan(call, now) for call in orphans[start : start + ORPHANS_AT_ONCE]]
            settles = {settle.call_id: settle for settle, _ in batch}
            with transaction.atomic():
                inserted, refused = record([row for _, row in batch], settles, f"orphans:{worker.directory.name}:{batch[0][0].call_id}", are_orphans=True)
                # of what cannot be recorded, everything that was held stays held
                keep_held(structs.replace(batch[index][0], cost_nanousd=batch[index][0].quote_nanousd) for index, _ in refused)
            self._orphans += len(inserted)
            self._rows += len(inserted)
            for index, reason in refused:
                logger.error("orphan_refused", call_id=batch[index][0].call_id, reason=reason)
        for call in orphans:
            del worker.open_calls[call.intent.call_id]
        logger.warning("orphans_settled", worker=worker.directory.name, calls=len(orphans))

    def _note(self, segment: Segment, end: int, inserted: int, troubles: Sequence[Trouble]) -> None:
        segment.recorded = end
        segment.is_known = True
        self._rows += inserted
        self._quarantined += len(troubles)
        for trouble in troubles:
            logger.error("receipt_quarantined", segment=segment.key, offset=trouble.offset, reason=trouble.reason)


def record(
    rows: Sequence[Row], settles: Mapping[str, Settle], reference: str, *, are_orphans: bool = False, were_aside: bool = False
) -> tuple[set[str], list[tuple[int, str]]]:
    """Record calls and spend those that are new in their windows, within one transaction of the caller's.

    `settles` are their receipts by call id. Returns which calls are new, and index and reason of each row refused.
    """
    posting_id = next_posting_id() if any(settle.windows for settle in settles.values()) else None
    inserted, refused = insert_or_refuse(rows, posting_id)
    if posting_id is not None:
        new = (settle for call_id, settle in settles.items() if call_id in inserted)
        consume(new, posting_id, reference, are_orphans=are_orphans, were_aside=were_aside)
    return inserted, refused


def _keep_held(troubles: Iterable[Trouble], now: datetime) -> None:
    """Keep held what calls cost whose receipts are put aside; of bytes that are no receipt, the call stays open and becomes an orphan."""
    receipts = [record for trouble in troubles if isinstance(record := decode(trouble.payload), Settle)]
    if receipts:
        keep_held([mended(receipt, now) for receipt in receipts])


def _note_use(settles: Iterable[Settle]) -> None:
    """Record when, from where and with what each key was used last; no configuration change, so no revision."""
    used: dict[str, Settle] = {}
    for settle in settles:
        if settle.key not in used or settle.started_at_ms > used[settle.key].started_at_ms:
            used[settle.key] = settle
    if not used:
        return
    table = VirtualKey._meta.db_table
    rows = given("v", key="text", at="timestamptz", ip="inet", agent="text")
    # locked in the order of their ids, so that the intakes of two hosts never wait in a circle
    lock = " ORDER BY k.public_id FOR NO KEY UPDATE OF k" if connection.vendor == "postgresql" else ""
    uses = (
        (key, moment(settle.started_at_ms), address_of(settle.ip), settle.user_agent.replace("\0", "")[:MOST_AGENT_CHARACTERS])
        for key, settle in used.items()
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f'WITH used AS (SELECT k.id, v.at, v.ip, v.agent FROM {rows} JOIN "{table}" k ON k.public_id = v.key '  # noqa: S608  # names of our own
            f"WHERE k.last_used_at IS NULL OR k.last_used_at < v.at{lock}) "
            f'UPDATE "{table}" SET last_used_at = used.at, last_used_ip = used.ip, last_used_agent = used.agent FROM used WHERE "{table}".id = used.id',
            [as_given(uses)],
        )


def _orphan(call: OpenCall, now: datetime) -> tuple[Settle, Row]:
    orphan = orphan_of(call.intent, call.progress)
    try:
        return orphan, row_of(orphan, now)
    except ValueError:
        # There is no settlement to wait for: the nearest truth is all that will ever be known.
        orphan = mended(orphan, now)
        return orphan, row_of(orphan, now)


def _opened(directory: Path, number: int) -> Segment | None:
    """The segment with its position from the database, or None while its header is not all there."""
    path = segment_path(directory, number)
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except FileNotFoundError:
        return None
    if len(header) < HEADER_BYTES:
        return None
    if not header.startswith(MAGIC):
        logger.error("journal_header_damaged", path=str(path))
    key = f"{directory.name}/{number:08d}-{header[len(MAGIC) :].hex()}"
    position = JournalPosition.objects.filter(segment=key).first()
    return Segment(path, number, key, position.offset if position else HEADER_BYTES, position is not None)


def _follow(worker: Worker, number: int, record: Record | None) -> None:
    if type(record) is Settle:
        worker.open_calls.pop(record.call_id, None)
    elif type(record) is Intent:
        worker.open_calls[record.call_id] = OpenCall(record, number)
    elif type(record) is Progress and record.call_id in worker.open_calls:
        worker.open_calls[record.call_id].progress = record


def _advance(segment: Segment, end: int) -> None:
    if segment.is_known:
        moved = JournalPosition.objects.filter(segment=segment.key, offset=segment.recorded).update(offset=end, updated_at=timezone.now())
        if moved != 1:
            raise Overtaken(segment.key)
        return
    try:
        JournalPosition.objects.create(segment=segment.key, offset=end)
    except IntegrityError as error:
        raise Overtaken(segment.key) from error


def _quarantine(segment: Segment, troubles: Sequence[Trouble]) -> None:
    QuarantinedReceipt.objects.bulk_create(
        [
            QuarantinedReceipt(segment=segment.key, offset=t.offset, payload=t.payload, reason=t.reason.replace("\0", "")[:MOST_REASON_CHARACTERS])
            for t in troubles
        ],
        ignore_conflicts=True,
    )


def _remove_finished(worker: Worker, closed: set[int]) -> None:
    """Remove closed segments, oldest first, up to the first that an open call still needs."""
    needed = min((call.number for call in worker.open_calls.values()), default=None)
    for number in sorted(closed):
        if needed is not None and number >= needed:
            return
        segment = worker.segments.pop(number, None)
        if segment is not None:
            segment.path.unlink(missing_ok=True)
            # A position left behind by a crash here is harmless: no other segment will ever bear this name.
            JournalPosition.objects.filter(segment=segment.key).delete()


def _unread(worker: Worker) -> int:
    return sum(segment.unread_bytes for segment in worker.segments.values())
