"""Cohere: its models are listed elsewhere than its endpoints for OpenAI's SDKs are, and by name.

Its own SDK (`ClientV2(base_url="https://<gateway>/v1/<account>", api_key="sgw_vk_...")`) chats, streamed or not, embeds texts and reranks, metered by the units
that Cohere bills; embedding pictures is refused, whose price is another. `tokenize`, `detokenize` and version 1 of the API are not metered and go through
only where the account allows unknown endpoints.
"""

from collections.abc import Mapping
from typing import Any

from gateway.providers import Provider, same_endpoint
from gateway.wire.cohere import CHAT, EMBED


def _path(endpoint: str, model: str, options: Mapping[str, str], stream: bool) -> str:
    if endpoint in (CHAT, EMBED):
        return "/" + endpoint
    return "/v2/rerank" if endpoint == "rerank" else "/compatibility/v1/" + endpoint


_COMPATIBLE = "compatibility/v1/"


def _locate(rest: str) -> str:
    # reranking is the one endpoint of its own SDK that others have too
    return same_endpoint("rerank" if rest == "v2/rerank" else rest.removeprefix(_COMPATIBLE))


def _other_path(rest: str) -> str:
    return "/" + rest if rest.startswith(("v1/", "v2/", _COMPATIBLE)) else "/v1/" + rest


def _read_models(listing: Mapping[str, Any]) -> list[str]:
    rows = listing.get("models") or listing.get("data") or []
    return [name for row in rows if isinstance(name := row.get("name", row.get("id")), str)]


PROVIDER = Provider(
    slug="cohere",
    title="Cohere",
    wires={
        "chat/completions": "openai_chat",
        "embeddings": "openai_chat",
        "rerank": "openai_chat",
        CHAT: "cohere",
        EMBED: "cohere",
    },
    base_url="https://api.cohere.ai",
    path=_path,
    locate=_locate,
    other_path=_other_path,
    # its streams tell no usage by this road: it is estimated and flagged
    asks_stream_usage=False,
    models_path="/v1/models?page_size=1000",
    read_models=_read_models,
    price_provider="cohere",
    collections=(),
)
