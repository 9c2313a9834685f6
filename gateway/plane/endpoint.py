"""Where an upstream listens: its URL, its checked addresses, its trust roots. Knows nothing about requests."""

import asyncio
import functools
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlsplit

from accounts.addresses import AddressRules
from gateway.errors import UpstreamFault
from gateway.terms import Deadlines, Frozen

T = TypeVar("T")


class Endpoint(Frozen, frozen=True):
    """Where an upstream listens and how it may be reached. `host` has no brackets; `ca_pem` replaces the usual roots."""

    scheme: str
    host: str
    port: int
    ca_pem: str = ""
    allow_private: AddressRules = AddressRules("none")
    deadlines: Deadlines = Deadlines()


def endpoint_of(base_url: str, *, ca_pem: str = "", rules: AddressRules | None = None, deadlines: Deadlines | None = None) -> Endpoint:
    """Return the endpoint of an account's base URL (its path is not looked at); raises ValueError unless it is plain http(s)."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or parts.password is not None:
        raise ValueError("a base URL is http:// or https:// with a host and without a user or password")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Endpoint(
        scheme=parts.scheme,
        host=parts.hostname,
        port=port,
        ca_pem=ca_pem,
        allow_private=rules or AddressRules("none"),
        deadlines=deadlines or Deadlines(),
    )


@functools.cache
def tls_context(ca_pem: str) -> ssl.SSLContext:
    """Return a verifying client context: the given roots alone, else the system's, else httpx's bundle; ssl.SSLError on a bad PEM."""
    if ca_pem:
        context = ssl.create_default_context(cadata=ca_pem)
    else:
        paths = ssl.get_default_verify_paths()
        if paths.cafile or (paths.capath and os.listdir(paths.capath)):
            context = ssl.create_default_context()
        else:
            import httpx  # only a machine without any root certificates pays for this

            context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


async def resolve(loop: asyncio.AbstractEventLoop, endpoint: Endpoint) -> list[str]:
    """Return the endpoint's addresses, all of them checked; raises UpstreamFault address_refused if one is not allowed, connect if none.

    One forbidden address refuses the name: an answer that mixes public and private addresses is what a rebinding attack looks like.
    """
    try:
        found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise UpstreamFault("connect", f"the name {endpoint.host} could not be resolved", sent=False) from None
    addresses = list(dict.fromkeys(str(row[4][0]) for row in found))
    for address in addresses:
        if not endpoint.allow_private.check(address, endpoint.host):
            raise UpstreamFault("address_refused", f"{endpoint.host} has an address that private_upstreams does not allow", sent=False)
    return addresses


async def reach(loop: asyncio.AbstractEventLoop, endpoint: Endpoint, deadlines: Deadlines, ends_at: float, connect_to: Callable[[str], Awaitable[T]]) -> T:
    """Return a connection made by `connect_to` to one of the endpoint's checked addresses, trying each in turn; raises UpstreamFault, nothing sent."""
    whole_s = ends_at - loop.time()
    connect_s = deadlines.connect_ms / 1000
    try:
        async with asyncio.timeout(min(connect_s, whole_s)):
            failure = "no address"
            for address in await resolve(loop, endpoint):
                try:
                    return await connect_to(address)
                except ssl.SSLError as error:
                    reason = getattr(error, "verify_message", "") or error.reason or "handshake failed"
                    raise UpstreamFault("tls", f"{endpoint.host}: {reason}", sent=False) from None
                except OSError as error:
                    failure = os.strerror(error.errno) if error.errno else str(error) or type(error).__name__
            raise UpstreamFault("connect", f"{endpoint.host}:{endpoint.port}: {failure}", sent=False)
    except TimeoutError:
        if whole_s < connect_s:
            raise UpstreamFault("total_timeout", "the call's total time is used up", sent=False) from None
        raise UpstreamFault("connect_timeout", f"no connection to {endpoint.host} within {connect_s:g} s", sent=False) from None
