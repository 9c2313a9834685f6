"""Together AI: its list of models is a bare array."""

from typing import Any

from gateway.providers import Provider


def _read_models(listing: Any) -> list[str]:
    rows = listing["data"] if isinstance(listing, dict) else listing
    return [name for row in rows if isinstance(name := row["id"], str)]


PROVIDER = Provider(
    slug="together",
    title="Together AI",
    wires={
        "chat/completions": "openai_chat",
        "embeddings": "openai_chat",
        "images/generations": "openai_chat",
        "rerank": "openai_chat",
    },
    base_url="https://api.together.xyz/v1",
    read_models=_read_models,
    price_provider="together",
)
