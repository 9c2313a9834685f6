"""Hugging Face Inference Providers: many vendors behind one address; model names may end in :vendor.

`chat_completion` of huggingface_hub's `InferenceClient(base_url="https://<gateway>/v1/<account>")` is metered; its other tasks go to addresses of
their own and are not served.
"""

from gateway.providers import Provider

PROVIDER = Provider(
    slug="huggingface",
    title="Hugging Face",
    wires={"chat/completions": "openai_chat"},
    base_url="https://router.huggingface.co/v1",
)
