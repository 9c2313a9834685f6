"""Groq: OpenAI's wire under a path of its own; refuses log probabilities and biases itself."""

from gateway.providers import Provider

PROVIDER = Provider(
    keeps=frozenset({"files", "batches"}),
    slug="groq",
    title="Groq",
    wires={
        "chat/completions": "openai_chat",
        "audio/speech": "openai_chat",
        "audio/transcriptions": "openai_chat",
        "audio/translations": "openai_chat",
    },
    base_url="https://api.groq.com/openai/v1",
    output_limit="max_completion_tokens",
    price_provider="groq",
)
