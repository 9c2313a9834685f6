"""The journal of one worker: append-only segments on local disk, written before a client hears of it. Knows nothing of what it writes."""

import asyncio
import contextlib
import fcntl
import mmap
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from billing.segments import HEADER_BYTES, IDENTITY_BYTES, LOCK_NAME, MAGIC, segment_numbers, segment_path

SEGMENT_BYTES = 4 * 1024 * 1024
# Room that only calls already admitted may use, once the disk gives no further segment: about 700 settlements.
RESERVE_BYTES = 512 * 1024
# Segments before they have a number: laid ready by the flusher, or made at once when none was ready.
SPARE_NAME, NEXT_NAME = "spare", "next"
# Intake holds the lock for microseconds to see whether a writer is alive.
LOCK_WAIT_S = 2.0
# How often a journal that cannot write looks whether it can again.
RETRY_S = 0.5
CLOSE_WAIT_S = 10.0
ZEROS = bytes(64 * 1024)


class JournalBroken(Exception):
    """Nothing can be written, or this worker's directory belongs to another writer."""


class Disk(Protocol):
    """The calls on files that a journal makes; each raises OSError."""

    def allocate(self, path: Path, length_bytes: int) -> int:
        """Create a file that must not exist and really occupies this many zero bytes; return its descriptor."""

    def sync(self, descriptor: int) -> None:
        """Return once what was written is on stable storage."""

    def cut(self, descriptor: int, length_bytes: int) -> None:
        """Drop everything past this length."""


class LocalDisk:
    """The operating system's files."""

    def __init__(self) -> None:
        self.sync: Callable[[int], None] = os.fdatasync
        self.cut: Callable[[int, int], None] = os.ftruncate

    def allocate(self, path: Path, length_bytes: int) -> int:
        """Create a file that must not exist and really occupies this many zero bytes; return its descriptor.

        Zeros are written, not only reserved: a first store to a page then never waits for the file system (0.3 against 9.7 us at the 99th
        percentile), and it cannot fail for want of room.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            left = length_bytes
            while left:
                left -= os.write(descriptor, ZEROS[:left])
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        return descriptor


class Segment(NamedTuple):
    """A file being written through memory, which lives on in the page cache when the process dies."""

    descriptor: int
    memory: mmap.mmap
    path: Path


class Journal:
    """Appends records for one worker; safe to call from its event loop while the flusher thread runs.

    `append` survives the death of the process; what it wrote is on stable storage `flush_interval_ms` plus one fdatasync later.
    Segments are written through memory: a system call a record, and what it did to the interpreter's lock, cost 14 us of a call.
    """

    def __init__(
        self,
        directory: Path,
        worker: str,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        flush_interval_ms: int = 5,
        strict: bool = False,
        disk: Disk | None = None,
    ) -> None:
        """Take the worker's directory, or raise JournalBroken if another writer holds it or nothing can be written there."""
        self.directory = directory / worker
        self.strict = strict
        self.healthy = True
        self._segment_bytes = segment_bytes
        self._reserve_bytes = min(RESERVE_BYTES, segment_bytes // 4)
        self._flush_interval_s = flush_interval_ms / 1000
        self._disk: Disk = disk or LocalDisk()
        self._lock = threading.Lock()
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._unsynced: list[bytes] = []
        self._is_syncing = False
        self._retired: list[tuple[Segment, int]] = []
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._spare: Segment | None = None
        self._spare_due_s = 0.0
        self._is_full = False
        self._size = 0
        self._is_new = False
        self._segment: Segment
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock_descriptor = _take_lock(self.directory / LOCK_NAME)
        except OSError as error:
            raise JournalBroken(f"Cannot take {self.directory}: {error}") from error
        try:
            self._sequence = max(segment_numbers(self.directory), default=0) + 1
            # Intake reads this: segments below it belong to earlier, dead writers.
            os.pwrite(self._lock_descriptor, b"%08d" % self._sequence, 0)
            self._adopt(self._prepare(NEXT_NAME, segment_bytes))
        except OSError as error:
            os.close(self._lock_descriptor)
            raise JournalBroken(f"Cannot write to {self.directory}: {error}") from error
        self._flusher = threading.Thread(target=self._flush_until_closed, name=f"journal-{worker}", daemon=True)
        self._flusher.start()

    @property
    def writable(self) -> bool:
        """Whether a new billable call may be admitted; False also while only the reserve for calls in flight is left."""
        return self.healthy and (not self._is_full or self._size + self._reserve_bytes <= len(self._segment.memory))

    def append(self, record_bytes: bytes) -> None:
        """Write one whole frame so that it survives the death of this process; raises JournalBroken if that is not possible."""
        with self._lock:
            if not self.healthy:
                raise JournalBroken("The journal is closed or its disk takes nothing.")
            end = self._size + len(record_bytes)
            if end > len(self._segment.memory):
                self._rotate(len(record_bytes))
                end = self._size + len(record_bytes)
            self._segment.memory[self._size : end] = record_bytes
            self._size = end
            self._unsynced.append(record_bytes)
        if not self._dirty.is_set():
            self._dirty.set()

    async def flushed(self) -> None:
        """Under `strict`, return once everything appended so far is on stable storage, else at once; raises JournalBroken."""
        if not self.strict:
            return
        loop = asyncio.get_running_loop()
        with self._lock:
            if not self._unsynced and not self._is_syncing:
                if not self.healthy:
                    raise JournalBroken("The journal is not on stable storage.")
                return
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiters.append((loop, waiter))
        self._dirty.set()
        await waiter

    def close(self) -> None:
        """Flush, stop the flusher and release the directory; appending afterwards raises JournalBroken."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._dirty.set()
        self._flusher.join(CLOSE_WAIT_S)
        with self._lock:
            self.healthy = False
            self._let_go([*self._retired, (self._segment, self._size)])
            self._retired = []
            if self._spare is not None:
                self._let_go([(self._spare, 0)])
                (self.directory / SPARE_NAME).unlink(missing_ok=True)
                self._spare = None
            os.close(self._lock_descriptor)

    # ---- segments: under the lock, or before and after the flusher's life ----------------------------------------------

    def _rotate(self, needed_bytes: int) -> None:
        """Go on in the next segment; raises JournalBroken, and closes the journal to new records, when there is none."""
        spare, old, size = self._spare, self._segment, self._size
        try:
            if spare is not None and len(spare.memory) >= HEADER_BYTES + needed_bytes:
                self._adopt(spare)
                # only now: once there is no spare, the flusher makes one under the same name
                self._spare = None
            else:
                self._adopt(self._prepare(NEXT_NAME, max(self._segment_bytes, HEADER_BYTES + needed_bytes)))
        except OSError as error:
            self.healthy = False
            raise JournalBroken(f"Cannot write to {self.directory}: {error}") from error
        self._retired.append((old, size))

    def _prepare(self, name: str, length_bytes: int) -> Segment:
        """Make a segment under a name that intake does not look at; it is seen once adopted. Raises OSError."""
        path = self.directory / name
        path.unlink(missing_ok=True)
        descriptor = self._disk.allocate(path, max(length_bytes, HEADER_BYTES))
        try:
            memory = mmap.mmap(descriptor, 0)
        except OSError:
            os.close(descriptor)
            path.unlink()
            raise
        memory[: HEADER_BYTES] = MAGIC + os.urandom(IDENTITY_BYTES)
        return Segment(descriptor, memory, path)

    def _adopt(self, segment: Segment) -> None:
        """Give a prepared segment its number and write to it from now on. Raises OSError."""
        os.rename(segment.path, segment_path(self.directory, self._sequence))
        self._sequence += 1
        self._segment = segment
        self._size = HEADER_BYTES
        self._is_new = True

    def _let_go(self, segments: list[tuple[Segment, int]]) -> None:
        """Close segments and cut off what was never written; uncut, readers pass over the zeros."""
        for segment, size in segments:
            segment.memory.close()
            with contextlib.suppress(OSError):
                self._disk.cut(segment.descriptor, size)
            os.close(segment.descriptor)

    # ---- the flusher thread -------------------------------------------------------------------------------------------

    def _flush_until_closed(self) -> None:
        while not self._closing.is_set():
            if not self.healthy:
                self._closing.wait(RETRY_S)
                self._flush()
            # Without work it still looks now and then whether the disk has room again.
            elif self._dirty.wait(RETRY_S):
                self._closing.wait(self._flush_interval_s)
                self._flush()
            if self._spare is None and self.healthy and time.monotonic() >= self._spare_due_s:
                self._replenish()
        self._flush()

    def _replenish(self) -> None:
        """Lay the next segment ready, so that no call ever waits for one."""
        try:
            spare = self._prepare(SPARE_NAME, self._segment_bytes)
            self._disk.sync(spare.descriptor)
        except OSError:
            self._is_full = True
            self._spare_due_s = time.monotonic() + RETRY_S
            return
        self._is_full = False
        self._spare = spare

    def _flush(self) -> None:
        self._dirty.clear()
        with self._lock:
            batch, self._unsynced = self._unsynced, []
            waiters, self._waiters = self._waiters, []
            retired, self._retired = self._retired, []
            is_new, self._is_new = self._is_new, False
            descriptor = self._segment.descriptor
            self._is_syncing = True
        is_safe = (self.healthy and self._sync([segment.descriptor for segment, _ in retired] + [descriptor], is_new)) or self._rewrite(batch)
        self._let_go(retired)
        for loop, waiter in waiters:
            _answer(loop, waiter, None if is_safe else JournalBroken("The journal is not on stable storage."))

    def _sync(self, descriptors: list[int], is_new: bool) -> bool:
        try:
            for descriptor in descriptors:
                self._disk.sync(descriptor)
            if is_new:
                sync_directory(self.directory)
        except OSError:
            return False
        self._is_syncing = False
        return True

    def _rewrite(self, batch: list[bytes]) -> bool:
        """After a failed sync the same file may lie about the next one: write everything unsynced to a new segment and sync that.

        Intake takes each call once, so that writing twice is harmless. Until this succeeds nothing more is appended.
        """
        with self._lock:
            self._unsynced = batch + self._unsynced
            self._is_syncing = False
            content = b"".join(self._unsynced)
            if self._spare is not None:
                self._let_go([(self._spare, 0)])
                self._spare = None
            try:
                fresh = self._prepare(NEXT_NAME, self._segment_bytes + len(content))
                fresh.memory[HEADER_BYTES : HEADER_BYTES + len(content)] = content
                try:
                    self._disk.sync(fresh.descriptor)
                except OSError:
                    self._let_go([(fresh, 0)])
                    raise
                condemned = [*self._retired, (self._segment, self._size)]
                self._adopt(fresh)
                self._size = HEADER_BYTES + len(content)
                self._retired = []
                self._let_go(condemned)
                sync_directory(self.directory)
            except OSError:
                self.healthy = False
                return False
            self._unsynced = []
            self._is_new = False
            self.healthy = True
            return True


def sync_directory(directory: Path) -> None:
    """Make the names in a directory survive a power loss."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _take_lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise OSError("another writer holds it") from error
            time.sleep(0.002)
        else:
            return descriptor


def _answer(loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[None], error: JournalBroken | None) -> None:
    def settle() -> None:
        if waiter.done():
            return
        if error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(error)

    if not loop.is_closed():
        loop.call_soon_threadsafe(settle)
