"""What the second transport adds to the questions both are asked: egress proxies, pools that lost a race, and what it must not say of itself."""

import asyncio
from dataclasses import dataclass, field
from typing import Self

import pytest

from accounts.addresses import AddressRules
from gateway.errors import UpstreamFault
from gateway.plane.client import Endpoint
from gateway.plane.client_httpx import HttpxClient
from gateway.terms import Deadlines
from tests.fakes.ports import free_port
from tests.fakes.upstream import EVENTS, JSON, SSE, Upstream
from tests.gateway.plane.test_client import HEAD, LOOPBACK, Certificates, certificates, client_of, fault_of, streamed, whole

__all__ = ["certificates"]  # the fixture


@dataclass
class Proxy:
    """A real egress proxy: tunnels CONNECT, forwards absolute URLs, notes what it was asked for. `refusal` is a status it answers CONNECT with."""

    refusal: str = ""
    asked: list[str] = field(default_factory=list)
    port: int = 0

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b" ", 2)
            self.asked.append(f"{method.decode()} {target.decode()}")
            if self.refusal:
                writer.write(f"HTTP/1.1 {self.refusal}\r\ncontent-length: 0\r\n\r\n".encode())
                await writer.drain()
                return
            place = target if method == b"CONNECT" else target.split(b"/")[2]
            host, _, port = place.decode().rpartition(":")
            onward_reader, onward = await asyncio.open_connection(host, int(port))
            if method == b"CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                onward.write(head.replace(target, b"/" + target.split(b"/", 3)[3], 1))
            await asyncio.wait(
                [asyncio.create_task(pump(reader, onward)), asyncio.create_task(pump(onward_reader, writer))],
                return_when=asyncio.FIRST_COMPLETED,
            )
            onward.close()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            writer.close()
            self._tasks.discard(task)


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Copy until the source ends."""
    while data := await source.read(65_536):
        sink.write(data)
        await sink.drain()


async def test_a_plain_call_goes_through_an_egress_proxy() -> None:
    async with Upstream() as upstream, Proxy() as proxy:
        client = client_of(upstream, HttpxClient, proxy=proxy.url)
        assert [await whole(client), await whole(client)] == [(200, JSON), (200, JSON)]
        assert (upstream.requests[0].path, upstream.requests[0].headers["host"]) == ("/v1/chat/completions", "vendor")
        assert proxy.asked[0] == f"POST http://127.0.0.1:{upstream.port}/v1/chat/completions"
        await client.aclose()


async def test_tls_is_tunnelled_and_checked_against_the_vendors_name(certificates: Certificates) -> None:
    async with Upstream("sse", tls=certificates.server) as upstream, Proxy() as proxy:
        client = client_of(upstream, HttpxClient, certificates.ca_pem, proxy=proxy.url)
        assert [await streamed(client), await whole(client)] == [(SSE, ""), (200, SSE)]
        assert (proxy.asked, upstream.connections) == ([f"CONNECT localhost:{upstream.port}"], 1)
        await client.aclose()
        stranger = client_of(upstream, HttpxClient, proxy=proxy.url)
        assert await fault_of(stranger.open(HEAD, b"secret")) == ("tls", False)
        assert len(upstream.requests) == 2


async def test_a_proxy_that_refuses_or_is_gone_received_nothing(certificates: Certificates) -> None:
    async with Upstream(tls=certificates.server) as upstream:
        async with Proxy(refusal="407 Proxy Authentication Required") as proxy:
            client = client_of(upstream, HttpxClient, certificates.ca_pem, proxy=proxy.url)
            assert await fault_of(client.open(HEAD, b"secret")) == ("connect", False)
        gone = client_of(upstream, HttpxClient, certificates.ca_pem, proxy=f"http://127.0.0.1:{free_port()}")
        assert await fault_of(gone.open(HEAD, b"secret")) == ("connect", False)
        assert upstream.connections == 0


async def test_a_forbidden_address_is_not_asked_of_the_proxy() -> None:
    async with Proxy() as proxy:
        for host in ("169.254.169.254", "localhost"):
            client = HttpxClient(Endpoint(scheme="http", host=host, port=80, allow_private=AddressRules("none")), proxy=proxy.url)
            assert await fault_of(client.open(HEAD, b"{}")) == ("address_refused", False)
        assert proxy.asked == []


async def test_a_cancelled_call_leaves_the_tunnel_at_once(certificates: Certificates) -> None:
    async with Upstream("stall_mid", tls=certificates.server) as upstream, Proxy() as proxy:
        client = client_of(upstream, HttpxClient, certificates.ca_pem, proxy=proxy.url)
        exchange = await client.open(HEAD, b"{}")
        assert await exchange.chunks() == EVENTS[0]
        exchange.close()
        await upstream.closed(1, within_s=1)


async def test_the_time_to_connect_does_not_eat_the_time_for_the_first_byte() -> None:
    async with Upstream("stall_first_byte") as upstream:
        client = client_of(upstream, HttpxClient)
        with pytest.raises(UpstreamFault) as caught:
            await client.open(HEAD, b"{}", Deadlines(connect_ms=60_000, first_byte_ms=100))
        assert (caught.value.kind, caught.value.sent) == ("first_byte_timeout", True)
        with pytest.raises(UpstreamFault) as caught:
            await client.open(HEAD, b"{}", Deadlines(first_byte_ms=60_000, total_ms=100))
        assert (caught.value.kind, caught.value.sent) == ("total_timeout", True)
        await upstream.closed(2)


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    async with Upstream() as upstream:
        client = client_of(upstream, HttpxClient)
        assert await whole(client) == (200, JSON)
        await client.aclose()


async def test_a_ca_that_is_no_pem_is_refused_before_any_call() -> None:
    with pytest.raises(OSError, match=r".+"):
        HttpxClient(Endpoint(scheme="https", host="127.0.0.1", port=443, ca_pem="not a certificate", allow_private=LOOPBACK))
