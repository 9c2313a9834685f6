"""Text Generation Inference: one model on your own machine, a key only if a proxy before it wants one."""

from gateway.providers import Provider

PROVIDER = Provider(
    slug="tgi",
    title="Text Generation Inference",
    wires={"chat/completions": "openai_chat"},
    base_url="http://localhost:8080/v1",
    needs_credential=False,
    collections=None,
)
