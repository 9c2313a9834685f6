"""Reads what callers send, within limits of size and time: what must be looked through into memory, large forms and files onto disk."""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from gateway.errors import Overloaded, SlowSender, TooLarge
from gateway.plane.pieces import Pieces
from gateway.plane.worker import Worker
from gateway.terms import Body
from gateway.visitors import Visitor

# what is larger goes to disk, so much at a time
HELD_BYTES = 1 << 20
# so much of the disk is left to the journal and the database
SPARED_BYTES = 256 << 20


def too_large(limit_bytes: int) -> TooLarge:
    """Return the refusal of a body above the limit."""
    return TooLarge(f"The request body is larger than {limit_bytes} bytes. Send less, or ask your IT administrator to raise the limit.")


async def read(visitor: Visitor, worker: Worker, *, is_upload: bool) -> Body:
    """Return a request's whole body, an upload as one where it is large. Raises TooLarge, SlowSender, Overloaded; CancelledError when the caller leaves."""
    settings = worker.settings
    limit_bytes = settings.upload_limit_bytes if is_upload else settings.body_limit_bytes
    if visitor.body is not None:
        if len(visitor.body) > limit_bytes:
            raise too_large(limit_bytes)
        return visitor.body
    task = visitor.task
    assert task is not None
    _wait_on(worker, task)
    try:
        body = await (_upload(visitor, worker, task) if is_upload else _text(visitor, limit_bytes))
    except asyncio.CancelledError:
        # whoever looks after the deadlines takes out what is over
        if visitor.left or task in worker.deadlines:
            raise
        task.uncancel()
        raise SlowSender("The request body did not arrive in time. Send it again without pausing.") from None
    del worker.deadlines[task]
    return body


def _wait_on(worker: Worker, task: asyncio.Task[Any]) -> None:
    worker.deadlines[task] = asyncio.get_running_loop().time() + worker.settings.body_timeout_s


async def _piece(visitor: Visitor) -> tuple[bytes, bool]:
    """Return the next piece of a body, and whether more will come."""
    message = await visitor.receive()
    if message["type"] == "http.disconnect":
        visitor.left = True
        raise asyncio.CancelledError
    return message.get("body", b""), message.get("more_body", False)


async def _text(visitor: Visitor, limit_bytes: int) -> bytes:
    piece, has_more = await _piece(visitor)
    if not has_more:
        return piece
    # its value is what was written into it, where a list would be copied once more
    body = BytesIO(piece)
    body.seek(0, os.SEEK_END)
    while has_more:
        piece, has_more = await _piece(visitor)
        body.write(piece)
        if body.tell() > limit_bytes:
            raise too_large(limit_bytes)
    return body.getvalue()


async def _upload(visitor: Visitor, worker: Worker, task: asyncio.Task[Any]) -> Body:
    """Return an upload's body; each part of it that goes to disk has the time of a whole body."""
    in_thread, settings = asyncio.get_running_loop().run_in_executor, worker.settings
    file: IO[bytes] | None = None
    pieces: list[bytes] = []
    held = size = 0
    has_more = True
    while has_more:
        piece, has_more = await _piece(visitor)
        pieces.append(piece)
        held, size = held + len(piece), size + len(piece)
        if size > settings.upload_limit_bytes:
            raise too_large(settings.upload_limit_bytes)
        if held < HELD_BYTES and (has_more or file is None):
            continue
        if file is None:
            file = await in_thread(None, opened, settings.upload_dir, int(visitor.headers.get(b"content-length", b"0")))
        await in_thread(None, append, file, pieces)
        held = 0
        pieces = []
        _wait_on(worker, task)
    return b"".join(pieces) if file is None else Pieces(file, range(size))


def opened(folder: Path, expected_bytes: int) -> IO[bytes]:
    """Return a file without a name, with room for what is expected. Raises Overloaded where the disk has none."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  # it is closed with the last who knows it
    try:
        _check_room(file, expected_bytes)
        if expected_bytes:
            os.posix_fallocate(file.fileno(), 0, expected_bytes)
    except OSError:
        raise no_room() from None
    return file


def append(file: IO[bytes], pieces: Sequence[bytes]) -> None:
    """Write pieces to the end of a file. Raises Overloaded where the disk has no room."""
    rest = memoryview(b"".join(pieces))
    try:
        _check_room(file, 0)
        while rest:
            rest = rest[file.write(rest) :]
    except OSError:
        raise no_room() from None


def _check_room(file: IO[bytes], expected_bytes: int) -> None:
    disk = os.fstatvfs(file.fileno())
    if disk.f_bavail * disk.f_frsize < expected_bytes + SPARED_BYTES:
        raise no_room()


def no_room() -> Overloaded:
    """Return the refusal of an upload for which the disk has no room."""
    return Overloaded("The gateway's disk has no room for this upload now. Try again later; if it lasts, tell your IT administrator.", retry_after_s=60)
