"""Celery's messages by files: delivered, and a wait for them ends soon enough to notice a stop."""

import time
from pathlib import Path

import pytest
from django.conf import settings
from kombu import Connection
from kombu.exceptions import ChannelError

from gateway.celery import app
from gateway.file_broker import Transport


def connection_in(folder: Path) -> Connection:
    """Return a connection over files of this folder."""
    for name in ("messages", "control"):
        (folder / name).mkdir()
    options = {"data_folder_in": f"{folder}/messages", "data_folder_out": f"{folder}/messages", "control_folder": f"{folder}/control"}
    return Connection(settings.CELERY_BROKER_URL, transport=settings.CELERY_BROKER_TRANSPORT, transport_options=options)


def test_a_message_is_delivered_once(tmp_path: Path) -> None:
    with connection_in(tmp_path) as connection, connection.SimpleQueue("tasks") as queue:
        queue.put({"number": 7})
        message = queue.get(timeout=10)
        message.ack()
        assert (message.payload, queue.qsize()) == ({"number": 7}, 0)


def test_a_message_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_short(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:1])
        raise OSError("the machine stopped here")

    with connection_in(tmp_path) as connection, connection.SimpleQueue("whole") as queue:
        with monkeypatch.context() as patched, pytest.raises(ChannelError):
            patched.setattr(Path, "write_bytes", cut_short)
            queue.put({"number": 6})
        assert queue.qsize() == 0
        queue.put({"number": 7})
        assert queue.get(timeout=10).payload == {"number": 7}


def test_a_wait_of_two_seconds_ends_after_a_quarter(tmp_path: Path) -> None:
    with connection_in(tmp_path) as connection, connection.SimpleQueue("tasks"):
        started_s = time.monotonic()
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=2.0)
        assert 0.2 < time.monotonic() - started_s < 1.5


def test_the_worker_uses_it_and_says_nothing_about_hosts(caplog: pytest.LogCaptureFixture) -> None:
    with app.connection_for_read() as connection:
        assert (type(connection.transport), connection.info()["hostname"]) == (Transport, "localhost")
    assert caplog.records == []
