"""Which endpoint a path is, and on which wire its caller is answered. Knows nothing of keys."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
from msgspec import structs

from gateway.terms import Body, Frozen
from gateway.wire import Head, Plain, Surface, Wire, by_endpoint, chat_endpoints, counting_endpoints, forms, plain_endpoints, shelf, strict

CHAT, COUNTING = chat_endpoints(), counting_endpoints()


class Door(Frozen, frozen=True):
    """An endpoint ("" for a path that is none), the wire spoken there, and the model its path names, with whether that path asks for a stream.

    Azure's paths name a model on a wire whose bodies do too: the path's counts there, and is written into the body.

    `client` is the side of the wire that callers see, `plain` an endpoint's own rules. At a `is_usual` door nothing but the body's head has to be read.
    """

    endpoint: str
    wire: Wire
    client: Surface
    model: str = ""
    stream: bool = False
    plain: Plain | None = None
    is_chat: bool = False
    is_counting: bool = False
    is_usual: bool = False


def door(endpoint: str, wire: Wire, model: str = "", stream: bool = False) -> Door:
    """Return the door of an endpoint on a wire that callers speak."""
    client = wire.callers
    assert client is not None
    plain, is_chat, counts = plain_endpoints().get(endpoint), endpoint in CHAT, endpoint in COUNTING
    if plain is not None:
        client = structs.replace(client, may_name=plain.may_name)
    is_usual = plain is None and not (counts or stream or client.passed or client.read_path)
    return Door(endpoint, wire, client, model, stream, plain, is_chat, counts, is_usual)


KNOWN = frozenset(by_endpoint())
# wires whose paths name the model, with all their endpoints
NAMING = [
    (wire, callers.read_path, frozenset(name for name, spoken in by_endpoint().items() if spoken is wire))
    for wire in shelf().values()
    if (callers := wire.callers) is not None and callers.read_path is not None
]
DOORS: dict[bytes, Door] = {
    b"/v1/" + endpoint.encode(): door(endpoint, wire)
    for endpoint, wire in by_endpoint().items()
    # a vendor's own API is spoken on provider paths alone
    if wire.own is None and ((callers := wire.callers) is None or callers.read_path is None)
}
# where Azure's clients call: the same endpoints, some with the model in the path
AZURE = b"/openai/"
_DEPLOYED = re.compile(rb"/openai/deployments/([^/]+)/(.+)")
AZURE_NAME_CHARS = 400
DOORS |= {
    AZURE + version + path.removeprefix(b"/v1/"): found
    for path, found in DOORS.items()
    for version in (b"", b"v1/")
    if found.wire.surface == "openai"
}
# what else than /v1/ leads into the data plane, each eight bytes
BESIDE = frozenset({b"/v1beta/", AZURE, b"/upload/"})
# the wire that is spoken below these paths, whatever stands there
SPOKEN_AT = ((b"/v1beta/", "gemini"), (b"/v1alpha/", "gemini"), (b"/upload/", "gemini"))
# the headers that tell whose SDK asks where the path does not
TOLD_BY = (
    (b"anthropic-version", "anthropic_messages"),
    (b"x-goog-api-key", "gemini"),
    (b"x-goog-api-client", "gemini"),
    (b"amz-sdk-invocation-id", "bedrock_converse"),
)
ELSEWHERE = door("", shelf()["openai_chat"])


def find(path: bytes, headers: Mapping[bytes, bytes]) -> Door:
    """Return the door a path leads to; for a path that is no endpoint one that answers as the caller's SDK expects."""
    found = DOORS.get(path)
    if found is not None:
        return found
    if path.startswith(AZURE):
        return deployed(path)
    if b":" in path or b"%3" in path:
        named = at(path[1:].decode("latin-1"))
        if named is not None:
            return named
    for start, name in SPOKEN_AT:
        if path.startswith(start):
            return door("", shelf()[name])
    for header, name in TOLD_BY:
        if header in headers:
            wire = shelf().get(name)
            if wire is not None and wire.callers is not None:
                return door("", wire)
    return ELSEWHERE


def beside(path: bytes) -> bytes:
    """Return the path under /v1 that a path of Azure's clients stands for; any other path stands for itself."""
    return b"/v1/" + path[len(AZURE) :].removeprefix(b"v1/") if path.startswith(AZURE) else path


def meant(path: bytes) -> str:
    """Return the path of the endpoint that a caller may have meant by a path that is none, "" where none is like it."""
    words = [word for word in path.lower().split(b"/") if word]
    for at_word in range(len(words)):
        near = b"/v1/" + b"/".join(words[at_word:])
        if near in DOORS:
            return near.decode()
    return ""


def is_astray(path: bytes) -> bool:
    """Return whether a path outside the data plane is an endpoint's, but for its version, its case or a slash: what an SDK with a wrong base URL asks for."""
    words = [word for word in path.lower().split(b"/") if word]
    return b"/v1/" + b"/".join(words[words[:1] == [b"v1"] :]) in DOORS


def shown_back(path: bytes, headers: Mapping[bytes, bytes]) -> bytes:
    """Return the refusal, in the shape its SDK expects, of a request that went astray."""
    words = f"There is no endpoint {path[:200].decode('latin-1')!r}: use {meant(path)!r}. SDKs of OpenAI take /v1 at the end of base_url, others none."
    return find(path, headers).client.error_body(404, "unknown_endpoint", "invalid_request_error", words, None, {})


def deployed(path: bytes) -> Door:
    """Return the door of a path of Azure's clients; the deployment it names is a model of the catalogue."""
    found = _DEPLOYED.fullmatch(path)
    behind = DOORS.get(AZURE + found[2]) if found is not None else None
    if found is None or behind is None:
        return ELSEWHERE
    model = unquote_to_bytes(found[1]).decode("utf-8", "replace")[:AZURE_NAME_CHARS]
    client, plain = behind.client, behind.plain
    if plain is not None:
        plain = structs.replace(plain, read_head=partial(_head_of, plain.read_head, model))
    client = structs.replace(client, read_head=partial(_head_of, client.read_head, model))
    return structs.replace(behind, client=client, plain=plain, model=model, is_usual=False)


def _head_of(read_head: Callable[[Mapping[str, Any]], Head], model: str, parsed: Mapping[str, Any]) -> Head:
    return read_head({**parsed, "model": model})


def with_model(body: Body, door: Door, content_type: bytes) -> Body:
    """Return a body, which was read already, that names the model of its path. Raises WireError for a form that cannot be written."""
    if door.plain is not None and door.plain.is_form:
        return forms.with_field(body, content_type, "model", door.model)
    assert isinstance(body, bytes)
    return strict.splice(strict.fields(body), {"model": orjson.dumps(door.model)})


def at(path: str) -> Door | None:
    """Return the door of a path that names a model, its first slash left out; None for one that is no such path."""
    for wire, read_path, others in NAMING:
        named = read_path(path, others)
        if named is not None:
            return door(named.endpoint, wire, named.model, named.stream)
    return None


def behind(endpoint: str, rest: str) -> Door:
    """Return the door of a known endpoint that was found as a provider's, at `rest` of its path."""
    wire = by_endpoint()[endpoint]
    return door(endpoint, wire) if wire.names_model else at(rest) or door(endpoint, wire)
