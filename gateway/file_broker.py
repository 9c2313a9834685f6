"""Celery's broker of files for one machine, made to look around often and never to read half a message. Knows nothing about tasks."""

import uuid
from pathlib import Path
from time import monotonic
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import filesystem
from kombu.utils.json import dumps

TURN_S = 0.25
# what no queue's messages are named like while they are being written
DRAFT = ".draft"


class Channel(filesystem.Channel):
    """Kombu's channel of files, whose messages appear whole: kombu writes them under their final names, and who reads meanwhile finds nothing in them."""

    def _put(self, queue: str, payload: Any, **kwargs: Any) -> None:  # type: ignore[override]  # kombu types it differently at each level
        folder = Path(self.data_folder_out)
        name = f"{round(monotonic() * 1000)}_{uuid.uuid4()}.{queue}.msg"
        draft = folder / (name + DRAFT)
        try:
            draft.write_bytes(dumps(payload).encode())
            draft.rename(folder / name)
        except OSError as error:
            raise ChannelError(f"Cannot add file {name!r} to directory") from error


class Transport(filesystem.Transport):
    """Kombu's file transport with short waits: only between two waits does a worker notice that it is to stop."""

    Channel = Channel
    polling_interval = TURN_S

    def drain_events(self, connection: Any, timeout: float | None = None, **kwargs: Any) -> None:
        """Deliver one message or raise TimeoutError after `timeout` seconds, 0.25 at most."""
        super().drain_events(connection, timeout=TURN_S if timeout is None else min(timeout, TURN_S), **kwargs)
