"""OpenAI itself. Knows nothing about models and prices."""

from gateway.providers import Provider

PROVIDER = Provider(
    keeps=frozenset({"files", "batches", "responses"}),
    output_limit="max_completion_tokens",
    slug="openai",
    title="OpenAI",
    wires={
        "chat/completions": "openai_chat",
        "responses": "openai_responses",
        "embeddings": "openai_chat",
        "moderations": "openai_chat",
        "images/generations": "openai_chat",
        "images/edits": "openai_chat",
        "audio/speech": "openai_chat",
        "audio/transcriptions": "openai_chat",
        "audio/translations": "openai_chat",
        "realtime": "openai_chat",
    },
    base_url="https://api.openai.com/v1",
    reads_headers=frozenset((b"openai-processing-ms", b"openai-version")),
    price_provider="openai",
)
