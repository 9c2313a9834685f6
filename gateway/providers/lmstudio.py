"""LM Studio: models on your own desk, no key. It is asked with OpenAI's SDKs; its own speaks a protocol of its own over WebSockets, which is not served."""

from gateway.providers import Provider

PROVIDER = Provider(
    slug="lmstudio",
    title="LM Studio",
    wires={"chat/completions": "openai_chat", "completions": "openai_completions", "embeddings": "openai_chat"},
    base_url="http://localhost:1234/v1",
    needs_credential=False,
    collections=None,
)
