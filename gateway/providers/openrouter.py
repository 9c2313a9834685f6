"""OpenRouter: many vendors behind one address; model names are vendor/model."""

from gateway.providers import Provider

PROVIDER = Provider(
    slug="openrouter",
    title="OpenRouter",
    wires={"chat/completions": "openai_chat", "embeddings": "openai_chat"},
    base_url="https://openrouter.ai/api/v1",
    price_provider="openrouter",
)
