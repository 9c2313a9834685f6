"""Does the harm that directives ask for, on the real socket. Knows the shapes of no wire; the wire module is handed in."""

import asyncio
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from gateway.simulator.connection import Connection
from gateway.simulator.directives import Directives
from gateway.simulator.problems import Problem

JSON = (b"content-type", b"application/json")
SSE = (b"content-type", b"text/event-stream; charset=utf-8")
BLOCK_BYTES = 65_536
# events written together when there is no pace: one system call for sixteen tokens
BATCH = 16
GARBAGE = b"\xff\xfe{]\x00"
HTML = b"<!doctype html><html><head><title>Sign in</title></head><body><h1>Simulated portal page</h1></body></html>"


class Wire(Protocol):
    """What a fault needs to know of a wire."""

    def problem(self, error: Problem) -> bytes:
        """Return an error body."""

    def error_event(self) -> bytes:
        """Return a failure inside a stream."""

    def headers(self, seed: bytes) -> list[tuple[bytes, bytes]]:
        """Return the vendor's answer headers."""


async def before_answer(connection: Connection, directives: Directives, wire: Wire, seed: bytes) -> bool:
    """Do whatever harm comes before an answer; True when nothing is left to answer. `delay` is in milliseconds."""
    if directives.number("delay"):
        await asyncio.sleep(directives.number("delay") / 1_000)
    if directives.word("stall") == "before":
        await connection.hang()
    elif directives.word("reset") == "before":
        await connection.reset()
    elif directives.word("close") == "before":
        await connection.close()
    elif directives.word("garbage") == "http":
        await connection.close(b"\x16\x03\x01\x00\xffthis is not HTTP\r\n\r\n")
    elif directives.has("redirect"):
        await _send(connection, 302, [(b"location", directives.word("redirect").encode("ascii", "ignore"))], b"")
    elif directives.has("html"):
        await _send(connection, 200, [(b"content-type", b"text/html; charset=utf-8"), (b"set-cookie", b"session=simulated")], HTML)
    elif directives.has("gzip_bomb"):
        await _bomb(connection, directives.number("gzip_bomb"))
    elif directives.number("status", 200) != 200:
        await _refuse(connection, directives, wire, seed)
    else:
        return False
    return True


async def _send(connection: Connection, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    length = [] if status in (204, 304) else [(b"content-length", str(len(body)).encode())]
    await connection.start(status, headers + length)
    await connection.finish(body)


async def _refuse(connection: Connection, directives: Directives, wire: Wire, seed: bytes) -> None:
    status = directives.number("status")
    headers = [JSON, *wire.headers(seed)]
    if directives.has("retry_after"):
        headers.append((b"retry-after", str(directives.number("retry_after")).encode()))
    body = b"" if status in (204, 304) else wire.problem(Problem(status, f"Simulated status {status}."))
    await _send(connection, status, headers, body)


async def _bomb(connection: Connection, size_bytes: int) -> None:
    """Send a small gzip body that is `size_bytes` of spaces when unpacked."""
    await connection.start(200, [JSON, (b"content-encoding", b"gzip")])
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b" " * (1 << 20)
    for start in range(0, size_bytes, len(block)):
        packed = packer.compress(block[: size_bytes - start])
        if connection.gone:
            return
        if packed:
            await connection.write(packed)
        # packing a MiB takes some ms: other exchanges get their turn
        await asyncio.sleep(0)
    await connection.finish(packer.flush())


def head(directives: Directives, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the answer's headers, with an oversized one when that was asked for."""
    if not directives.has("huge_header"):
        return headers
    return [*headers, (b"x-simulated-huge", b"x" * directives.number("huge_header"))]


async def whole(connection: Connection, directives: Directives, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    """Send an answer that is not streamed, harmed as asked."""
    middle = len(body) // 2
    if directives.word("garbage") == "body":
        body = body[:middle] + GARBAGE
    broken = {"cut", "endless"} & directives.words.keys()
    await connection.start(200, head(directives, headers if broken else [*headers, (b"content-length", str(len(body)).encode())]))
    if not any(directives.has(name) for name in ("reset", "stall", "close", "cut", "endless", "split_utf8")):
        await connection.finish(body)
    elif directives.has("split_utf8"):
        await _bytewise(connection, body)
        await connection.finish()
    else:
        await connection.write(body[:middle])
        if directives.has("endless"):
            await _endless(connection)
        elif not await _ended(connection, directives):
            await connection.finish(body[middle:])


async def _endless(connection: Connection) -> None:
    while not connection.gone:
        await connection.write(b" " * BLOCK_BYTES)
        await asyncio.sleep(0)


async def _ended(connection: Connection, directives: Directives) -> bool:
    """Do the harm that ends an answer in its middle; True when it did."""
    if directives.word("reset") == "mid":
        await connection.reset()
    elif directives.word("stall") == "mid":
        await connection.hang()
    elif directives.word("close") == "mid":
        await connection.close()
    elif directives.has("cut"):
        await connection.finish()
    else:
        return False
    return True


async def stream(
    connection: Connection,
    directives: Directives,
    wire: Wire,
    headers: list[tuple[bytes, bytes]],
    events: Iterable[bytes],
    middle: int,
    pace_ms: int,
    text_event: Callable[[str], bytes],
) -> None:
    """Send events with `pace_ms` between them; after the `middle` first ones the harm that was asked for is done."""
    await connection.start(200, head(directives, headers))
    batch: list[bytes] = []
    limit = 1 if pace_ms or directives.has("split_utf8") else BATCH
    for place, event in enumerate(events):
        if place == middle and (directives.words or directives.has("huge_line")):
            await _flush(connection, directives, batch)
            if await _harm(connection, directives, wire, text_event):
                return
        batch.append(event)
        if len(batch) >= limit:
            await _flush(connection, directives, batch)
            if connection.gone:
                return
            # sleep(0) lets others run: a stream without pace must not keep the loop to itself
            await asyncio.sleep(pace_ms / 1_000)
    await _flush(connection, directives, batch)
    await connection.finish()


async def _flush(connection: Connection, directives: Directives, batch: list[bytes]) -> None:
    if not batch:
        return
    data = b"".join(batch)
    batch.clear()
    if directives.has("crlf"):
        data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if directives.has("split_utf8"):
        await _bytewise(connection, data)
    else:
        await connection.write(data)


async def _bytewise(connection: Connection, data: bytes) -> None:
    for place in range(len(data)):
        await connection.write(data[place : place + 1])
        await asyncio.sleep(0)


async def _harm(connection: Connection, directives: Directives, wire: Wire, text_event: Callable[[str], bytes]) -> bool:
    if directives.has("comments"):
        await connection.write(b": keep-alive\n\n")
    if directives.word("garbage") == "body":
        await connection.write(b"data: {not json " + GARBAGE + b"\n\n")
    if directives.has("huge_line"):
        for part in _huge(directives.number("huge_line"), text_event):
            await connection.write(part)
    if directives.has("in_stream_error"):
        await connection.finish(wire.error_event())
        return True
    return await _ended(connection, directives)


def _huge(size_bytes: int, text_event: Callable[[str], bytes]) -> Iterator[bytes]:
    before, after = text_event("@").split(b"@")
    yield before
    for start in range(0, size_bytes, BLOCK_BYTES):
        yield b"x" * min(BLOCK_BYTES, size_bytes - start)
    yield after


def described(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, Any]:
    """Return request headers for `echo=headers`; of a credential only that it was there."""
    secret = {b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"cookie"}
    return {name.decode("latin-1"): "present" if name in secret else value.decode("latin-1") for name, value in headers}
