"""Text Generation Inference: one model on your own machine, a key only if a proxy before it wants one.

It is asked with OpenAI's SDKs, or `chat_completion` of huggingface_hub's `InferenceClient(base_url="https://<gateway>/v1/<account>")`. Paths of its
own beside `/v1` (`/generate`, `/generate_stream`: `text_generation` there) are not served.
"""

from gateway.providers import Provider

PROVIDER = Provider(
    slug="tgi",
    title="Text Generation Inference",
    wires={"chat/completions": "openai_chat"},
    base_url="http://localhost:8080/v1",
    needs_credential=False,
    collections=None,
)
