"""Anthropic: one path for chat, its own wire, a key header and a version header."""

from collections.abc import Mapping

from gateway.providers import Provider
from gateway.terms import Headers


def _headers(credential: str) -> Headers:
    # https://docs.claude.com/en/api/versioning: the only version there is.
    return ((b"x-api-key", credential.encode()), (b"anthropic-version", b"2023-06-01"))


def _path(endpoint: str, model: str, options: Mapping[str, str], stream: bool) -> str:
    return "/v1/messages"


PROVIDER = Provider(
    slug="anthropic",
    title="Anthropic",
    wires={"messages": "anthropic_messages"},
    base_url="https://api.anthropic.com",
    headers=_headers,
    path=_path,
    models_path="/v1/models?limit=1000",
    price_provider="anthropic",
)
