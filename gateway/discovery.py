"""What a provider account answers when it is asked for its models: a careful HTTP call. Knows no rows and no screens."""

import json
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx

from accounts.addresses import AddressRules
from gateway.providers import Provider

TIMEOUT_S = 10.0
ANSWER_LIMIT_BYTES = 2 * 1024 * 1024
NAME_LETTERS = 200


class ProbeFailed(Exception):
    """The account does not work; the message says why in words and holds no credential."""


class _TimedStream(httpcore.NetworkStream):
    """A connection on which all waiting together ends at one moment, so that an answer that drips in cannot go on for ever."""

    def __init__(self, plain: httpcore.NetworkStream, ends_at: float) -> None:
        self._plain = plain
        self._ends_at = ends_at

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what has come; raises httpcore.ReadTimeout."""
        return self._plain.read(max_bytes, self._left_s(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write everything; raises httpcore.WriteTimeout."""
        self._plain.write(buffer, self._left_s(httpcore.WriteTimeout))

    def close(self) -> None:
        """Close the connection."""
        self._plain.close()

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None) -> httpcore.NetworkStream:
        """Begin TLS; raises httpcore.ConnectTimeout."""
        return _TimedStream(self._plain.start_tls(ssl_context, server_hostname, self._left_s(httpcore.ConnectTimeout)), self._ends_at)

    def get_extra_info(self, info: str) -> Any:
        """Return what the connection knows of itself."""
        return self._plain.get_extra_info(info)

    def _left_s(self, late: type[Exception]) -> float:
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise late
        return left_s


class _CheckedBackend(httpcore.NetworkBackend):
    """Resolves a name, checks every address and connects to exactly a checked one, for as long as there is time."""

    def __init__(self, rules: AddressRules, ends_at: float) -> None:
        self._rules = rules
        self._ends_at = ends_at
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first allowed address; raises httpcore.ConnectError when there is none."""
        last: Exception = httpcore.ConnectError(f"address of {host} is not allowed")
        for address in allowed_addresses(host, port, self._rules):
            try:
                left_s = max(0.001, self._ends_at - time.monotonic())
                return _TimedStream(self._plain.connect_tcp(address, port, left_s, local_address, socket_options), self._ends_at)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        raise last


def allowed_addresses(host: str, port: int, rules: AddressRules) -> list[str]:
    """Return the addresses of a host that may be connected to; raises ProbeFailed when the name has none or one is not allowed."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise ProbeFailed(f"The host {host} does not resolve. Check the base URL and this machine's DNS.") from error
    if not all(rules.check(address, host) for address in found):
        raise ProbeFailed(
            f"The host {host} has a private or forbidden address. "
            "If that is meant, list it in SYMBIOSIS_PRIVATE_UPSTREAMS (link-local and metadata addresses stay forbidden)."
        )
    return sorted(found)


def list_models(provider: Provider, base_url: str, credential: str, ca_pem: str, rules: AddressRules) -> list[str]:
    """Ask the provider for its models, at most 10 s and 2 MiB, no redirects; an empty list when it has no listing. Raises ProbeFailed."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in provider.headers(credential)}
    url = base_url.rstrip("/") + provider.models_path
    status, body = _get(url, headers, ca_pem, rules)
    if status in (401, 403):
        raise ProbeFailed(f"The provider refuses the credential (HTTP {status}). Enter a valid one.")
    if 300 <= status < 400:
        raise ProbeFailed(f"The provider redirects (HTTP {status}), which is never followed. Enter the final base URL.")
    if not provider.models_path and status < 500:
        return []
    if status == 404:
        raise ProbeFailed(f"Nothing is found at {urlsplit(url).path} (HTTP 404). Check the path of the base URL.")
    if status != 200:
        raise ProbeFailed(f"The provider answers HTTP {status}. Try again later or check the base URL.")
    try:
        names = provider.read_models(json.loads(body))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProbeFailed("The provider answers, but not with a list of models. Check the kind of provider and the path of the base URL.") from error
    return sorted({name for name in names if 0 < len(name) <= NAME_LETTERS and name.isprintable()})


def _get(url: str, headers: Mapping[str, str], ca_pem: str, rules: AddressRules) -> tuple[int, bytes]:
    ends_at = time.monotonic() + TIMEOUT_S
    context = ssl.create_default_context()
    try:
        if ca_pem:
            context.load_verify_locations(cadata=ca_pem)
        transport = httpx.HTTPTransport(verify=context, trust_env=False)
        # httpx has no public way to choose the network backend, and the address must be checked where it is connected
        transport._pool = httpcore.ConnectionPool(ssl_context=context, network_backend=_CheckedBackend(rules, ends_at))  # noqa: SLF001
        with (
            httpx.Client(transport=transport, timeout=TIMEOUT_S, trust_env=False, follow_redirects=False) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            body = b""
            for piece in answer.iter_bytes():
                body += piece
                if len(body) > ANSWER_LIMIT_BYTES:
                    raise ProbeFailed("The answer is longer than 2 MiB. Check that the base URL leads to a model provider.")
            return answer.status_code, body
    except httpx.TimeoutException as error:
        raise ProbeFailed("The provider did not answer in full within 10 s. Check the base URL and the firewall.") from error
    except ssl.SSLError as error:
        raise ProbeFailed("The custom CA is not a certificate in PEM form, or TLS failed with it.") from error
    except (httpx.ConnectError, httpcore.ConnectError) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise ProbeFailed("The provider's TLS certificate is not trusted. Give its CA under custom CA.") from error
        raise ProbeFailed("The provider cannot be reached: the connection is refused. Check host and port of the base URL.") from error
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise ProbeFailed(f"The provider's answer cannot be read ({type(error).__name__}).") from error
