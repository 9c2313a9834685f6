"""Any server that speaks OpenAI: the account row says where it is."""

from gateway.providers import Provider

PROVIDER = Provider(
    slug="openai_compatible",
    title="OpenAI-compatible server",
    wires={
        "chat/completions": "openai_chat",
        "embeddings": "openai_chat",
        "moderations": "openai_chat",
        "images/generations": "openai_chat",
        "images/edits": "openai_chat",
        "audio/speech": "openai_chat",
        "audio/transcriptions": "openai_chat",
        "audio/translations": "openai_chat",
        "realtime": "openai_chat",
        "rerank": "openai_chat",
    },
    needs_credential=False,
)
