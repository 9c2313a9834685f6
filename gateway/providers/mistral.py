"""Mistral AI: refuses every field it does not know, and names two of OpenAI's its own way."""

from gateway.providers import Provider

PROVIDER = Provider(
    slug="mistral",
    title="Mistral AI",
    wires={"chat/completions": "openai_chat", "embeddings": "openai_chat"},
    base_url="https://api.mistral.ai/v1",
    # what OpenAI's SDKs send and Mistral answers with 422; the usage of a stream comes unasked
    drop=frozenset(("user", "safety_identifier", "service_tier", "store", "stream_options", "logit_bias", "verbosity", "prompt_cache_key")),
    rename={"max_completion_tokens": "max_tokens", "seed": "random_seed"},
    asks_stream_usage=False,
    price_provider="mistral",
)
