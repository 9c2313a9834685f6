"""The journal of one worker: append-only segments on local disk, written before a client hears of it. Knows nothing of what it writes."""

import asyncio
import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from billing.segments import HEADER_BYTES, IDENTITY_BYTES, LOCK_NAME, MAGIC, segment_numbers, segment_path

SEGMENT_BYTES = 16 * 1024 * 1024
# Room kept free so that calls already admitted can still be settled when the disk fills up.
RESERVE_BYTES = 1024 * 1024
RESERVE_NAME = "reserve"
# Intake holds the lock for microseconds to see whether a writer is alive.
LOCK_WAIT_S = 2.0
# How often a journal that cannot write looks whether it can again.
RETRY_S = 0.5
CLOSE_WAIT_S = 10.0


class JournalBroken(Exception):
    """Nothing can be written, or this worker's directory belongs to another writer."""


class Disk(Protocol):
    """The calls on files that a journal makes; each raises OSError."""

    def create(self, path: Path) -> int:
        """Create a file that must not exist and return its descriptor."""

    def write(self, descriptor: int, data: bytes) -> int:
        """Append and return how many bytes were written."""

    def sync(self, descriptor: int) -> None:
        """Return once what was written is on stable storage."""

    def cut(self, descriptor: int, length_bytes: int) -> None:
        """Drop everything past this length."""

    def reserve(self, path: Path, length_bytes: int) -> None:
        """Make a file that really occupies this many bytes."""


class LocalDisk:
    """The operating system's files."""

    def __init__(self) -> None:
        # The system call itself: a method around it would cost a third of an append.
        self.write: Callable[[int, bytes], int] = os.write
        self.sync: Callable[[int], None] = os.fdatasync
        self.cut: Callable[[int, int], None] = os.ftruncate

    def create(self, path: Path) -> int:
        """Create a file that must not exist and return its descriptor."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        sync_directory(path.parent)
        return descriptor

    def reserve(self, path: Path, length_bytes: int) -> None:
        """Make a file that really occupies this many bytes."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, length_bytes)
        finally:
            os.close(descriptor)


class Journal:
    """Appends records for one worker; safe to call from its event loop while the flusher thread runs.

    `append` survives the death of the process; what it wrote is on stable storage `flush_interval_ms` plus one fdatasync later.
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
        self._flush_interval_s = flush_interval_ms / 1000
        self._disk: Disk = disk or LocalDisk()
        self._write = self._disk.write
        self._lock = threading.Lock()
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._unsynced: list[bytes] = []
        self._is_syncing = False
        self._retired: list[int] = []
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._descriptor = -1
        self._size = 0
        self._has_reserve = False
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock_descriptor = _take_lock(self.directory / LOCK_NAME)
        except OSError as error:
            raise JournalBroken(f"Cannot take {self.directory}: {error}") from error
        try:
            self._sequence = max(segment_numbers(self.directory), default=0) + 1
            # Intake reads this: segments below it belong to earlier, dead writers.
            os.pwrite(self._lock_descriptor, b"%08d" % self._sequence, 0)
            self._open_segment()
            self._replenish()
        except OSError as error:
            os.close(self._lock_descriptor)
            raise JournalBroken(f"Cannot write to {self.directory}: {error}") from error
        self._flusher = threading.Thread(target=self._flush_until_closed, name=f"journal-{worker}", daemon=True)
        self._flusher.start()

    @property
    def writable(self) -> bool:
        """Whether a new billable call may be admitted; False also while only the reserve for calls in flight is left."""
        return self.healthy and self._has_reserve

    @property
    def depth_bytes(self) -> int:
        """Bytes of this worker's segments that intake has not yet removed."""
        depth = 0
        for number in segment_numbers(self.directory):
            try:
                depth += segment_path(self.directory, number).stat().st_size
            except FileNotFoundError:
                continue
        return depth

    def append(self, record_bytes: bytes) -> None:
        """Write one whole frame so that it survives the death of this process; raises JournalBroken if that is not possible."""
        with self._lock:
            if not self.healthy:
                raise JournalBroken("The journal is closed or its disk takes nothing.")
            if self._size >= self._segment_bytes:
                self._rotate()
            self._append_locked(record_bytes)
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
            for descriptor in (*self._retired, self._descriptor, self._lock_descriptor):
                if descriptor >= 0:
                    os.close(descriptor)
            self._retired = []
            self._descriptor = -1

    # ---- under the lock -----------------------------------------------------------------------------------------------

    def _append_locked(self, record_bytes: bytes) -> None:
        try:
            written = self._write(self._descriptor, record_bytes)
        except OSError:
            written = 0
        if written != len(record_bytes):
            self._append_elsewhere(record_bytes, written)
        self._size += len(record_bytes)

    def _append_elsewhere(self, record_bytes: bytes, written: int) -> None:
        """The current segment takes no more: free the reserve, start another segment and write there."""
        if written:
            # If this fails too, readers pass over the torn frame by its checksum.
            with contextlib.suppress(OSError):
                self._disk.cut(self._descriptor, self._size)
        self._spend_reserve()
        try:
            self._open_segment()
            written = self._write(self._descriptor, record_bytes)
        except OSError as error:
            self.healthy = False
            raise JournalBroken(f"Cannot write to {self.directory}: {error}") from error
        if written != len(record_bytes):
            self.healthy = False
            raise JournalBroken(f"Cannot write to {self.directory}: the disk is full.")

    def _rotate(self) -> None:
        try:
            self._open_segment()
        except OSError:
            # The full segment still takes records; the next append tries again.
            self._spend_reserve()

    def _open_segment(self) -> None:
        descriptor = self._create(MAGIC + os.urandom(IDENTITY_BYTES))
        if self._descriptor >= 0:
            self._retired.append(self._descriptor)
        self._descriptor = descriptor
        self._size = HEADER_BYTES

    def _create(self, content: bytes) -> int:
        path = segment_path(self.directory, self._sequence)
        self._sequence += 1
        descriptor = self._disk.create(path)
        try:
            if self._disk.write(descriptor, content) != len(content):
                raise OSError("the disk is full")
        except OSError:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        return descriptor

    def _spend_reserve(self) -> None:
        self._has_reserve = False
        (self.directory / RESERVE_NAME).unlink(missing_ok=True)

    def _replenish(self) -> None:
        try:
            self._disk.reserve(self.directory / RESERVE_NAME, RESERVE_BYTES)
        except OSError:
            self._spend_reserve()
        else:
            self._has_reserve = True

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
            if not self._has_reserve:
                with self._lock:
                    self._replenish()
        self._flush()

    def _flush(self) -> None:
        self._dirty.clear()
        with self._lock:
            batch, self._unsynced = self._unsynced, []
            waiters, self._waiters = self._waiters, []
            retired, self._retired = self._retired, []
            descriptor = self._descriptor
            self._is_syncing = True
        is_safe = (self.healthy and self._sync([*retired, descriptor])) or self._rewrite(batch)
        for retired_descriptor in retired:
            os.close(retired_descriptor)
        for loop, waiter in waiters:
            _answer(loop, waiter, None if is_safe else JournalBroken("The journal is not on stable storage."))

    def _sync(self, descriptors: list[int]) -> bool:
        try:
            for descriptor in descriptors:
                self._disk.sync(descriptor)
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
            content = MAGIC + os.urandom(IDENTITY_BYTES) + b"".join(self._unsynced)
            number = self._sequence
            try:
                descriptor = self._create(content)
                try:
                    self._disk.sync(descriptor)
                except OSError:
                    os.close(descriptor)
                    segment_path(self.directory, number).unlink(missing_ok=True)
                    raise
            except OSError:
                self.healthy = False
                return False
            for condemned in (*self._retired, self._descriptor):
                os.close(condemned)
            self._retired = []
            self._unsynced = []
            self._descriptor = descriptor
            self._size = len(content)
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
