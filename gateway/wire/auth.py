"""Finds the one credential of a request among the forms SDKs use. Knows nothing about keys, and never prints what it finds."""

from collections.abc import Mapping, Sequence
from urllib.parse import unquote_to_bytes

from gateway.wire import WireError

_PLAIN_FORMS = (b"x-api-key", b"api-key", b"x-goog-api-key")


def credential(headers: Sequence[tuple[bytes, bytes]], query: bytes, allow_query: bool) -> bytes:
    """Return the request's one credential; header names are lower-case, `query` is without its question mark.

    Raises WireError("missing") when there is none and WireError("conflict") when two forms disagree; the same credential
    in two forms is fine. `?key=` counts only if `allow_query`.
    """
    found = None
    for name, value in headers:
        if name in _PLAIN_FORMS:
            candidate = value.strip()
        elif name == b"authorization":
            candidate = _bearer(value)
        else:
            continue
        found = _same(found, candidate)
    if allow_query and b"key=" in query:
        for pair in query.split(b"&"):
            if pair.startswith(b"key="):
                found = _same(found, unquote_to_bytes(pair[4:]).strip())
    if not found:
        raise WireError("missing", "no credential: send your key as 'Authorization: Bearer <key>' or 'x-api-key: <key>'")
    return found


def lone_bearer(headers: Mapping[bytes, bytes]) -> bytes | None:
    """Return the credential of a request whose headers each stand once and whose only credential is a plain Bearer, else None.

    What nearly every call looks like, found without walking over all headers.
    """
    value = headers.get(b"authorization")
    if value is None or value[:7] != b"Bearer " or any(map(headers.__contains__, _PLAIN_FORMS)):
        return None
    return value[7:].strip() or None


def without_key(query: bytes) -> bytes:
    """Return a query without its credential, to be passed on or told."""
    return b"&".join([pair for pair in query.split(b"&") if not pair.startswith(b"key=")]) if b"key=" in query else query


def _bearer(value: bytes) -> bytes:
    if value[:7].lower() == b"bearer ":
        return value[7:].strip()
    scheme = value.strip().lower()
    if scheme in (b"", b"bearer"):
        return b""
    # Another scheme is a credential too, one that is never ours: it must not be outvoted in silence.
    raise WireError("missing", "only the Bearer scheme is accepted in the Authorization header")


def _same(found: bytes | None, candidate: bytes) -> bytes | None:
    if not candidate:
        return found
    if found and found != candidate:
        raise WireError("conflict", "two different credentials were sent: send one")
    return candidate
