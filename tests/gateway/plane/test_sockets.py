"""WebSockets to a vendor: the rules of the data plane's client hold for them too."""

import asyncio
import json

import pytest
from websockets.asyncio.server import ServerConnection

from accounts.addresses import AddressRules
from gateway.errors import UpstreamFault
from gateway.plane.endpoint import endpoint_of
from gateway.plane.sockets import MESSAGE_BYTES, Gone, Refused, Socket, Sockets
from gateway.terms import Deadlines
from tests.fakes.live import WITHIN_S, LiveVendor
from tests.fakes.upstream import Script, Upstream, raw, whole
from tests.gateway.plane.test_client import Certificates, certificates

__all__ = ["certificates"]  # a fixture

HEAD = b"GET /v1/realtime?model=a%20b HTTP/1.1\r\nhost: other\r\ncontent-type: application/json\r\nauthorization: Bearer s3cret\r\nvia: 1.1 test\r\n"
PATIENT = Deadlines(connect_ms=5_000, first_byte_ms=5_000, idle_ms=5_000, total_ms=10_000)
FAST = Deadlines(connect_ms=5_000, first_byte_ms=200, idle_ms=5_000, total_ms=10_000)


def to(url: str, private: str = "loopback", deadlines: Deadlines = PATIENT) -> Sockets:
    """Return what opens sockets there."""
    return Sockets(endpoint_of(url, rules=AddressRules(private), deadlines=deadlines))


async def echo(connection: ServerConnection) -> None:
    """Say what is said."""
    async for message in connection:
        await connection.send(message)


async def test_messages_of_both_kinds_come_as_they_went() -> None:
    async with LiveVendor(echo) as vendor:
        socket = await to(vendor.url).open(HEAD, b"")
        assert isinstance(socket, Socket)
        for message in ('{"a" :"ö 🙂"}', b"\x00\xff", ""):
            await socket.send(message)
            assert await socket.receive() == message
        await socket.leave()
        async with asyncio.timeout(WITHIN_S):
            await vendor.ended.wait()
    headers = vendor.headers[0]
    assert (vendor.paths, vendor.codes) == (["/v1/realtime?model=a%20b"], [1000])
    assert (headers["authorization"], headers["via"], headers["host"]) == ("Bearer s3cret", "1.1 test", f"127.0.0.1:{vendor.port}")
    assert headers.keys().isdisjoint({"content-type", "origin", "sec-websocket-extensions", "sec-websocket-protocol"})


async def test_an_address_that_is_not_allowed_is_not_connected_to() -> None:
    async with LiveVendor(echo) as vendor:
        with pytest.raises(UpstreamFault, match="address_refused"):
            await to(vendor.url, "none").open(HEAD, b"")
    assert vendor.paths == []


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("reset_before", "reset"),
        ("close_before", "reset"),
        ("stall_first_byte", "first_byte_timeout"),
        ("garbage_status", "protocol"),
        ("ok", "protocol"),
        (raw(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: wrong\r\n\r\n"), "protocol"),
        ("endless_headers", "first_byte_timeout"),
    ],
)
async def test_what_is_no_handshake_is_a_fault(script: str | Script, kind: str) -> None:
    async with Upstream(script) as upstream:
        with pytest.raises(UpstreamFault) as caught:
            await to(upstream.url, deadlines=FAST if kind == "first_byte_timeout" else PATIENT).open(HEAD, b"")
        await upstream.closed(1)
    assert (caught.value.kind, caught.value.sent) == (kind, True)


async def test_nobody_there_is_a_fault_before_anything_was_sent() -> None:
    with pytest.raises(UpstreamFault) as caught:
        await to("http://127.0.0.1:9").open(HEAD, b"")
    assert (caught.value.kind, caught.value.sent) == ("connect", False)


async def test_a_certificate_nobody_trusts_is_a_fault_and_the_accounts_own_ca_is_none(certificates: Certificates) -> None:
    async with Upstream("ok", tls=certificates.server) as upstream:
        with pytest.raises(UpstreamFault) as caught:
            await to(upstream.url).open(HEAD, b"")
        assert (caught.value.kind, caught.value.sent) == ("tls", False)
        endpoint = endpoint_of(upstream.url, ca_pem=certificates.ca_pem, rules=AddressRules("loopback"), deadlines=PATIENT)
        with pytest.raises(UpstreamFault, match="no WebSocket handshake"):
            await Sockets(endpoint).open(HEAD, b"")


@pytest.mark.parametrize("status", ["401 Unauthorized", "404 Not Found", "429 Too Many Requests", "302 Found"])
async def test_a_vendors_refusal_is_an_answer_and_never_a_way_elsewhere(status: str) -> None:
    async with Upstream(whole(b'{"error":{"message":"no"}}', status, b"retry-after: 2\r\nlocation: ws://169.254.169.254/\r\n")) as upstream:
        refused = await to(upstream.url).open(HEAD, b"")
        assert isinstance(refused, Refused)
        assert (refused.status, await refused.read(10), dict(refused.headers)[b"retry-after"]) == (int(status[:3]), b'{"error":{', b"2")
        await upstream.closed(1)
    assert len(upstream.requests) == 1


async def test_a_message_that_is_too_long_ends_the_connection() -> None:
    async def flood(connection: ServerConnection) -> None:
        await connection.send("x" * (MESSAGE_BYTES + 1))
        await connection.wait_closed()

    async with LiveVendor(flood) as vendor:
        socket = await to(vendor.url).open(HEAD, b"")
        assert isinstance(socket, Socket)
        with pytest.raises(Gone) as gone:
            await socket.receive()
        with pytest.raises(Gone):
            await socket.send("more")
    assert gone.value.code == 1006


async def test_text_that_is_none_ends_the_connection() -> None:
    async def lie(connection: ServerConnection) -> None:
        await connection.send(b"\xff\xfe", text=True)
        await connection.wait_closed()

    async with LiveVendor(lie) as vendor:
        socket = await to(vendor.url).open(HEAD, b"")
        assert isinstance(socket, Socket)
        with pytest.raises(Gone):
            await socket.receive()


async def test_how_the_vendor_closes_is_told_after_its_last_message() -> None:
    async def leave(connection: ServerConnection) -> None:
        await connection.send(json.dumps({"type": "error"}))
        await connection.close(4000, "session expired")

    async with LiveVendor(leave) as vendor:
        socket = await to(vendor.url).open(HEAD, b"")
        assert isinstance(socket, Socket)
        assert await socket.receive() == '{"type": "error"}'
        with pytest.raises(Gone) as gone:
            await socket.receive()
    assert (gone.value.code, gone.value.reason) == (4000, "session expired")


async def test_a_dropped_connection_is_gone_at_once() -> None:
    async with LiveVendor(echo) as vendor:
        socket = await to(vendor.url).open(HEAD, b"")
        socket.close()
        async with asyncio.timeout(WITHIN_S):
            await vendor.ended.wait()
    assert vendor.codes == [1006]
