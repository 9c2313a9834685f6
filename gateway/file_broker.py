"""Celery's broker of files for one machine, made to look around often. Knows nothing about tasks."""

from typing import Any

from kombu.transport import filesystem

TURN_S = 0.25


class Transport(filesystem.Transport):
    """Kombu's file transport with short waits: only between two waits does a worker notice that it is to stop."""

    polling_interval = TURN_S

    def drain_events(self, connection: Any, timeout: float | None = None, **kwargs: Any) -> None:
        """Deliver one message or raise TimeoutError after `timeout` seconds, 0.25 at most."""
        super().drain_events(connection, timeout=TURN_S if timeout is None else min(timeout, TURN_S), **kwargs)
