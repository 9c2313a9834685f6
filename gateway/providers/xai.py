"""xAI: counts reasoning beside the completion, which the meter of the wire knows. Ask it with OpenAI's SDKs: its own speaks gRPC, which is not served."""

from gateway.providers import Provider

PROVIDER = Provider(
    slug="xai",
    title="xAI",
    wires={
        "chat/completions": "openai_chat",
        "images/generations": "openai_chat",
    },
    base_url="https://api.x.ai/v1",
    output_limit="max_completion_tokens",
    price_provider="x-ai",
)
