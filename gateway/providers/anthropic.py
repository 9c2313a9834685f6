"""Anthropic: one path for chat, its own wire, a key header and a version header. Callers choose version and betas, of which these may pass."""

import re
from collections.abc import Mapping

from gateway.providers import Provider
from gateway.terms import Headers

# https://docs.claude.com/en/api/versioning: the older one still takes temperature, top_p and top_k, which callers of other wires send.
VERSION = b"2023-06-01"
_A_VERSION = re.compile(rb"20\d\d-\d\d-\d\d")
_DATED = re.compile(rb"-20\d\d-?\d\d-?\d\d$")
# Betas that change how a call is answered. Left out are those that reach into the vendor's account (files, batches, skills, agents), sign in another way,
# or have the vendor call servers of the caller's choosing.
BETAS = frozenset(
    (
        b"prompt-caching", b"extended-cache-ttl", b"context-1m", b"context-management", b"compact", b"interleaved-thinking", b"adaptive-thinking", b"effort",
        b"dev-full-thinking", b"redact-thinking", b"fine-grained-tool-streaming", b"token-efficient-tools", b"advanced-tool-use", b"tool-examples",
        b"tool-search-tool", b"computer-use", b"output-128k", b"max-tokens-3-5-sonnet", b"structured-outputs", b"model-context-window-exceeded", b"pdfs",
        b"search-results", b"token-counting", b"fast-mode", b"prompt-caching-scope", b"claude-code",
    )
)  # fmt: skip
RATE_LIMITS = frozenset(
    f"anthropic-ratelimit-{kind}-{what}".encode()
    for kind in ("requests", "tokens", "input-tokens", "output-tokens")
    for what in ("limit", "remaining", "reset")
)


def _headers(credential: str) -> Headers:
    return ((b"x-api-key", credential.encode()), (b"anthropic-version", VERSION))


def tells(headers: Headers) -> tuple[Headers, tuple[str, ...]]:
    """Return the caller's API version and those betas that may pass; `anthropic-beta` among what is left out if one may not."""
    told: list[tuple[bytes, bytes]] = []
    left_out: tuple[str, ...] = ()
    for name, value in headers:
        if name == b"anthropic-version":
            if _A_VERSION.fullmatch(value.strip()):
                told.append((name, value.strip()))
            continue
        asked = [beta.strip() for beta in value.split(b",") if beta.strip()]
        allowed = [beta for beta in asked if _DATED.sub(b"", beta) in BETAS]
        if allowed:
            told.append((name, b",".join(allowed)))
        if len(allowed) < len(asked):
            left_out = ("anthropic-beta",)
    return tuple(told), left_out


def _path(endpoint: str, model: str, options: Mapping[str, str], stream: bool) -> str:
    return f"/v1/{endpoint}"


PROVIDER = Provider(
    slug="anthropic",
    title="Anthropic",
    wires={"messages": "anthropic_messages", "messages/count_tokens": "anthropic_messages"},
    base_url="https://api.anthropic.com",
    headers=_headers,
    path=_path,
    tells=tells,
    reads_headers=RATE_LIMITS,
    models_path="/v1/models?limit=1000",
    price_provider="anthropic",
)
