"""The AI SDK for Node (npm `ai`, 6.x) with its providers for OpenAI, Anthropic and Google against the started product: each at every upstream wire."""

import pytest

from tests.fakes.service import Service
from tests.journeys.essentials import CLIENTS, NODE_CLIENTS, play
from tests.journeys.test_openai_node import NODE
from tests.journeys.upstreams import UPSTREAMS, model_of, thinker_of

pytestmark = pytest.mark.journey

FACES = ("responses", "chat", "messages", "gemini")
CITIES = [["Paris", "London", "Rome"], []]
MADE = {"city": "simulated", "degrees": 0}
EVERY = {
    "whole": ["Hello from the other side.", "stop", 5, True],
    "streamed": ["One two three.", "stop", 3],
    "loops": {"steps": CITIES, "uses_results": True, "streamed_steps": CITIES, "streamed_uses_results": True},
    "objects": [MADE, MADE, MADE],
}
EMBEDDED = [[True, True], True]


def test_the_ai_sdk_meets_all_it_relies_on(wired: Service) -> None:
    task = {
        "origin": wired.origin,
        "key": wired.key,
        "models": {wire: model_of(wire) for wire in UPSTREAMS},
        "thinkers": {wire: thinker_of(wire) for wire in UPSTREAMS},
    }
    told = play([NODE, CLIENTS / "node" / "ai.mjs", NODE_CLIENTS], task)
    assert told["embeddings"] == {"openai": EMBEDDED, "google": EMBEDDED, "openai_at_google": EMBEDDED}
    for face in FACES:
        assert told["faces"][face]["models"] == dict.fromkeys(UPSTREAMS, EVERY), face
        # the SDK's chat face has no place for what a model thinks
        assert told["faces"][face]["thinks"] == {wire: [face != "chat", "stop"] for wire in UPSTREAMS}, face
        assert (told["faces"][face]["refusals"], told["faces"][face]["broken"]) == ([[401, False], [404, False]], True), face
