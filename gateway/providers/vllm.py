"""vLLM: models on your own machines, a key only if the server was started with one.

It is asked with OpenAI's SDKs; `rerank` is metered too. `score`, `pooling` and `classify` are not: they go through only where the account allows unknown
endpoints.
"""

from gateway.providers import Provider

PROVIDER = Provider(
    slug="vllm",
    title="vLLM",
    wires={
        "chat/completions": "openai_chat",
        "completions": "openai_completions",
        "embeddings": "openai_chat",
        "audio/transcriptions": "openai_chat",
        "audio/translations": "openai_chat",
        "rerank": "openai_chat",
    },
    base_url="http://localhost:8000/v1",
    needs_credential=False,
    collections=None,
)
