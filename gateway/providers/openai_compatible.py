"""Any server that speaks OpenAI: the account row says where it is."""

from gateway.providers import Provider

PROVIDER = Provider(
    slug="openai_compatible",
    title="OpenAI-compatible server",
    wires={"chat/completions": "openai_chat", "embeddings": "openai_chat"},
    needs_credential=False,
)
