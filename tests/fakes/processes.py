"""Processes of the machine as /proc tells them."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path


def family(root: int) -> list[int]:
    """Return a process and everything below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [root]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def named(pids: list[int], name: bytes) -> list[int]:
    """Return those whose command line holds this name."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if name in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def tell(pids: list[int], number: signal.Signals) -> None:
    """Send a signal to each that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def wait_gone(pids: list[int], within_s: float = 10.0) -> None:
    """Wait until none of them runs any more; one that nobody has collected yet counts as gone."""
    until = time.monotonic() + within_s
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < until, f"not gone within {within_s} s: {pids}"
        time.sleep(0.01)  # a poll of other processes, bounded above


def is_running(pid: int) -> bool:
    """Say whether a process is there and not only waits to be collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@contextlib.contextmanager
def stopped(root: int) -> Iterator[None]:
    """Keep a process and everything below it from running, as if it hung."""
    pids = family(root)
    tell(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        tell(pids, signal.SIGCONT)
