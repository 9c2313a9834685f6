"""Ends the calls of callers who left and of keys that were revoked as compromised."""

import asyncio
import time

from gateway.plane.walk import CUT
from gateway.visitors import Visitor

# most calls end sooner than this and never need a watcher for a caller who leaves
WATCH_AFTER_S = 0.05


class Watchmen:
    """Begin to watch for callers who leave, once their call is older than most calls get: one timer for all instead of one for each."""

    def __init__(self) -> None:
        self._young: dict[Visitor, None] = {}
        self._old: set[Visitor] = set()
        self._is_timed = False

    def note(self, visitor: Visitor) -> None:
        """Take a visitor whose body has been read."""
        self._young[visitor] = None
        if not self._is_timed:
            self._time()

    def forget(self, visitor: Visitor) -> None:
        """Drop a visitor who was served."""
        if visitor in self._young:
            del self._young[visitor]
        else:
            self._old.discard(visitor)

    def cut(self, keys: frozenset[str]) -> int:
        """End every call of these keys now; return how many there were."""
        found = [(visitor, visitor.task) for visitor in (*self._young, *self._old) if visitor.key in keys]
        for visitor, task in found:
            visitor.is_revoked = True
            if task is not None:
                task.cancel(CUT)
        return len(found)

    def _time(self) -> None:
        self._is_timed = True
        asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._look)

    def _look(self) -> None:
        self._is_timed = False
        before = time.monotonic() - WATCH_AFTER_S / 2
        for visitor in [visitor for visitor in self._young if visitor.began <= before]:
            del self._young[visitor]
            self._old.add(visitor)
            watch(visitor)
        if self._young:
            self._time()


def watch(visitor: Visitor) -> None:
    """Begin to watch for a caller who leaves; their call is cancelled at once."""
    receive, task = visitor.receive, visitor.task
    assert task is not None

    async def wait() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        visitor.left = True
        task.cancel()

    watcher = asyncio.ensure_future(wait())
    task.add_done_callback(lambda _: watcher.cancel())
