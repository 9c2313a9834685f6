"""Fireworks AI: model names are whole resource paths.

Chat, completions and embeddings of its own SDK (`base_url="https://<gateway>/v1/<account>"`) are metered.
"""

from gateway.providers import Provider, same_endpoint, same_rest

# its own SDK's paths begin at the host
_OWN = "inference/"


def _locate(rest: str) -> str:
    return same_endpoint(rest.removeprefix(_OWN))


def _other_path(rest: str) -> str:
    return same_rest(rest.removeprefix(_OWN))


PROVIDER = Provider(
    slug="fireworks",
    title="Fireworks AI",
    locate=_locate,
    other_path=_other_path,
    wires={"chat/completions": "openai_chat", "embeddings": "openai_chat"},
    base_url="https://api.fireworks.ai/inference/v1",
    price_provider="fireworks",
    collections=(),
)
