"""Ollama: models on your own machines, no key by default."""

from gateway.providers import Provider

PROVIDER = Provider(
    slug="ollama",
    title="Ollama",
    wires={"chat/completions": "openai_chat", "completions": "openai_completions", "embeddings": "openai_chat"},
    base_url="http://localhost:11434/v1",
    needs_credential=False,
    # Read by no released version: telling the caller is better than ignoring it in silence.
    drop=frozenset(("logit_bias",)),
    collections=None,
)
