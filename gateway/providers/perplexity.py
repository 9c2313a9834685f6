"""Perplexity: answers with sources from the web; no list of models. Of its own SDK `chat.completions` is metered; `search` is not, and goes through only
where the account allows unknown endpoints.
"""

from gateway.providers import Provider

PROVIDER = Provider(
    slug="perplexity",
    title="Perplexity",
    wires={"chat/completions": "openai_chat"},
    base_url="https://api.perplexity.ai",
    models_path="",
    price_provider="perplexity",
)
