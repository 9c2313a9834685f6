"""The shipped simulator, spoken to on the Anthropic wire. Its answers are made up and labelled so."""

from collections.abc import Mapping

from gateway.providers import Provider, rest_below_v1
from gateway.terms import Headers
from gateway.wire.anthropic_messages.kept import COLLECTIONS


def _headers(credential: str) -> Headers:
    return ((b"x-api-key", credential.encode()), (b"anthropic-version", b"2023-06-01"))


def _path(endpoint: str, model: str, options: Mapping[str, str], stream: bool) -> str:
    return f"/v1/{endpoint}"


def _tells(headers: Headers) -> tuple[Headers, tuple[str, ...]]:
    # nothing can happen there that the caller did not ask for
    return headers, ()


PROVIDER = Provider(
    slug="simulator_anthropic",
    title="Simulator (Anthropic wire, simulated)",
    wires={"messages": "anthropic_messages", "messages/count_tokens": "anthropic_messages"},
    keeps=frozenset({"messages/batches"}),
    headers=_headers,
    path=_path,
    other_path=rest_below_v1,
    collections=COLLECTIONS,
    also_told=frozenset({b"anthropic-version", b"anthropic-beta"}),
    tells=_tells,
    reads_headers=frozenset(f"anthropic-ratelimit-{kind}-{what}".encode() for kind in ("requests", "tokens") for what in ("limit", "remaining", "reset")),
    models_path="/v1/models",
    simulated=True,
)
