"""What a provider account answers outside the data plane, such as its models: careful HTTP calls. Knows no rows and no screens."""

import json
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpcore
import httpx

from accounts import egress
from accounts.addresses import AddressRules
from gateway.providers import Provider

TIMEOUT_S = 10.0
ANSWER_LIMIT_BYTES = 2 * 1024 * 1024
NAME_LETTERS = 200


class ProbeFailed(Exception):
    """The account does not work; the message says why in words and holds no credential."""


def allowed_addresses(host: str, port: int, rules: AddressRules) -> list[str]:
    """Return the addresses of a host that may be connected to; raises ProbeFailed when the name has none or one is not allowed."""
    try:
        return egress.allowed_addresses(host, port, rules)
    except egress.NotAllowed as refusal:
        raise ProbeFailed(_advised(refusal)) from refusal


def _advised(refusal: egress.NotAllowed) -> str:
    if not isinstance(refusal, egress.AddressForbidden):
        return str(refusal)
    return f"{refusal} If that is meant, list it in SYMBIOSIS_PRIVATE_UPSTREAMS (link-local and metadata addresses stay forbidden)."


def list_models(provider: Provider, base_url: str, credential: str, ca_pem: str, rules: AddressRules) -> list[str]:
    """Ask the provider for its models, at most 10 s and 2 MiB, no redirects; an empty list when it has no listing. Raises ProbeFailed."""
    url = base_url.rstrip("/") + provider.models_path
    status, body = ask("GET", url, presented(provider, credential, ca_pem, rules), ca_pem, rules)
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


def presented(provider: Provider, credential: str, ca_pem: str, rules: AddressRules) -> dict[str, str]:
    """Return the headers that present an account's credential, or the access token had for it. Raises ProbeFailed."""
    shown = credential if provider.token_request is None else _token(provider, credential, ca_pem, rules)
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in provider.headers(shown)}


def _token(provider: Provider, credential: str, ca_pem: str, rules: AddressRules) -> str:
    """Return an access token had for the credential. Raises ProbeFailed."""
    assert provider.token_request is not None
    try:
        url, form = provider.token_request(credential, time.time())
    except ValueError as error:
        raise ProbeFailed(f"Enter another credential: {error}.") from None
    status, body = ask("POST", url, {"content-type": "application/x-www-form-urlencoded"}, ca_pem, rules, form)
    if status != 200:
        raise ProbeFailed(f"The token endpoint refuses the credential (HTTP {status}). Enter a valid one.")
    try:
        return provider.read_token(body)[0]
    except ValueError:
        raise ProbeFailed("The token endpoint answers, but not with an access token. Check the credential's token_uri.") from None


def ask(method: str, url: str, headers: Mapping[str, str], ca_pem: str, rules: AddressRules, content: bytes | None = None) -> tuple[int, bytes]:
    """Return status and body of an answer, at most 10 s and 2 MiB, no redirects. Raises ProbeFailed."""
    with opened(method, url, headers, ca_pem, rules, TIMEOUT_S, content) as answer:
        body = b""
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > ANSWER_LIMIT_BYTES:
                raise ProbeFailed("The answer is longer than 2 MiB. Check that the base URL leads to a model provider.")
        return answer.status_code, body


def lines(url: str, headers: Mapping[str, str], ca_pem: str, rules: AddressRules, within_s: float, limit_bytes: int) -> Iterator[bytes]:
    """Yield the lines of a long answer, none of them and all of them together longer than `limit_bytes`. Raises ProbeFailed."""
    with opened("GET", url, headers, ca_pem, rules, within_s) as answer:
        if answer.status_code != 200:
            raise ProbeFailed(f"The provider answers HTTP {answer.status_code}.")
        rest, came_bytes = b"", 0
        for piece in answer.iter_bytes():
            came_bytes += len(piece)
            if came_bytes > limit_bytes:
                raise ProbeFailed(f"The answer is longer than {limit_bytes} bytes.")
            *whole, rest = (rest + piece).split(b"\n")
            yield from whole
        if rest:
            yield rest


@contextmanager
def opened(
    method: str, url: str, headers: Mapping[str, str], ca_pem: str, rules: AddressRules, within_s: float, content: bytes | None = None
) -> Iterator[httpx.Response]:
    """Open an answer to be read within a time in seconds. Raises ProbeFailed, also for what goes wrong while it is read."""
    ends_at = time.monotonic() + within_s
    context = ssl.create_default_context()
    try:
        if ca_pem:
            context.load_verify_locations(cadata=ca_pem)
        transport = httpx.HTTPTransport(verify=context, trust_env=False)
        # httpx has no public way to choose the network backend, and the address must be checked where it is connected
        transport._pool = httpcore.ConnectionPool(ssl_context=context, network_backend=egress.CheckedBackend(rules, ends_at))  # noqa: SLF001
        with (
            httpx.Client(transport=transport, timeout=TIMEOUT_S, trust_env=False, follow_redirects=False) as client,
            client.stream(method, url, headers=headers, content=content) as answer,
        ):
            yield answer
    except egress.NotAllowed as refusal:
        raise ProbeFailed(_advised(refusal)) from refusal
    except (httpx.TimeoutException, httpcore.TimeoutException) as error:
        raise ProbeFailed(f"The provider did not answer in full within {within_s:g} s. Check the base URL and the firewall.") from error
    except ssl.SSLError as error:
        raise ProbeFailed("The custom CA is not a certificate in PEM form, or TLS failed with it.") from error
    except (httpx.ConnectError, httpcore.ConnectError) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise ProbeFailed("The provider's TLS certificate is not trusted. Give its CA under custom CA.") from error
        raise ProbeFailed("The provider cannot be reached: the connection is refused. Check host and port of the base URL.") from error
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise ProbeFailed(f"The provider's answer cannot be read ({type(error).__name__}).") from error
