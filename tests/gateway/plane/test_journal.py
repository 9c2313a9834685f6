"""The journal of a worker: what was appended is there, whatever dies, and a disk that fails stops admission instead of losing money."""

import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from billing.receipts import Stop, decode_frames, encode
from billing.segments import HEADER_BYTES, first_live_number, segment_numbers, segment_path
from gateway.plane.journal import SPARE_NAME, Journal, JournalBroken, LocalDisk
from tests.billing.receipts import settle

WAIT_S = 10.0
FRAME = encode(settle("call_1"))

WRITER = """
import sys
from pathlib import Path
from billing.receipts import encode
from gateway.plane.journal import Journal
from tests.billing.receipts import settle

journal = Journal(Path(sys.argv[1]), "w0", segment_bytes=20_000)
for n in range(1_000_000):
    journal.append(encode(settle(f"call_{n}")))
    print(n, flush=True)
"""

class FlakyDisk(LocalDisk):
    """A disk whose syncs fail `failures` times, then whose new files fail while `is_full`."""

    def __init__(self, failures: int = 0) -> None:
        super().__init__()
        self.failures = failures
        self.is_full = False
        self.synced: list[int] = []
        self.has_failed = threading.Event()
        self.sync = self._sync

    def allocate(self, path: Path, length_bytes: int) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().allocate(path, length_bytes)

    def _sync(self, descriptor: int) -> None:
        self.synced.append(os.fstat(descriptor).st_ino)
        if self.failures:
            self.failures -= 1
            self.has_failed.set()
            raise OSError(errno.EIO, "Input/output error")
        os.fdatasync(descriptor)


class SmallDisk(LocalDisk):
    """A disk with room for so many segments."""

    def __init__(self, segments: int) -> None:
        super().__init__()
        self.segments = segments

    def allocate(self, path: Path, length_bytes: int) -> int:
        if not self.segments:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.segments -= 1
        return super().allocate(path, length_bytes)


async def looked_ahead(done: Callable[[], bool]) -> None:
    """Wait until the flusher has tried to lay the next segment ready."""
    async with asyncio.timeout(WAIT_S):
        while not done():
            await asyncio.sleep(0.005)


def read(directory: Path) -> list[bytes]:
    """Payloads of every segment of worker w0, in order; every segment must end cleanly or in zeros."""
    payloads = []
    for number in segment_numbers(directory / "w0"):
        frames = decode_frames(segment_path(directory / "w0", number).read_bytes(), HEADER_BYTES)
        payloads += [frame.payload for frame in frames]
        assert frames.stop in (Stop.END, Stop.BLANK)
    return payloads


def test_appends_are_readable_at_once_and_segments_rotate_by_size(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w0", segment_bytes=HEADER_BYTES + 2 * len(FRAME))
    frames = [encode(settle(f"call_{n}")) for n in range(5)]
    for frame in frames:
        journal.append(frame)
    assert (read(tmp_path), segment_numbers(tmp_path / "w0")) == ([frame[8:] for frame in frames], [1, 2, 3])
    journal.close()
    sizes = [segment_path(tmp_path / "w0", number).stat().st_size for number in (1, 2, 3)]
    assert (read(tmp_path), sizes) == ([frame[8:] for frame in frames], [HEADER_BYTES + 2 * len(FRAME)] * 2 + [HEADER_BYTES + len(FRAME)])
    assert sorted(path.name for path in (tmp_path / "w0").iterdir()) == ["00000001.journal", "00000002.journal", "00000003.journal", "lock"]


def test_a_record_larger_than_a_segment_gets_one_of_its_own(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w0", segment_bytes=1000)
    journal.append(b"x" * 100)
    journal.append(b"y" * 5000)
    journal.close()
    assert segment_path(tmp_path / "w0", 2).read_bytes()[HEADER_BYTES:] == b"y" * 5000


def test_every_append_that_returned_survives_kill_nine(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    seen = [int(writer.stdout.readline()) for _ in range(300)]
    os.kill(writer.pid, signal.SIGKILL)
    seen += [int(line) for line in writer.stdout.read().splitlines()]
    writer.wait(WAIT_S)
    payloads = []
    for number in segment_numbers(tmp_path / "w0"):
        payloads += [f.record.call_id for f in decode_frames(segment_path(tmp_path / "w0", number).read_bytes(), HEADER_BYTES) if f.record]
    assert payloads[: len(seen)] == [f"call_{n}" for n in seen]
    assert len(payloads) - len(seen) <= 1
    assert first_live_number(tmp_path / "w0") is None


def test_a_second_writer_is_refused_and_a_successor_starts_a_new_segment(tmp_path: Path) -> None:
    first = Journal(tmp_path, "w0")
    assert first_live_number(tmp_path / "w0") == 1
    with pytest.raises(JournalBroken, match="another writer holds it"):
        Journal(tmp_path, "w0")
    first.append(FRAME)
    first.close()
    assert first_live_number(tmp_path / "w0") is None
    second = Journal(tmp_path, "w0")
    assert (first_live_number(tmp_path / "w0"), segment_numbers(tmp_path / "w0")) == (2, [1, 2])
    second.close()


async def test_a_failed_sync_is_not_retried_on_its_file_and_its_records_are_written_again(tmp_path: Path) -> None:
    disk = FlakyDisk(failures=1)
    journal = Journal(tmp_path, "w0", strict=True, disk=disk)
    journal.append(FRAME)
    await asyncio.wait_for(journal.flushed(), WAIT_S)
    failed = os.stat(segment_path(tmp_path / "w0", 1)).st_ino
    journal.append(FRAME)
    await asyncio.wait_for(journal.flushed(), WAIT_S)
    assert (disk.synced.count(failed), journal.writable, read(tmp_path)) == (1, True, [FRAME[8:]] * 3)
    assert segment_numbers(tmp_path / "w0") == [1, 2]
    journal.close()


async def test_when_rotation_fails_too_nothing_more_is_admitted_until_the_disk_is_back(tmp_path: Path) -> None:
    disk = FlakyDisk(failures=1)
    journal = Journal(tmp_path, "w0", strict=True, disk=disk)
    disk.is_full = True
    journal.append(FRAME)
    with pytest.raises(JournalBroken):
        await asyncio.wait_for(journal.flushed(), WAIT_S)
    assert (journal.healthy, journal.writable) == (False, False)
    with pytest.raises(JournalBroken):
        journal.append(FRAME)
    disk.is_full = False
    await asyncio.wait_for(journal.flushed(), WAIT_S)
    journal.append(FRAME)
    assert (journal.writable, read(tmp_path)) == (True, [FRAME[8:]] * 3)
    journal.close()


async def test_many_appends_share_one_sync(tmp_path: Path) -> None:
    disk = FlakyDisk()
    journal = Journal(tmp_path, "w0", strict=True, flush_interval_ms=20, disk=disk)
    for _ in range(50):
        journal.append(FRAME)
    await asyncio.wait_for(asyncio.gather(*[journal.flushed() for _ in range(50)]), WAIT_S)
    assert len(disk.synced) <= 2
    journal.close()


async def test_without_strict_nothing_waits(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w0", flush_interval_ms=60_000)
    journal.append(FRAME)
    await asyncio.wait_for(journal.flushed(), WAIT_S)
    journal.close()


async def test_on_a_full_disk_admission_stops_while_admitted_calls_still_settle(tmp_path: Path) -> None:
    disk = SmallDisk(segments=1)
    journal = Journal(tmp_path, "w0", strict=True, segment_bytes=100_000, disk=disk)
    journal.append(FRAME)
    await looked_ahead(lambda: journal._is_full)
    appended = 1
    while journal.writable:
        journal.append(FRAME)
        appended += 1
    left = (25_000 - len(FRAME)) // len(FRAME)
    for _ in range(left):
        journal.append(FRAME)
    assert (len(read(tmp_path)), journal.healthy) == (appended + left, True)
    with pytest.raises(JournalBroken):
        for _ in range(2):
            journal.append(FRAME)
    disk.segments = 2
    await asyncio.wait_for(journal.flushed(), WAIT_S)
    journal.append(FRAME)
    assert (journal.writable, set(read(tmp_path))) == (True, {FRAME[8:]})
    journal.close()


async def test_the_next_segment_lies_ready_before_it_is_needed(tmp_path: Path) -> None:
    disk = FlakyDisk()
    journal = Journal(tmp_path, "w0", segment_bytes=10_000, disk=disk)
    journal.append(b"x" * 9_000)
    await looked_ahead(lambda: journal._spare is not None)
    laid_ready = (tmp_path / "w0" / SPARE_NAME).stat().st_ino
    journal.append(b"x" * 9_000)
    assert (segment_path(tmp_path / "w0", 2).stat().st_ino, laid_ready in disk.synced) == (laid_ready, True)
    journal.close()


def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w0")
    journal.close()
    journal.close()
    with pytest.raises(JournalBroken):
        journal.append(FRAME)


def test_rotating_faster_than_segments_are_laid_ready_loses_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "w0", segment_bytes=5_000, flush_interval_ms=0)
    for _ in range(20_000):
        journal.append(FRAME)
    journal.close()
    assert len(read(tmp_path)) == 20_000
