"""What the door reads of a request: who calls, from where, with which labels, and its body parsed. Raises what the caller hears."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from msgspec import structs

from accounts import addresses
from accounts.ranges import is_within
from gateway.errors import BadKey, BadRequest, IpNotAllowed
from gateway.terms import Body, Caller, Ties
from gateway.visitors import Visitor
from gateway.wire import Head, Plain, WireError, auth, forms, strict
from gateway.wire.references import references

LABEL_CHARS = 200
SINGLE = (b"host", b"content-length", b"content-type", b"transfer-encoding")
BETA = b"/v1beta/"


def ip_of(client: tuple[str, int] | None, headers: Mapping[bytes, bytes], proxies: tuple[IPv4Network | IPv6Network, ...]) -> str:
    """Return the address of whoever calls, behind proxies that are trusted to tell it."""
    peer = client[0] if client else ""
    return addresses.visitor(peer, headers.get(b"x-forwarded-for", b"").decode("latin-1"), proxies) if proxies else peer


def check_ip(ip: str, caller: Caller) -> None:
    """Raise IpNotAllowed unless an address lies in the ranges of the caller's key."""
    if not is_within(ip, caller.key.allowed_ips):
        raise IpNotAllowed(f"This key may not be used from {ip or 'an unknown address'}. Ask the owner of its project to add the address to its IP ranges.")


def credential_of(visitor: Visitor) -> bytes:
    """Return the credential of a request. Raises BadKey."""
    headers, query = visitor.headers, visitor.query
    try:
        return (not query and auth.lone_bearer(headers)) or auth.credential(visitor.listed, query, takes_key_in_query(visitor))
    except WireError as error:
        raise BadKey(error.message) from None


def takes_key_in_query(visitor: Visitor) -> bool:
    """Return whether `?key=` is a credential here: where Gemini's clients send it."""
    return visitor.door.wire.surface == "gemini" or BETA in visitor.path


def asks_for_events(query: bytes) -> bool:
    """Return whether a Gemini client wants its stream as server-sent events; otherwise it is one JSON array."""
    return b"alt=sse" in query.split(b"&")


def parse(body: bytes, check: Callable[[bytes], dict[str, Any]] = strict.check) -> dict[str, Any]:
    """Return a request body parsed. Raises BadRequest."""
    try:
        return check(body)
    except WireError as error:
        raise BadRequest(error.message, param=error.param) from None


def most_input_tokens(head: Head, plain: Plain | None, body: Body, parsed: dict[str, Any]) -> int:
    """Return a bound of a request's input where its bytes say little, else 0: of a form every byte of a text may be a token, of a file few are."""
    if plain is None or plain.bytes_per_token == 1:
        return head.most_input_tokens
    text_bytes = sum(len(value.encode("utf-8", "replace")) for value in parsed.values() if isinstance(value, str))
    return text_bytes + -(-len(body) // plain.bytes_per_token)


def tied(ties: Ties | None, parsed: dict[str, Any]) -> Ties | None:
    """Return the ties of a call that may name what a vendor keeps, or have it make such things. Raises BadRequest."""
    try:
        objects = references(parsed)
    except WireError as error:
        raise BadRequest(error.message, param=error.param) from None
    return structs.replace(ties or Ties(), objects=objects, makes=True)


def parse_any(body: Body, headers: dict[bytes, bytes], plain: Plain | None) -> dict[str, Any]:
    """Return a request body parsed, of a form its text fields. Raises BadRequest."""
    if plain is None or not plain.is_form:
        assert isinstance(body, bytes)
        return parse(body, strict.check_large if plain is None and len(body) > strict.LARGE_BYTES else strict.check)
    try:
        return dict(forms.texts(body, headers.get(b"content-type", b"")))
    except WireError as error:
        raise BadRequest(error.message, param=error.param) from None


def check_headers(visitor: Visitor) -> None:
    """Raise BadRequest when a header that must stand once stands twice, or Host does not stand at all (RFC 9110 §5.3, RFC 9112 §3.2)."""
    for name in SINGLE:
        if sum(1 for given, _ in visitor.listed if given == name) > 1:
            raise BadRequest(f"The header {name.decode()} stands more than once.")
    if b"host" not in visitor.headers and visitor.version == "1.1":
        raise BadRequest("Send a Host header.")


def label(value: bytes | None) -> str:
    """Return a caller's label as printable text of at most 200 characters."""
    return printable(value) if value else ""


@lru_cache(4096)
def printable(value: bytes) -> str:
    """Return bytes as printable text of at most 200 characters; the same agents and users call again and again."""
    text = value[: LABEL_CHARS * 4].decode("utf-8", "replace")[:LABEL_CHARS]
    return text if text.isprintable() else "".join(c for c in text if c.isprintable())


def timeout_ms(value: bytes | None) -> int:
    """Return the caller's own deadline in milliseconds, 0 for none. Raises BadRequest."""
    if value is None:
        return 0
    if len(value) > 8 or not value.isdigit() or not 1 <= int(value) <= 86_400_000:
        raise BadRequest("x-sgw-timeout-ms must be a whole number of milliseconds from 1 to 86400000.")
    return int(value)
