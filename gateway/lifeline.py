"""Ties a child process to its parent, so that nothing is left behind when the parent is killed. Standard library only."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

# Loaded at import: nothing may be loaded between fork and exec.
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(parent: int, number: int = signal.SIGKILL) -> None:
    """Have the kernel send this process signal `number` when its parent ends, or now if `parent` is gone already; Linux only."""
    if _libc is None:
        return
    _libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)
