"""DeepSeek: tells its reasoning beside the answer, and cache hits in a field of its own."""

from gateway.providers import Provider

PROVIDER = Provider(
    slug="deepseek",
    title="DeepSeek",
    wires={"chat/completions": "openai_chat"},
    base_url="https://api.deepseek.com/v1",
    price_provider="deepseek",
    collections=(),
)
