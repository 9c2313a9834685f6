"""Hugging Face Inference Providers: many vendors behind one address; model names may end in :vendor."""

from gateway.providers import Provider

PROVIDER = Provider(
    slug="huggingface",
    title="Hugging Face",
    wires={"chat/completions": "openai_chat"},
    base_url="https://router.huggingface.co/v1",
)
