"""Anthropic: one path for chat, its own wire, a key header and a version header. Callers choose version and betas, of which these may pass."""

from collections.abc import Mapping

from gateway.providers import Provider, rest_below_v1
from gateway.terms import Headers
from gateway.wire.anthropic_messages.betas import VERSION, tells
from gateway.wire.anthropic_messages.kept import COLLECTIONS

KINDS, WHAT = ("requests", "tokens", "input-tokens", "output-tokens"), ("limit", "remaining", "reset")
RATE_LIMITS = frozenset(f"anthropic-ratelimit-{kind}-{what}".encode() for kind in KINDS for what in WHAT)


def _headers(credential: str) -> Headers:
    return ((b"x-api-key", credential.encode()), (b"anthropic-version", VERSION))


def _path(endpoint: str, model: str, options: Mapping[str, str], stream: bool) -> str:
    return f"/v1/{endpoint}"


PROVIDER = Provider(
    slug="anthropic",
    title="Anthropic",
    wires={"messages": "anthropic_messages", "messages/count_tokens": "anthropic_messages"},
    keeps=frozenset({"messages/batches"}),
    base_url="https://api.anthropic.com",
    headers=_headers,
    path=_path,
    other_path=rest_below_v1,
    collections=COLLECTIONS,
    also_told=frozenset({b"anthropic-version", b"anthropic-beta"}),
    tells=tells,
    reads_headers=RATE_LIMITS,
    models_path="/v1/models?limit=1000",
    price_provider="anthropic",
)
