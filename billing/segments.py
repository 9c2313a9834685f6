"""How a journal lies on disk: one directory per worker, numbered segments, a lock that only a living writer holds. No Django."""

import fcntl
import os
import secrets
import socket
from pathlib import Path

# A segment opens with this and 16 random bytes, so that its identity outlives its file name.
MAGIC = b"sgwjrnl1"
IDENTITY_BYTES = 16
HEADER_BYTES = len(MAGIC) + IDENTITY_BYTES
LOCK_NAME = "lock"
SUFFIX = ".journal"
HOST_NAME = "host"


def host_of(directory: Path) -> str:
    """Return the name under which the workers of this journal directory hold leases; made on first use, it moves with the journals."""
    path = directory / HOST_NAME
    if not path.exists():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = directory / f".{HOST_NAME}-{os.getpid()}"
        draft.write_text(f"{socket.gethostname()[:40]}-{secrets.token_hex(8)}")
        try:
            # whole or not at all, and the first one stays
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()


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
