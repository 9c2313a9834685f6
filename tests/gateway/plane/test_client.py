"""The upstream client against a vendor that misbehaves in every way we know."""

import asyncio
import datetime as dt
import gc
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from accounts.addresses import AddressRules
from gateway.errors import UpstreamFault
from gateway.plane.client import Client, Endpoint, Exchange, Limits, endpoint_of
from gateway.plane.client_httpx import HttpxClient
from gateway.terms import Deadlines
from tests.fakes.ports import free_port
from tests.fakes.upstream import EVENTS, JSON, SSE, Turn, Upstream, raw, stream

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: vendor\r\nauthorization: Bearer x\r\naccept-encoding: identity\r\n"
SHORT = Deadlines(connect_ms=5_000, first_byte_ms=150, idle_ms=150, total_ms=60_000)
LOOPBACK = AddressRules("loopback")
TRANSPORTS = [Client, HttpxClient]


def client_of(upstream: Upstream, make: Callable[..., Any] = Client, ca_pem: str = "", **options: Any) -> Any:
    return make(endpoint_of(upstream.url, ca_pem=ca_pem, rules=LOOPBACK), **options)


def idle(client: Any) -> int:
    """Return how many connections rest in the pool."""
    if isinstance(client, Client):
        return client.idle
    pool = client._http._transport._pool  # httpx has no public count
    return sum(connection.is_idle() and not connection.is_closed() for connection in pool.connections)


async def whole(client: Any, body: bytes = b"{}", head: bytes = HEAD, limit_bytes: int = 0) -> tuple[int, bytes]:
    """Return status and body of one call."""
    async with await client.open(head, body) as exchange:
        return exchange.status, await exchange.read(limit_bytes)


async def streamed(client: Any, deadlines: Deadlines | None = None) -> tuple[bytes, str]:
    """Return what came by chunks and the kind of fault that ended it ("" : a good end)."""
    data = b""
    async with await client.open(HEAD, b"{}", deadlines) as exchange:
        try:
            while piece := await exchange.chunks():
                data += piece
        except UpstreamFault as fault:
            return data, fault.kind
    return data, ""


async def fault_of(awaitable: Any) -> tuple[str, bool]:
    """Return kind and `sent` of the fault the call ends in."""
    with pytest.raises(UpstreamFault) as caught:
        await awaitable
    return caught.value.kind, caught.value.sent


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_calls_reuse_one_connection(make: Callable[..., Any]) -> None:
    async with Upstream() as upstream:
        client = client_of(upstream, make)
        for number in range(3):
            assert await whole(client, b'{"n":%d}' % number) == (200, JSON)
        assert [(r.method, r.path, r.body, r.connection) for r in upstream.requests] == [("POST", "/v1/chat/completions", b'{"n":%d}' % n, 0) for n in range(3)]
        await client.aclose()


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_the_request_is_the_callers_head_and_a_length(make: Callable[..., Any]) -> None:
    async with Upstream() as upstream:
        client = client_of(upstream, make)
        await whole(client, b"x" * 300_000)
        await whole(client, b"")
        await whole(client, b"", head=b"GET /v1/models HTTP/1.1\r\nhost: vendor\r\n")
        base = {"host": "vendor", "authorization": "Bearer x", "accept-encoding": "identity"}
        assert [(r.headers, len(r.body)) for r in upstream.requests] == [
            ({**base, "content-length": "300000"}, 300_000),
            ({**base, "content-length": "0"}, 0),
            ({"host": "vendor"}, 0),
        ]
        await client.aclose()


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_a_stale_pooled_connection_is_replaced_once(make: Callable[..., Any]) -> None:
    async def script(turn: Turn) -> None:
        if turn.number == 1:
            turn.reset()
        else:
            await turn.answer(JSON)

    async with Upstream(script) as upstream:
        client = client_of(upstream, make)
        assert [await whole(client), await whole(client)] == [(200, JSON), (200, JSON)]
        assert [request.connection for request in upstream.requests] == [0, 0, 1]
        await client.aclose()


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_a_second_loss_is_a_fault(make: Callable[..., Any]) -> None:
    async def script(turn: Turn) -> None:
        if turn.number == 0:
            await turn.answer(JSON)
        else:
            turn.reset()

    async with Upstream(script) as upstream:
        client = client_of(upstream, make)
        await whole(client)
        assert await fault_of(whole(client)) == ("reset", True)
        assert (len(upstream.requests), client.in_use, idle(client)) == (3, 0, 0)
        await client.aclose()


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_a_loss_after_the_first_byte_is_never_repeated(make: Callable[..., Any]) -> None:
    async def script(turn: Turn) -> None:
        if turn.number == 0:
            await turn.answer(JSON)
        else:
            await turn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n12")
            turn.close()

    async with Upstream(script) as upstream:
        client = client_of(upstream, make)
        await whole(client)
        assert await fault_of(whole(client)) == ("reset", True)
        assert len(upstream.requests) == 2
        await client.aclose()


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_a_refused_connection_was_not_sent(make: Callable[..., Any]) -> None:
    client = make(Endpoint(scheme="http", host="127.0.0.1", port=free_port(), allow_private=LOOPBACK))
    assert await fault_of(client.open(HEAD, b"{}")) == ("connect", False)
    await client.aclose()


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_a_connection_that_is_never_accepted_times_out(make: Callable[..., Any]) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)  # accepts TCP, never answers the TLS hello
    port = server.sockets[0].getsockname()[1]
    client = make(Endpoint(scheme="https", host="127.0.0.1", port=port, allow_private=LOOPBACK))
    assert await fault_of(client.open(HEAD, b"{}", Deadlines(connect_ms=100))) == ("connect_timeout", False)
    assert await fault_of(client.open(HEAD, b"{}", Deadlines(connect_ms=5_000, total_ms=100))) == ("total_timeout", False)
    server.close()


@pytest.mark.parametrize("make", TRANSPORTS)
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("reset_before", "reset"),
        ("close_before", "reset"),
        ("stall_first_byte", "first_byte_timeout"),
        ("endless_headers", "too_large|protocol"),
        ("huge_headers", "too_large"),
        ("garbage_status", "protocol"),
    ],
)
async def test_faults_before_the_answer(make: Callable[..., Any], fault: str, kind: str) -> None:
    async with Upstream(fault) as upstream:
        client = client_of(upstream, make)
        deadlines = Deadlines(connect_ms=150, first_byte_ms=150) if fault == "stall_first_byte" else None
        found, sent = await fault_of(client.open(HEAD, b"{}", deadlines))
        assert (found in kind.split("|"), sent) == (True, True)
        await upstream.closed(1)
        assert client.in_use == 0
        await client.aclose()


@pytest.mark.parametrize("make", TRANSPORTS)
@pytest.mark.parametrize(
    ("fault", "arrived", "kind"),
    [
        ("sse", SSE, ""),
        ("split_utf8", SSE, ""),
        ("reset_mid", EVENTS[0], "reset"),
        ("close_mid", EVENTS[0], "reset"),
        ("stall_mid", EVENTS[0], "idle_timeout"),
        ("bad_chunk", b"hello", "protocol"),
        ("short_body", b"only this", "reset"),
        ("close_delimited", b"until the end", ""),
    ],
)
async def test_faults_in_a_stream(make: Callable[..., Any], fault: str, arrived: bytes, kind: str) -> None:
    async with Upstream(fault) as upstream:
        client = client_of(upstream, make)
        data, found = await streamed(client, SHORT if fault == "stall_mid" else None)
        if fault in ("bad_chunk", "reset_mid") and make is HttpxClient:
            assert (arrived.startswith(data), found) == (True, kind)  # httpx gives up what came in the same read
        else:
            assert (data, found) == (arrived, kind)
        await client.aclose()


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_the_total_deadline_ends_a_stream_that_keeps_moving(make: Callable[..., Any]) -> None:
    async with Upstream("endless") as upstream:
        client = client_of(upstream, make)
        _, kind = await streamed(client, Deadlines(total_ms=200))
        assert kind == "total_timeout"
        await upstream.closed(1)


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_an_endless_body_ends_at_the_limit(make: Callable[..., Any]) -> None:
    async with Upstream("endless") as upstream:
        client = client_of(upstream, make, limits=Limits(body_bytes=1_000_000))
        assert (await streamed(client))[1] == "too_large"
        assert await fault_of(whole(client)) == ("too_large", True)
        assert await fault_of(whole(client, limit_bytes=1000)) == ("too_large", True)
        await upstream.closed(3)


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_a_promised_length_over_the_limit_is_refused(make: Callable[..., Any]) -> None:
    async with Upstream() as upstream:
        client = client_of(upstream, make)
        assert await fault_of(whole(client, limit_bytes=len(JSON) - 1)) == ("too_large", True)
        assert await whole(client, limit_bytes=len(JSON)) == (200, JSON)


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_gzip_is_undone_although_it_was_not_asked_for(make: Callable[..., Any]) -> None:
    async with Upstream("gzip") as upstream:
        client = client_of(upstream, make)
        assert await whole(client) == (200, JSON)
        assert await streamed(client) == (JSON, "")


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_a_gzip_bomb_stops_at_the_decoded_limit(make: Callable[..., Any]) -> None:
    async with Upstream("gzip_bomb") as upstream:
        client = client_of(upstream, make, limits=Limits(decoded_bytes=100_000))
        assert await fault_of(whole(client)) == ("too_large", True)


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_damaged_cut_and_unknown_encodings_are_faults(make: Callable[..., Any]) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: %s\r\ncontent-length: %d\r\n\r\n"
    for encoding, body in ((b"gzip", b"not gzip"), (b"gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00"), (b"br", b"whatever")):
        async with Upstream(raw(head % (encoding, len(body)) + body)) as upstream:
            assert await fault_of(whole(client_of(upstream, make))) == ("protocol", True)


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_redirects_html_and_errors_are_returned_as_they_are(make: Callable[..., Any]) -> None:
    for fault, status in (("redirect", 302), ("html", 200), ("unauthorized", 401), ("rate_limited", 429), ("overloaded", 529)):
        async with Upstream(fault) as upstream:
            client = client_of(upstream, make)
            assert ((await whole(client))[0], len(upstream.requests)) == (status, 1)
            await client.aclose()


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_answers_without_a_body(make: Callable[..., Any]) -> None:
    for fault in ("no_content", "not_modified"):
        async with Upstream(fault) as upstream:
            client = client_of(upstream, make)
            assert await whole(client) == ({"no_content": 204, "not_modified": 304}[fault], b"")
            assert await streamed(client) == (b"", "")
            assert upstream.connections == 1
            await client.aclose()


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_an_answer_to_head_has_a_length_and_no_body(make: Callable[..., Any]) -> None:
    async with Upstream(raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n")) as upstream:
        assert await whole(client_of(upstream, make), b"", head=b"HEAD / HTTP/1.1\r\nhost: x\r\n") == (200, b"")


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_interim_answers_are_ignored_and_an_upgrade_is_a_fault(make: Callable[..., Any]) -> None:
    async with Upstream("continue") as upstream:
        client = client_of(upstream, make)
        async with await client.open(HEAD, b"{}") as exchange:
            assert (exchange.status, exchange.headers) == (200, [(b"content-type", b"application/json"), (b"content-length", b"2")])
            assert await exchange.read() == b"{}"
        assert idle(client) == 1
        await client.aclose()
    async with Upstream("upgrade") as upstream:
        assert await fault_of(whole(client_of(upstream, make))) == ("protocol", True)


@pytest.mark.parametrize("fault", ["junk_after", "long_body"])
async def test_bytes_after_the_answer_cost_the_connection_and_are_never_shown(fault: str) -> None:
    async with Upstream(fault) as upstream:
        client = client_of(upstream)
        assert [await whole(client), await whole(client)] == [(200, b"{}"), (200, b"{}")]
        assert (upstream.connections, idle(client)) == (2, 0)
        await upstream.closed(2)


async def test_bytes_on_a_resting_connection_close_it() -> None:
    go = asyncio.Event()

    async def script(turn: Turn) -> None:
        await turn.answer(JSON)
        await go.wait()
        await turn.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
        await turn.hang()

    async with Upstream(script) as upstream:
        client = client_of(upstream)
        assert (await whole(client), idle(client)) == ((200, JSON), 1)
        go.set()
        await upstream.closed(1)
        assert idle(client) == 0


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_connection_close_is_obeyed(make: Callable[..., Any]) -> None:
    async with Upstream(raw(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}", then="hang")) as upstream:
        client = client_of(upstream, make)
        assert [await whole(client), await whole(client)] == [(200, b"{}")] * 2
        await upstream.closed(2)


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_close_cuts_an_unfinished_answer_at_once(make: Callable[..., Any]) -> None:
    async with Upstream("stall_mid") as upstream:
        client = client_of(upstream, make)
        exchange = await client.open(HEAD, b"{}")
        assert await exchange.chunks() == EVENTS[0]
        started = time.monotonic()
        exchange.close()
        exchange.close()
        await upstream.closed(1)
        assert upstream.closed_at[0] - started < 1
        assert await fault_of(exchange.chunks()) == ("reset", True)


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_a_cancelled_task_cuts_the_connection_while_opening_and_while_reading(make: Callable[..., Any]) -> None:
    async with Upstream("stall_first_byte") as upstream:
        client = client_of(upstream, make)
        task = asyncio.create_task(client.open(HEAD, b"{}"))
        await upstream.asked(1)
        task.cancel()
        await upstream.closed(1)
        assert (task.cancelled(), client.in_use) == (True, 0)
    async with Upstream("stall_mid") as upstream:
        client = client_of(upstream, make)
        task = asyncio.create_task(streamed(client))
        await upstream.asked(1)
        task.cancel()
        await upstream.closed(1)
        assert (task.cancelled(), client.in_use) == (True, 0)


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_closing_wakes_another_task_that_waits(make: Callable[..., Any]) -> None:
    async with Upstream("stall_mid") as upstream:
        exchange = await client_of(upstream, make).open(HEAD, b"{}")
        await exchange.chunks()
        waiting = asyncio.create_task(exchange.chunks())
        await asyncio.wait_for(asyncio.shield(asyncio.wait([waiting], timeout=0.01)), 5)
        exchange.close()
        assert await fault_of(waiting) == ("reset", True)


async def test_a_cancelled_wait_for_chunks_loses_nothing() -> None:
    go = asyncio.Event()

    async def script(turn: Turn) -> None:
        await turn.start_stream()
        await go.wait()
        await turn.chunk(b"late")
        await turn.chunk(b"")

    async with Upstream(script) as upstream, await client_of(upstream).open(HEAD, b"{}") as exchange:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(exchange.chunks(), 0.01)
        go.set()
        assert [await exchange.chunks(), await exchange.chunks()] == [b"late", b""]


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_a_slow_reader_holds_the_vendor_back_and_is_not_idle(make: Callable[..., Any]) -> None:
    size_bytes = 16_000_000
    sent = {"bytes": 0}

    async def script(turn: Turn) -> None:
        await turn.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size_bytes)
        for _ in range(size_bytes // 100_000):
            await turn.send(bytes(100_000))
            sent["bytes"] += 100_000
        await turn.hang()

    async with Upstream(script) as upstream:
        client = client_of(upstream, make, limits=Limits(buffer_bytes=100_000))
        async with await client.open(HEAD, b"{}", SHORT) as exchange:
            await asyncio.wait([asyncio.create_task(upstream.closed(1, 0.5))], timeout=5)  # longer than idle_ms: nothing is read meanwhile
            assert sent["bytes"] < size_bytes
            largest = total = 0
            while piece := await exchange.chunks():
                largest, total = max(largest, len(piece)), total + len(piece)
            assert (total, largest < 1_000_000) == (size_bytes, True)
        assert idle(client) == 1
        await client.aclose()


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_two_hundred_calls_at_once(make: Callable[..., Any]) -> None:
    async with Upstream() as upstream:
        client = client_of(upstream, make, max_idle=50)
        answers = await asyncio.gather(*(whole(client, b"%d" % n) for n in range(200)))
        assert answers == [(200, JSON)] * 200
        assert (sorted(int(r.body) for r in upstream.requests), client.in_use, idle(client)) == (list(range(200)), 0, 50)
        await client.aclose()
        await upstream.closed(upstream.connections)


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_a_closed_client_lets_calls_finish(make: Callable[..., Any]) -> None:
    go = asyncio.Event()

    async def script(turn: Turn) -> None:
        await turn.start_stream()
        await go.wait()
        await turn.chunk(b"done")
        await turn.chunk(b"")

    async with Upstream(script) as upstream:
        client = client_of(upstream, make)
        exchange = await client.open(HEAD, b"{}")
        await client.aclose()
        go.set()
        assert await exchange.read() == b"done"
        exchange.close()
        await upstream.closed(1)
        assert (idle(client), client.in_use) == (0, 0)


async def test_rested_connections_are_retired() -> None:
    async with Upstream() as upstream:
        client = client_of(upstream, limits=Limits(rest_ms=1))
        await whole(client)
        await upstream.closed(1)
        assert idle(client) == 0


async def test_an_ended_call_leaves_no_cycle_behind() -> None:
    async with Upstream("reset_mid") as faulty, Upstream() as good:
        clients = [client_of(faulty), client_of(good)]
        gc.collect()
        gc.disable()
        try:
            before = sum(type(thing) is Exchange for thing in gc.get_objects())
            for client in clients:
                await streamed(client)
                await whole(clients[1])
            assert sum(type(thing) is Exchange for thing in gc.get_objects()) == before
        finally:
            gc.enable()
        await clients[1].aclose()


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_addresses_are_checked_before_connecting(make: Callable[..., Any]) -> None:
    async with Upstream() as upstream:
        for host in ("127.0.0.1", "localhost", "::ffff:127.0.0.1", "127.1", "2130706433"):
            denied = make(Endpoint(scheme="http", host=host, port=upstream.port, allow_private=AddressRules("none")))
            assert await fault_of(denied.open(HEAD, b"{}")) == ("address_refused", False)
        for host in ("169.254.169.254", "10.0.0.1", "::ffff:169.254.169.254", "fe80::1", "0.0.0.0"):
            denied = make(Endpoint(scheme="http", host=host, port=80, allow_private=LOOPBACK))
            assert await fault_of(denied.open(HEAD, b"{}")) == ("address_refused", False)
        assert upstream.connections == 0
        named = make(Endpoint(scheme="http", host="localhost", port=upstream.port, allow_private=LOOPBACK))
        if make is Client:
            assert await whole(named) == (200, JSON)
    nowhere = make(Endpoint(scheme="http", host="nowhere.invalid", port=80))
    assert await fault_of(nowhere.open(HEAD, b"{}")) == ("connect", False)


@pytest.mark.parametrize("url", ["ftp://x", "http://", "https://user:pw@x", "x", "http://x:99999"])
def test_a_base_url_must_be_plain_http(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        endpoint_of(url)


class Certificates(NamedTuple):
    """A CA and a server context with a certificate for localhost."""

    ca_pem: str
    server: ssl.SSLContext


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder: Path = tmp_path_factory.mktemp("tls")
    now = dt.datetime.now(dt.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])

    def certificate(subject: x509.Name, public_key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(ca_name).public_key(public_key)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(days=1))
        builder = builder.not_valid_after(now + dt.timedelta(days=1)).add_extension(extension, critical=False)
        return builder.sign(ca_key, hashes.SHA256())

    ca = certificate(ca_name, ca_key.public_key(), x509.BasicConstraints(ca=True, path_length=None))
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    leaf = certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), key.public_key(), names)
    (folder / "leaf.pem").write_bytes(
        leaf.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "leaf.pem")
    return Certificates(ca.public_bytes(serialization.Encoding.PEM).decode(), context)


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_tls_with_the_accounts_own_ca(make: Callable[..., Any], certificates: Certificates) -> None:
    async with Upstream("sse", tls=certificates.server) as upstream:
        client = client_of(upstream, make, certificates.ca_pem)
        assert [await streamed(client), await whole(client)] == [(SSE, ""), (200, SSE)]
        assert (upstream.connections, len(upstream.requests)) == (1, 2)
        await client.aclose()


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_tls_refuses_an_unknown_ca_and_a_wrong_host(make: Callable[..., Any], certificates: Certificates) -> None:
    async with Upstream(tls=certificates.server) as upstream:
        assert await fault_of(client_of(upstream, make).open(HEAD, b"secret")) == ("tls", False)
        wrong = make(Endpoint(scheme="https", host="127.0.0.1", port=upstream.port, ca_pem=certificates.ca_pem, allow_private=LOOPBACK))
        assert await fault_of(wrong.open(HEAD, b"secret")) == ("tls", False)
        assert upstream.requests == []


@pytest.mark.parametrize("make", TRANSPORTS)
async def test_tls_faults_and_cancel(make: Callable[..., Any], certificates: Certificates) -> None:
    async with Upstream("stall_mid", tls=certificates.server) as upstream:
        client = client_of(upstream, make, certificates.ca_pem)
        assert await streamed(client, SHORT) == (EVENTS[0], "idle_timeout")
        exchange = await client.open(HEAD, b"{}")
        exchange.close()
        await upstream.closed(2)


def test_the_fake_serves_from_a_thread() -> None:
    with Upstream(stream(*EVENTS)) as upstream:

        async def call() -> tuple[bytes, str]:
            client = client_of(upstream)
            found = await streamed(client)
            await client.aclose()
            return found

        assert uvloop.run(call()) == (SSE, "")
        upstream.wait_closed(1)
        assert len(upstream.requests) == 1
