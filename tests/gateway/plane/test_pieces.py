"""Uploads on disk: read like bytes, swapped like bytes, and sent no faster than the vendor takes them."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import IO, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import UpstreamFault
from gateway.plane.client import Endpoint, endpoint_of
from gateway.plane.pieces import BLOCK_BYTES, Pieces
from gateway.terms import Deadlines
from tests.fakes.upstream import JSON, Upstream
from tests.gateway.plane.test_client import HEAD, LOOPBACK, TRANSPORTS, client_of, whole

DATA = bytes(range(256)) * 20_000  # 5 MB
PATIENT = Deadlines(connect_ms=5_000, first_byte_ms=60_000, idle_ms=60_000, total_ms=60_000)


@pytest.fixture(scope="module")
def file() -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile(buffering=0) as made:
        made.write(DATA)
        yield made


def test_blocks_are_the_bytes_in_order_as_often_as_one_asks(file: IO[bytes]) -> None:
    upload = Pieces(file, range(len(DATA)))
    for _ in range(2):
        blocks = list(upload.blocks())
        assert (b"".join(blocks) == DATA, max(map(len, blocks))) == (True, BLOCK_BYTES)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 120), st.binary(max_size=9)), max_size=6), st.integers(0, 150), st.integers(0, 150))
def test_what_is_swapped_and_cut_is_what_bytes_would_be(file: IO[bytes], changes: list[tuple[int, int, bytes]], start: int, end: int) -> None:
    upload, plain = Pieces(file, range(100)), DATA[:100]
    for first, last, data in changes:
        first, last = sorted((min(first, len(plain)), min(last, len(plain))))
        upload, plain = upload.swapped(first, last, data), plain[:first] + data + plain[last:]
    assert (len(upload), upload[:], upload[start:end]) == (len(plain), plain, plain[start:end])


def test_a_file_that_became_shorter_is_an_error(file: IO[bytes]) -> None:
    with pytest.raises(OSError, match="shorter"):
        list(Pieces(file, range(len(DATA), len(DATA) + 1)).blocks())


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_an_upload_arrives_whole_and_may_be_sent_again(make: Callable[..., Any], file: IO[bytes]) -> None:
    upload = Pieces(file, b"{", range(len(DATA)), b"}")
    async with Upstream() as upstream:
        client = client_of(upstream, make)
        for _ in range(2):
            assert await whole(client, upload) == (200, JSON)  # type: ignore[arg-type]
        assert [request.body == b"{" + DATA + b"}" for request in upstream.requests] == [True, True]
        assert {request.connection for request in upstream.requests} == {0}
        await client.aclose()


def at(port: int) -> Endpoint:
    """Return a place on this machine."""
    return endpoint_of(f"http://127.0.0.1:{port}", rules=LOOPBACK)


def many(file: IO[bytes]) -> Pieces:
    """Return an upload larger than what sockets hold."""
    return Pieces(file, *[range(len(DATA))] * 20)


class Deaf(asyncio.Protocol):
    """A vendor that takes a request's head and then reads no more, answering with what it was given."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer the first bytes and read no more."""
        self._transport.pause_reading()
        self._transport.write(self._answer)


@asynccontextmanager
async def deaf(answer: bytes) -> AsyncIterator[int]:
    """Start a vendor that reads nothing; gives its port."""
    # nobody else knows a connection that is neither read nor written: it would be closed with the next collection of garbage
    known: list[Deaf] = []

    def meet() -> Deaf:
        known.append(Deaf(answer))
        return known[-1]

    server = await asyncio.get_running_loop().create_server(meet, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_a_vendor_that_takes_no_more_meets_the_deadline(make: Callable[..., Any], file: IO[bytes]) -> None:
    async with deaf(b"") as port:
        client = make(at(port))
        with pytest.raises(UpstreamFault) as caught:
            await client.open(HEAD, many(file), Deadlines(connect_ms=5_000, first_byte_ms=300, idle_ms=60_000, total_ms=60_000))
        assert (caught.value.kind, caught.value.sent) == ("first_byte_timeout", True)
        await client.aclose()


async def test_a_vendor_that_refuses_before_it_has_all_is_heard_and_not_asked_again_there(file: IO[bytes]) -> None:
    async with deaf(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n{}") as port:
        client = TRANSPORTS[0](at(port))
        async with await client.open(HEAD, many(file), PATIENT) as exchange:
            assert (exchange.status, await exchange.read()) == (413, b"{}")
        assert (client.idle, client.in_use) == (0, 0)
        await client.aclose()
