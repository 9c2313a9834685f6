"""Strict JSON bodies: refuses what parsers disagree about, and swaps top-level fields without touching the others' bytes."""

import json
import re
import secrets
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from gateway.wire import WireError

DEPTH_LIMIT = 64
# where a first field begins: after the brace and some white space
FIRST_BYTES = 16
# base64, as data URL or alone
_DATA = re.compile(rb'"(?:data:[a-zA-Z0-9/.+-]{1,255};base64,)?([A-Za-z0-9+/=_-]{65536,})"')
# so much of it tells what it is
_TELLING_BYTES = 64
SHORTENED_BYTES = 256
# from here on memory counts for more than the time of a second reading
LARGE_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"
_CONTAINERS = frozenset((dict, list))
_FIELDS: msgspec.json.Decoder[dict[str, msgspec.Raw]] = msgspec.json.Decoder(dict[str, msgspec.Raw])


def check(body: bytes) -> dict[str, Any]:
    """Return the body parsed; raises WireError("invalid_request") unless it is one sane JSON object.

    Refused: invalid UTF-8, NaN and Infinity, numbers beyond a double, lone surrogates, duplicate keys at any level,
    nesting deeper than 64. NUL in strings is allowed here.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if body.startswith(_GZIP):
            raise WireError("invalid_request", "the body is compressed: send it as it is, without content-encoding") from None
        raise WireError("invalid_request", f"the body is not valid JSON: {error}") from None
    if type(value) is not dict:
        raise WireError("invalid_request", "the body must be a JSON object")
    if len(body) > 2 * DEPTH_LIMIT and _count(body, b"{") + _count(body, b"[") > DEPTH_LIMIT and not _is_shallow(value):
        raise WireError("invalid_request", f"the body is nested deeper than {DEPTH_LIMIT} levels")
    # What is written as we would write it, as SDKs do, holds no key twice. In anything else a duplicate key loses its colon when the parsed value is
    # written again: two C passes instead of a Python call for every object. Escaped colons could hide the difference, so they take the slow road.
    written = orjson.dumps(value)
    if written != body and (_count(body, b":") != _count(written, b":") or (b"\\" in body and b"\\u003" in body)):
        json.loads(body, object_pairs_hook=_once)
    return value


def check_large(body: bytes) -> dict[str, Any]:
    """Return a large body parsed as `check` does, its pictures and files cut short, so that it is in memory only once.

    Between two strings of JSON stands a colon, comma or bracket: what the pattern finds is within one string, or the body is no JSON with it or without.
    """
    return check(_DATA.sub(_shortened, body))


def _shortened(found: "re.Match[bytes]") -> bytes:
    # all that was found would be a copy
    return found.string[found.start() : found.start() + SHORTENED_BYTES] + b'"'


def lightened(body: bytes) -> tuple[bytes, dict[bytes, memoryview]]:
    """Return a body that passed `check` with a mark, itself base64, in the place of most of each picture and file, and what the marks stand for."""
    whole, data, at = memoryview(body), {}, 0
    parts: list[bytes | memoryview] = []
    for found in _DATA.finditer(body):
        start, end = found.start(1) + _TELLING_BYTES, found.end(1)
        # nobody who writes a body knows it, so none stands there already
        mark = secrets.token_hex(_TELLING_BYTES // 2).encode()
        parts += (whole[at:start], mark)
        data[mark], at = whole[start:end], end
    return b"".join((*parts, whole[at:])), data


def with_data(light: bytes, data: Mapping[bytes, memoryview]) -> list[bytes | memoryview] | None:
    """Return in pieces what was made of a lightened body, with what its marks stand for; None where one of them is not there any more."""
    parts: list[bytes | memoryview] = []
    seen, at = set(), 0
    for found in re.finditer(b"|".join(data), light):
        parts += (light[at : found.start()], data[found[0]])
        seen.add(found[0])
        at = found.end()
    return [*parts, light[at:]] if seen == data.keys() else None


def _count(data: bytes, byte: bytes) -> int:
    """Return how often a byte stands in data; bytes.count looks at every byte one by one, which takes three times as long per kB."""
    return len(data) - len(data.replace(byte, b""))


def _is_shallow(value: object) -> bool:
    level: list[object] = [value]
    for _ in range(DEPTH_LIMIT):
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)  # type: ignore[attr-defined]
            if type(child) in _CONTAINERS
        ]
        if not level:
            return True
    return False


def _once(pairs: list[tuple[str, object]]) -> None:
    seen = set()
    for key, _ in pairs:
        if key in seen:
            raise WireError("invalid_request", f"the key {key[:64]!r} appears twice in one object", key[:64])
        seen.add(key)


def fields(body: bytes) -> dict[str, msgspec.Raw]:
    """Return the raw JSON of every top-level field, in order; raises WireError("invalid_request") if that cannot be done."""
    try:
        return _FIELDS.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise WireError("invalid_request", "the body must be a JSON object") from None


def replace_model(body: bytes, old: str, new: str) -> bytes | None:
    """Return a body that passed `check` with its `model` swapped in place if that is its first field, else None: a look at its beginning tells."""
    start = body.find(b'"model"', 0, FIRST_BYTES)
    if start < 0 or body[:start].strip() != b"{":
        return None
    name = orjson.dumps(old)
    for written in (b'"model":' + name, b'"model": ' + name):
        if body.startswith(written, start):
            return body.replace(written, b'"model":' + orjson.dumps(new), 1)
    return None


def add_first(body: bytes, name: str, value: bytes) -> bytes | None:
    """Return an object that passed `check` with one more field at its beginning, or None if it begins with white space; it must have some other field."""
    return b'{"%b":%b,' % (name.encode(), value) + body[1:] if body.startswith(b"{") else None


def splice(fields: Mapping[str, msgspec.Raw], changes: Mapping[str, bytes | None]) -> bytes:
    """Return the object with the named fields replaced, added, or removed (None); every other value keeps its exact bytes."""
    parts = []
    for key, raw in fields.items():
        if key not in changes:
            parts.append(orjson.dumps(key) + b":" + raw)
    for key, value in changes.items():
        if value is not None:
            parts.append(orjson.dumps(key) + b":" + value)
    return b"{" + b",".join(parts) + b"}"
