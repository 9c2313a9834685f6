"""Google's own SDK for Node, @google/genai, against the started product."""

import pytest

from tests.fakes.service import Service
from tests.journeys.essentials import CLIENTS, NODE_CLIENTS, play
from tests.journeys.test_openai_node import NODE
from tests.journeys.upstreams import UPSTREAMS, model_of

pytestmark = pytest.mark.journey

MODELS = [model_of(wire) for wire in UPSTREAMS]
EVERY = {
    "text": "One two three.",
    "finish": "STOP",
    "output": 3,
    "streamed": "One two three.",
    "streamed_output": 3,
    "calls": [["get_weather", {"city": "Paris"}], ["get_weather", {"city": "Rome"}]],
    "uses_results": True,
    "counts": True,
}


def test_google_for_node_meets_all_it_relies_on(wired: Service) -> None:
    task = {"origin": wired.origin, "key": wired.key, "models": MODELS}
    assert play([NODE, CLIENTS / "node" / "google.mjs", NODE_CLIENTS], task) == {
        "models": dict.fromkeys(MODELS, EVERY),
        "refusals": [["ApiError", 401, "UNAUTHENTICATED"], ["ApiError", 404, "NOT_FOUND"]],
    }
