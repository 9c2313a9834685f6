"""The one guard of URLs that administrators enter: what may be called, checked when it is saved and again where it is connected. Knows no rows."""

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

import httpcore
import httpx

from accounts.addresses import AddressRules

SCHEMES = {"http": 80, "https": 443}
TIMEOUT_S = 10.0
ANSWER_LIMIT_BYTES = 64 * 1024


class NotAllowed(Exception):
    """The URL or an address behind it may not be called; the message says why and what to do."""


class AddressForbidden(NotAllowed):
    """An address behind the URL is private or forbidden; which setting would allow it, the caller says."""


class NotDelivered(Exception):
    """The other side could not be reached or did not take the message; the message says why and holds no secret."""


class Unreachable(NotDelivered):
    """Nothing on the other side answers, so whatever else goes there need not be tried now."""


class Answer(NamedTuple):
    """What came back: the status and at most 64 KiB of the body."""

    status: int
    body: bytes


class CheckedBackend(httpcore.NetworkBackend):
    """Resolves a name, checks every address and connects to exactly a checked one; nothing is read or written after `ends_at` (monotonic seconds)."""

    def __init__(self, rules: AddressRules, ends_at: float) -> None:
        self._rules, self._ends_at = rules, ends_at
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first allowed address. Raises NotAllowed, or httpcore.ConnectError when none answers."""
        last: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in allowed_addresses(host, port, self._rules):
            try:
                stream = self._plain.connect_tcp(address, port, _left(self._ends_at, timeout), local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
            else:
                return _Bounded(stream, self._ends_at)
        raise last


class _Bounded(httpcore.NetworkStream):
    """A connection that ends in time even when the other side sends one byte after another."""

    def __init__(self, stream: httpcore.NetworkStream, ends_at: float) -> None:
        self._stream, self._ends_at = stream, ends_at

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._ends_at, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._ends_at, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None) -> httpcore.NetworkStream:
        return _Bounded(self._stream.start_tls(ssl_context, server_hostname, _left(self._ends_at, timeout)), self._ends_at)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(ends_at: float, timeout: float | None) -> float:
    left = ends_at - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time for the whole exchange is over")
    return left if timeout is None else min(timeout, left)


def allowed_addresses(host: str, port: int, rules: AddressRules) -> list[str]:
    """Return the addresses of a host that may be connected to. Raises NotAllowed when the name has none or a single one is forbidden."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise NotAllowed(f"The host {host} does not resolve. Check the address and this machine's DNS.") from error
    if not found or not all(rules.check(address, host) for address in found):
        raise AddressForbidden(f"The host {host} has a private or forbidden address.")
    return sorted(found)


def check_url(text: str, rules: AddressRules) -> httpx.URL:
    """Return the URL when it may be called: http(s), no user, an ordinary port, a plain host whose every address is allowed. Raises NotAllowed."""
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise NotAllowed("Enter a URL of printable ASCII characters, without blanks or backslashes.")
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise NotAllowed("This is not a URL.") from error
    if url.scheme not in SCHEMES or not url.host:
        raise NotAllowed("Enter a URL that begins with https:// or http:// and names a host.")
    if url.userinfo or url.fragment:
        raise NotAllowed("Enter a URL without user, password or #fragment.")
    port = url.port or SCHEMES[url.scheme]
    if port < 1024 and port not in SCHEMES.values():
        raise NotAllowed("Of the ports below 1024 only 80 and 443 are allowed.")
    _refuse_odd_number(url.host)
    allowed_addresses(url.host, port, rules)
    return url


def _refuse_odd_number(host: str) -> None:
    """Raise NotAllowed for a number that resolvers read as an address although it is not written as one: 2130706433, 0x7f.1, 0177.0.0.1."""
    last = host.rstrip(".").rpartition(".")[2]
    if last.isdigit() or last.lower().startswith("0x"):
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise NotAllowed(f"Write the address {host} in its usual form, such as 203.0.113.7.") from None


def post(text: str, body: bytes, headers: Mapping[str, str], rules: AddressRules) -> Answer:
    """Post to a URL and return the answer, within 10 s, following no redirect and no proxy. Raises NotAllowed or NotDelivered."""
    return _exchange("POST", text, body, headers, rules)


def get(text: str, headers: Mapping[str, str], rules: AddressRules) -> Answer:
    """Get a URL and return the answer, on the same terms as `post`. Raises NotAllowed or NotDelivered."""
    return _exchange("GET", text, None, headers, rules)


@cache
def _context() -> ssl.SSLContext:
    """Return this machine's trust, loaded once: it takes 30 ms."""
    return ssl.create_default_context()


def _exchange(method: str, text: str, body: bytes | None, headers: Mapping[str, str], rules: AddressRules) -> Answer:
    url = check_url(text, rules)
    ends_at = time.monotonic() + TIMEOUT_S
    context = _context()
    transport = httpx.HTTPTransport(verify=context, trust_env=False)
    # httpx has no public way to choose the network backend, and the address must be checked where it is connected
    transport._pool = httpcore.ConnectionPool(ssl_context=context, network_backend=CheckedBackend(rules, ends_at))  # noqa: SLF001
    try:
        with (
            httpx.Client(transport=transport, timeout=TIMEOUT_S, trust_env=False, follow_redirects=False) as client,
            client.stream(method, url, content=body, headers=headers) as answer,
        ):
            received = b""
            for piece in answer.iter_raw():
                received += piece[: ANSWER_LIMIT_BYTES - len(received)]
                if len(received) >= ANSWER_LIMIT_BYTES:
                    break
            return Answer(answer.status_code, received)
    except (httpx.TimeoutException, httpcore.TimeoutException) as error:
        raise NotDelivered(f"{url.host} did not answer within {TIMEOUT_S:g} s.") from error
    except ssl.SSLError as error:
        raise NotDelivered(f"TLS with {url.host} failed.") from error
    except (httpx.ConnectError, httpcore.ConnectError) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise NotDelivered(f"The TLS certificate of {url.host} is not trusted.") from error
        raise NotDelivered(f"{url.host} cannot be reached: the connection is refused.") from error
    except (httpx.HTTPError, httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise NotDelivered(f"The exchange with {url.host} broke off ({type(error).__name__}).") from error


def deliver(text: str, body: bytes, headers: Mapping[str, str], rules: AddressRules) -> str:
    """Post a message and return a line that says it was taken (status 200 to 299). Raises NotAllowed or NotDelivered."""
    answer = post(text, body, headers, rules)
    host = httpx.URL(text).host
    if 300 <= answer.status < 400:
        raise NotDelivered(f"{host} redirects (HTTP {answer.status}), which is never followed. Enter the final address.")
    if not 200 <= answer.status < 300:
        raise NotDelivered(f"{host} answers HTTP {answer.status}.")
    return f"{host} answered HTTP {answer.status}"
