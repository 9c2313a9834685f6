"""How bodies are read: small ones into memory, large uploads onto disk, all within limits of size, time and room."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway import bodies
from gateway.bodies import HELD_BYTES, read
from gateway.errors import Overloaded, Refusal, SlowSender, TooLarge
from gateway.plane.pieces import Pieces

LIMIT_BYTES = 4 * HELD_BYTES
PIECE = bytes(range(256)) * 256


@pytest.fixture
def worker(tmp_path: Path) -> Any:
    settings = SimpleNamespace(body_limit_bytes=LIMIT_BYTES // 2, upload_limit_bytes=LIMIT_BYTES, upload_dir=tmp_path / "uploads", body_timeout_s=30)
    return SimpleNamespace(settings=settings, deadlines={})


def visitor(pieces: Iterable[bytes] = (), *, body: bytes | None = None, leaves: bool = False, length: int = 0) -> Any:
    """Return whoever sends these pieces, and then leaves, or says that this is all, or says nothing more."""
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.disconnect"} if leaves else {"type": "http.request", "body": b"", "more_body": False})
    coming = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(coming)

    headers = {b"content-length": b"%d" % length} if length else {}
    return SimpleNamespace(body=body, receive=receive, headers=headers, task=asyncio.current_task(), left=False)


@pytest.mark.parametrize("is_upload", [False, True])
async def test_a_small_body_is_held_in_memory(worker: Any, is_upload: bool) -> None:
    assert await read(visitor([b"{", b"}"]), worker, is_upload=is_upload) == b"{}"
    assert await read(visitor(body=b"{}"), worker, is_upload=is_upload) == b"{}"
    assert (worker.deadlines, worker.settings.upload_dir.exists()) == ({}, False)


@pytest.mark.parametrize("is_told", [False, True])
async def test_a_large_upload_goes_to_a_file_without_a_name(worker: Any, is_told: bool) -> None:
    pieces = [PIECE] * 40
    body = await read(visitor(pieces, length=len(PIECE) * 40 if is_told else 0), worker, is_upload=True)
    assert isinstance(body, Pieces)
    assert (body[:] == b"".join(pieces), list(worker.settings.upload_dir.iterdir()), worker.deadlines) == (True, [], {})
    assert worker.settings.upload_dir.stat().st_mode & 0o777 == 0o700


async def refusal(reading: Any) -> type[Refusal]:
    with pytest.raises(Refusal) as caught:
        await reading
    return caught.type


async def test_more_than_the_limit_is_refused_while_it_comes(worker: Any) -> None:
    def endless() -> Iterable[bytes]:
        return [PIECE] * (2 * LIMIT_BYTES // len(PIECE))

    assert await refusal(read(visitor(endless()), worker, is_upload=False)) is TooLarge
    assert await refusal(read(visitor(endless()), worker, is_upload=True)) is TooLarge
    assert await refusal(read(visitor(body=bytes(LIMIT_BYTES)), worker, is_upload=False)) is TooLarge
    assert list(worker.settings.upload_dir.iterdir()) == []


async def test_whoever_leaves_is_not_answered(worker: Any) -> None:
    gone = visitor([PIECE] * 40, leaves=True)
    with pytest.raises(asyncio.CancelledError):
        await read(gone, worker, is_upload=True)
    assert (gone.left, list(worker.settings.upload_dir.iterdir())) == (True, [])


async def test_whoever_pauses_too_long_is_told_so(worker: Any) -> None:
    async def slow() -> type[Refusal]:
        sender = visitor()
        sender.receive = asyncio.Event().wait
        return await refusal(read(sender, worker, is_upload=True))

    task = asyncio.ensure_future(slow())
    await asyncio.sleep(0)
    worker.deadlines.clear()  # as the worker does once a second with what is over
    task.cancel()
    assert await task is SlowSender


@pytest.mark.parametrize("is_told", [False, True])
async def test_a_full_disk_takes_no_upload(worker: Any, is_told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SPARED_BYTES", 1 << 60)
    assert await refusal(read(visitor([PIECE] * 40, length=len(PIECE) * 40 if is_told else 0), worker, is_upload=True)) is Overloaded
    assert await read(visitor([b"small"]), worker, is_upload=True) == b"small"
    monkeypatch.setattr(bodies, "SPARED_BYTES", 0)
    assert await refusal(read(visitor([PIECE] * 40, length=1 << 60), worker, is_upload=True)) is Overloaded
