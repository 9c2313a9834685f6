"""The simulated models and the one moment at which everything simulated happens. Knows nothing about wires."""

from typing import NamedTuple

# 2025-01-01T00:00:00Z: a constant, so that two equal requests give equal bytes
EPOCH_S = 1_735_689_600
EPOCH_TEXT = "2025-01-01T00:00:00Z"


class SimModel(NamedTuple):
    """A simulated model: `kind` is chat, embedding or one of openai_media's, `reasons` adds reasoning tokens to every answer."""

    id: str
    title: str
    kind: str = "chat"
    vendor: str = "openai"
    reasons: bool = False
    longest_words: int = 40


MODELS: dict[str, SimModel] = {
    model.id: model
    for model in (
        SimModel("sim-chat", "Simulated Chat"),
        SimModel("sim-chat-large", "Simulated Chat Large", longest_words=160),
        SimModel("sim-reasoner", "Simulated Reasoner", reasons=True),
        SimModel("sim-embed", "Simulated Embeddings", kind="embedding"),
        SimModel("sim-claude", "Simulated Claude", vendor="anthropic"),
        SimModel("sim-gemini", "Simulated Gemini", vendor="google"),
        SimModel("sim-gemini-embed", "Simulated Gemini Embeddings", kind="embedding", vendor="google"),
        SimModel("sim-nova", "Simulated Nova", vendor="aws"),
        SimModel("sim.anthropic.claude-sonnet-4-5", "Simulated Claude at AWS", vendor="aws"),
        SimModel("sim-moderation", "Simulated Moderation", kind="moderation"),
        SimModel("sim-image", "Simulated Pictures", kind="image"),
        SimModel("sim-speech", "Simulated Speech", kind="speech"),
        SimModel("sim-transcribe", "Simulated Transcription", kind="transcription"),
        SimModel("sim-rerank", "Simulated Reranking", kind="rerank"),
        SimModel("sim-realtime", "Simulated Realtime", kind="realtime"),
        SimModel("sim-gemini-live", "Simulated Gemini Live", kind="realtime", vendor="google"),
        SimModel("sim-flat", "Simulated Chat at one price a call"),
    )
}


def find(name: str, kind: str, any_model: bool) -> SimModel | None:
    """Return the model of that name and kind, or None; with `any_model` every unknown name is a model too."""
    model = MODELS.get(name)
    if model is None and any_model and name:
        model = SimModel(name, name, kind)
    return model if model is not None and model.kind == kind else None
