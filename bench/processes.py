"""What the kernel says of processes: CPU from the scheduler, memory, who listens where, core pinning. Linux only."""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

PROC = Path("/proc")


def cpu_us(pids: Iterable[int]) -> float:
    """Return the CPU time of all threads of the processes in microseconds; threads that have ended are lost."""
    total_ns = 0
    for pid in pids:
        with suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                with suppress(OSError):
                    total_ns += int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0])
    return total_ns / 1000


def memory_mb(pids: Iterable[int]) -> float:
    """Return the proportional set size of the processes in MB, swapped pages included."""
    total_kb = 0
    for pid in pids:
        with suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total_kb += sum(int(kb) for kb in re.findall(r"^(?:Pss|SwapPss):\s+(\d+)", rollup, re.MULTILINE))
    return total_kb / 1024


def children(pid: int) -> dict[int, str]:
    """Return the descendants of a process with their command lines."""
    found: dict[int, str] = {}
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                found[int(child)] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
                found |= children(int(child))
    return found


def listening(url: str) -> tuple[int, ...]:
    """Return the processes that hold the listening socket of a URL's port on this machine."""
    port = urlsplit(url).port or 80
    sockets = set()
    for family in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{family}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == "0A" and int(columns[1].rpartition(":")[2], 16) == port:
                sockets.add(f"socket:[{columns[9]}]")
    return tuple(sorted(int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit() and _holds(entry, sockets)))


def _holds(process: Path, sockets: set[str]) -> bool:
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                if os.readlink(descriptor) in sockets:
                    return True
    return False


def pin(pids: Iterable[int], core: int, nice: int = 0) -> None:
    """Pin every thread of the processes to a core; `nice` lowers their priority."""
    for pid in pids:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread), {core})
                if nice:
                    os.setpriority(os.PRIO_PROCESS, int(thread), nice)


def processor() -> str:
    """Return the processor's name, empty where the kernel does not say."""
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else ""
