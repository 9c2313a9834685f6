"""Perplexity: answers with sources from the web; no list of models."""

from gateway.providers import Provider

PROVIDER = Provider(
    slug="perplexity",
    title="Perplexity",
    wires={"chat/completions": "openai_chat"},
    base_url="https://api.perplexity.ai",
    models_path="",
    price_provider="perplexity",
)
