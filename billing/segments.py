"""How a journal lies on disk: one directory per worker, numbered segments, a lock that only a living writer holds. No Django."""

import fcntl
import os
from pathlib import Path

# A segment opens with this and 16 random bytes, so that its identity outlives its file name.
MAGIC = b"sgwjrnl1"
IDENTITY_BYTES = 16
HEADER_BYTES = len(MAGIC) + IDENTITY_BYTES
LOCK_NAME = "lock"
SUFFIX = ".journal"


def segment_path(directory: Path, number: int) -> Path:
    """Where a worker's segment of this number lies."""
    return directory / f"{number:08d}{SUFFIX}"


def segment_numbers(directory: Path) -> list[int]:
    """Numbers of the segments in a worker's directory, ascending."""
    return sorted(int(path.stem) for path in directory.glob(f"*{SUFFIX}") if path.stem.isdigit())


def first_live_number(directory: Path) -> int | None:
    """Number of the first segment of the writer that holds the worker's directory, or None if no writer is alive."""
    try:
        descriptor = os.open(directory / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.pread(descriptor, 8, 0) or b"0")
    else:
        return None
    finally:
        os.close(descriptor)
