"""llama.cpp's server: one model on your own machine, a key only if the server was started with one.

It is asked with OpenAI's SDKs. Paths of its own beside `/v1` (`/completion`, `/infill`, `/tokenize`) are not served: use `completions`.
"""

from gateway.providers import Provider

PROVIDER = Provider(
    slug="llama_cpp",
    title="llama.cpp",
    wires={
        "chat/completions": "openai_chat",
        "completions": "openai_completions",
        "embeddings": "openai_chat",
        "rerank": "openai_chat",
    },
    base_url="http://localhost:8080/v1",
    needs_credential=False,
    collections=None,
)
