"""Fireworks AI: model names are whole resource paths."""

from gateway.providers import Provider

PROVIDER = Provider(
    slug="fireworks",
    title="Fireworks AI",
    wires={"chat/completions": "openai_chat", "embeddings": "openai_chat"},
    base_url="https://api.fireworks.ai/inference/v1",
    price_provider="fireworks",
    collections=(),
)
