"""Access tokens of provider accounts: had before the first call, renewed before they end, and never the credential itself upstream."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import UpstreamFault
from gateway.plane.pools import Pools
from gateway.plane.tokens import TokenSource
from gateway.providers import Provider
from gateway.terms import Account, Deadlines

PROVIDER = Provider(
    slug="openai", title="x", wires={"chat/completions": "openai_chat"}, token_request=lambda credential, now_s: (f"https://t.example/{credential}?x", b"form")
)
ACCOUNT = Account("1", "acme", "openai", "https://up.example", "key-1", {}, Deadlines())


class Endpoint:
    """A token endpoint: answers in turn, an UpstreamFault by raising it."""

    def __init__(self, *answers: tuple[int, bytes] | UpstreamFault) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, bytes, bytes]] = []
        self.closed = 0
        self.status = 0
        self._body = b""

    def client(self, url: str) -> "Endpoint":
        """Return the client to a URL."""
        self._url = url
        return self

    async def open(self, head: bytes, body: bytes, deadlines: Deadlines | None = None) -> "Endpoint":
        """Take a request."""
        self.asked.append((self._url, head, body))
        told = self.answers.pop(0)
        if isinstance(told, UpstreamFault):
            raise told
        self.status, self._body = told
        return self

    async def read(self, limit_bytes: int) -> bytes:
        """Give the body."""
        return self._body

    def close(self) -> None:
        """End the exchange."""

    async def aclose(self) -> None:
        """Close."""
        self.closed += 1


def run(test: Callable[[], Any]) -> None:
    asyncio.run(test())


def source(endpoint: Endpoint, wall: Callable[[], float], changed: Callable[[], None] = lambda: None) -> TokenSource:
    return TokenSource(ACCOUNT, PROVIDER, endpoint.client, wall, changed)


def test_a_token_is_had_for_the_credential_and_good_until_it_ends() -> None:
    async def test() -> None:
        endpoint, now, changes = Endpoint((200, b'{"access_token":"T1","expires_in":100}')), [1_000.0], []
        tokens = source(endpoint, lambda: now[0], lambda: changes.append(1))
        tokens.begin()
        await tokens.ready(5)
        assert (tokens.token, changes, endpoint.closed) == ("T1", [1], 1)
        url, head, body = endpoint.asked[0]
        assert (url, head.split(b"\r\n")[:2], body) == ("https://t.example/key-1?x", [b"POST /key-1?x HTTP/1.1", b"host: t.example"], b"form")
        now[0] = 1_100.0
        with pytest.raises(UpstreamFault) as caught:
            await tokens.ready(0)
        assert (caught.value.kind, caught.value.sent) == ("connect_timeout", False)
        await tokens.stop()

    run(test)


@pytest.mark.parametrize("answer", [(401, b"{}"), (200, b"not JSON"), UpstreamFault("address_refused", "no", sent=False)])
def test_without_a_token_nothing_is_sent(answer: Any) -> None:
    async def test() -> None:
        tokens = source(Endpoint(answer), lambda: 0.0)
        tokens.begin()
        with pytest.raises(UpstreamFault):
            await tokens.ready(0.01)
        assert tokens.token == ""
        await tokens.stop()

    run(test)


def test_heads_hold_the_newest_token_and_never_the_credential() -> None:
    async def test() -> None:
        endpoint = Endpoint((200, b'{"access_token":"T1","expires_in":3600}'))
        pools = Pools({"openai": PROVIDER}, lambda account: endpoint, b"gw", lambda account, url: endpoint.client(url), lambda: 0.0)  # type: ignore[arg-type, return-value]
        pools.adopt({"acme": ACCOUNT})
        pool = pools["acme"]
        assert pool.tokens is not None
        before = pool.head("chat/completions", "m", False)
        await pool.tokens.ready(5)
        head = pool.head("chat/completions", "m", False)
        assert b"key-1" not in before + head
        assert b"authorization: Bearer T1\r\n" in head
        await pools.aclose()

    run(test)
