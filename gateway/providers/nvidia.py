"""NVIDIA NIM, hosted by NVIDIA; a NIM of your own is an OpenAI-compatible server."""

from gateway.providers import Provider

PROVIDER = Provider(
    slug="nvidia",
    title="NVIDIA NIM",
    wires={"chat/completions": "openai_chat", "embeddings": "openai_chat"},
    base_url="https://integrate.api.nvidia.com/v1",
)
