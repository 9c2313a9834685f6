"""The shelf of providers: every module here exports PROVIDER. A server that merely speaks OpenAI needs no file, only an account row of `openai_compatible`."""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import msgspec

from gateway.terms import Frozen, Headers
from gateway.wire.kept import Collection
from gateway.wire.openai_chat.kept import COLLECTIONS


def bearer(credential: str) -> Headers:
    """Return the Authorization header most OpenAI-speaking servers ask for; no header for an empty credential."""
    return ((b"authorization", b"Bearer " + credential.encode()),) if credential else ()


def read_oauth(answer: bytes) -> tuple[str, float]:
    """Return access token and seconds to live of a token endpoint's answer (RFC 6749 §5.1). Raises ValueError."""
    told = msgspec.json.decode(answer, type=_Token)
    if not told.access_token.isascii() or not told.access_token.isprintable() or " " in told.access_token:
        raise ValueError("the token endpoint's answer holds no token")
    return told.access_token, told.expires_in


class _Token(msgspec.Struct):
    access_token: str
    expires_in: float = 300


def same_path(endpoint: str, model: str, options: Mapping[str, str], stream: bool) -> str:
    """Return the path under the base URL for a vendor whose paths are the endpoints themselves."""
    return "/" + endpoint


def same_endpoint(rest: str) -> str:
    """Return the endpoint a provider path's rest stands for: itself, with or without the vendor's /v1."""
    return rest.removeprefix("v1/")


def same_rest(rest: str) -> str:
    """Return the path under the base URL of what is not metered, for a vendor whose base URL ends with the API's version."""
    return "/" + rest.removeprefix("v1/")


def rest_below_v1(rest: str) -> str:
    """Return the same for a vendor whose base URL ends before it."""
    return "/v1" + same_rest(rest)


def same_model(model: str, options: Mapping[str, str]) -> str:
    """Return what a live session calls an upstream model, for a vendor who calls it the same everywhere."""
    return model


def listed_ids(listing: Mapping[str, Any]) -> list[str]:
    """Return the model names of a listing in OpenAI's shape."""
    return [name for row in listing.get("data", []) if isinstance(name := row["id"], str)]


Signer = Callable[[str, str, str], Headers]


class Provider(Frozen, frozen=True):
    """A kind of vendor.

    `wires` maps the endpoints the vendor has (`chat/completions`, `messages`, `embeddings`) to the wire spoken there, the best to translate to
    first; `headers` builds the
    authentication headers from the opened credential; `path` the path under the account's base URL from endpoint,
    upstream model, account options and whether it streams; `locate` finds the endpoint from the rest of a provider path, `other_path` the path under
    the base URL from the rest of one that is no known endpoint; paths that begin as one of `at_root` stand beside the base URL's /v1;
    `live_model` is what a live session calls an upstream model, by the account's options;
    `options` lists the option names an account of this kind needs, with a hint, `may_have` those it may be given.
    `drop` are request fields the vendor refuses; `rename` maps request fields to the vendor's names.
    `output_limit` is the request field that bounds a chat answer's tokens.
    `tells` picks from the caller's headers those the vendor may be told, and names the others.
    `reads_headers` are vendor answer headers worth passing to the caller. `models_path` lists models ("" : no listing).
    `token_request`, for vendors that take an access token in exchange for the credential, returns the token endpoint's URL and the form to post there from
    the credential and Unix seconds (raises ValueError), `read_token` the token and its seconds to live from the answer; `headers` gets that token then.
    `collections` are what the vendor keeps for all who share an account's credential (what OpenAI does, unless said otherwise), None for servers that keep
    nothing; `also_told` are the caller's headers that its unmetered endpoints may be told.
    `signer`, for vendors whose requests are signed one by one, returns what makes a request's headers from method, URL and the body's SHA-256, made once from
    credential and options; None where this credential is not one to sign with. `base_url` may hold options in braces.
    `keeps` are the endpoints of what it keeps for callers that the gateway keeps account of: `files`, `batches`, `messages/batches`.
    `read_wait` finds in the body of a refusal how many seconds the vendor wants to be left alone, where it says so there; None where it does not.
    `read_models` turns that listing's JSON into names. `price_provider` is the vendor's id in the seeded price book ("" : none).
    """

    slug: str
    title: str
    wires: Mapping[str, str]
    base_url: str = ""
    headers: Callable[[str], Headers] = bearer
    path: Callable[[str, str, Mapping[str, str], bool], str] = same_path
    locate: Callable[[str], str] = same_endpoint
    other_path: Callable[[str], str] = same_rest
    at_root: tuple[str, ...] = ()
    live_model: Callable[[str, Mapping[str, str]], str] = same_model
    options: Mapping[str, str] = {}
    may_have: Mapping[str, str] = {}
    needs_credential: bool = True
    drop: frozenset[str] = frozenset()
    rename: Mapping[str, str] = {}
    asks_stream_usage: bool = True
    output_limit: str = "max_tokens"
    tells: Callable[[Headers], tuple[Headers, tuple[str, ...]]] | None = None
    reads_headers: frozenset[bytes] = frozenset()
    models_path: str = "/models"
    read_models: Callable[[Any], list[str]] = listed_ids
    price_provider: str = ""
    simulated: bool = False
    token_request: Callable[[str, float], tuple[str, bytes]] | None = None
    read_token: Callable[[bytes], tuple[str, float]] = read_oauth
    signer: Callable[[str, Mapping[str, str]], Signer | None] | None = None
    keeps: frozenset[str] = frozenset()
    collections: tuple[Collection, ...] | None = COLLECTIONS
    also_told: frozenset[bytes] = frozenset({b"openai-beta"})
    read_wait: Callable[[bytes], float | None] | None = None


@cache
def shelf() -> Mapping[str, Provider]:
    """Return every provider on the shelf by slug, found by looking, not by a list."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        provider: Provider = importlib.import_module(f"{__name__}.{module.name}").PROVIDER
        found[provider.slug] = provider
    return found
