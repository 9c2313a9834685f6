"""The shipped simulator, spoken to on the OpenAI wire. Its answers are made up and labelled so."""

from gateway.providers import Provider

PROVIDER = Provider(
    keeps=frozenset({"files", "batches", "responses"}),
    slug="simulator",
    title="Simulator (OpenAI wire, simulated)",
    wires={
        "chat/completions": "openai_chat",
        "responses": "openai_responses",
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
    simulated=True,
)
