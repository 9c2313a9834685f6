"""What a client library in another environment is asked to do, as one script that prints what it met, and what it must have met."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.fakes.issued import issue
from tests.fakes.service import ROOT, Service
from tests.journeys.faults import FAULTS, IN_STREAM, MODELS, PATIENT, WIRES, add_faulty_models, asking_for, model_of, told_by
from tests.journeys.upstreams import UPSTREAMS
from tests.journeys.upstreams import model_of as model_at

TOOLS = ROOT / ".tools"
OPENAI2 = os.environ.get("SYMBIOSIS_TEST_OPENAI2") or str(TOOLS / "openai2" / "bin" / "python")
NODE_CLIENTS = os.environ.get("SYMBIOSIS_TEST_NODE_CLIENTS") or str(TOOLS / "node")
CLIENTS = ROOT / "tests" / "clients"
PARALLEL, FEW = 200, 20
# public name: what its simulated model is called, what answers call it, and how many calls at once it gets
ASKED = {
    **{model: (model, model, PARALLEL) for model in MODELS},
    **{model_at(wire): (upstream.model, upstream.model if wire == "chat" else model_at(wire), FEW) for wire, upstream in UPSTREAMS.items()},
}
CITIES = [["get_weather", {"city": city}] for city in ("Paris", "London", "Rome")]
HALF = -0.7071067690849304
SOLUTION = {"steps": [{"explanation": "simulated", "value": 0}], "final": "simulated", "certain": True}


def task(service: Service, client: str) -> dict[str, Any]:
    """Prepare faulty models and a key for one client, and return the task its script reads; `service` has a model for each upstream wire."""
    add_faulty_models(service, client)
    return {
        "base_url": service.base_url,
        "key": service.key,
        "narrow_key": issue(service, {f"{client} narrow": (["sim-chat"], "active")})[f"{client} narrow"],
        "models": {model: parallel for model, (_, _, parallel) in ASKED.items()},
        "faults": [
            {"name": f"{wire} {directive}", "model": model_of(client, wire, directive), "messages": asking_for(directive), "retries": retries}
            for wire in WIRES
            for directive, retries in [*((fault, 1) for fault in FAULTS), (PATIENT, None)]
        ],
        "in_stream": [
            {"name": f"{wire} {directive}", "model": model_of(client, wire, directive), "directive": directive} for wire in WIRES for directive in IN_STREAM
        ],
    }


def play(command: Sequence[str | Path], asked: Mapping[str, Any]) -> Any:
    """Run a client's script with its task on standard input and return what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SYMBIOSIS_", "OPENAI_", "PYTHON"))}
    done = subprocess.run(command, input=json.dumps(asked), env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-4_000:]
    return json.loads(done.stdout)


def expected(classes: Mapping[int, str]) -> dict[str, Any]:
    """Return what a script must have met; `classes` gives the library's name for the error of each status."""
    return {
        "models": {model: _of_model(*asked) for model, asked in ASKED.items()},
        "embeddings": {"floats": [[HALF, HALF, 0, 0], [0, -HALF, 0, HALF]], "packed": "8wQ1v/MENb8AAAAAAAAAAA==", "unpacked_by_the_sdk": True},
        "catalogue": {"listed": ["sim-chat"], "found": "sim-chat"},
        "refusals": {
            "bad key": [classes[401], 401, "invalid_api_key", "false", 1],
            "no such model": [classes[404], 404, "model_not_found", "false", 1],
            "not for this key": [classes[403], 403, "model_not_allowed", "false", 1],
            "not listed for this key": [classes[404], 404, "model_not_found", "false", 1],
            "no such endpoint": [classes[404], 404, "unknown_endpoint", "false", 1],
            "wrong kind of model": [classes[400], 400, "invalid_request", "false", 1],
        },
        "provider_path": ["The long way.", "sim-openai/sim-chat"],
        "faults": {
            **{
                f"{wire} {directive}": [classes[told.status], told.status, told.code, told.should_retry, told.requests]
                for wire in WIRES
                for directive in FAULTS
                for told in [told_by(wire, directive)]
            },
            **{f"{wire} {PATIENT}": [classes[502], 502, "upstream_error", None, 3] for wire in WIRES},
        },
        "in_stream": {f"{wire} {directive}": ["APIError", "upstream_error", True, 1] for wire in WIRES for directive in IN_STREAM},
    }


def _of_model(upstream_model: str, told_model: str, parallel: int) -> dict[str, Any]:
    return {
        "whole": {"content": "Hello from the other side.", "finish": "stop", "model": told_model, "output_tokens": 5, "call": True, "attempts": "1"},
        "stream": {"content": "One two three.", "finish": ["stop"], "usage": []},
        "stream_with_usage": {"content": "One two three.", "finish": ["stop"], "usage": [3]},
        "tools": {"calls": CITIES, "finish": "tool_calls"},
        "streamed_tools": {"calls": CITIES, "finish": ["tool_calls"]},
        "after_tools": f"Simulated answer from {upstream_model}. The tool returned: 0 degrees | 1 degrees | 2 degrees",
        "parsed": SOLUTION,
        "image": f"Simulated answer from {upstream_model}. I was shown 1 image (image/png).",
        "parallel": parallel,
    }
