"""The wires upstream, each with a kind of provider that speaks it alone and its simulated model: every client meets them all."""

from typing import Any, NamedTuple

from tests.fakes.service import Service


class Upstream(NamedTuple):
    """A kind of provider and the model there; `thinker` is one that tells what it thinks."""

    provider: str
    model: str
    thinker: str


UPSTREAMS = {
    "chat": Upstream("openai_compatible", "sim-chat", "sim-reasoner"),
    "responses": Upstream("simulator_responses", "sim-chat", "sim-reasoner"),
    "anthropic": Upstream("simulator_anthropic", "sim-claude", "sim-claude"),
    "gemini": Upstream("simulator_google", "sim-gemini", "sim-gemini"),
    "bedrock": Upstream("simulator_bedrock", "sim-nova", "sim.anthropic.claude-sonnet-4-5"),
}


def model_of(wire: str) -> str:
    """Return the name of the model at one upstream wire."""
    return f"on-{wire}"


def wire_of(model: str) -> str:
    """Return the upstream wire of a model."""
    return model.removeprefix("on-")


def thinker_of(wire: str) -> str:
    """Return the name of the model at one upstream wire that tells what it thinks."""
    return f"thinks-on-{wire}"


def add_models(service: Service) -> None:
    """Add a model and a thinker for each upstream wire."""
    models: dict[str, list[dict[str, Any]]] = {}
    for wire, upstream in UPSTREAMS.items():
        models[model_of(wire)] = [{"provider": upstream.provider, "upstream_model": upstream.model}]
        models[thinker_of(wire)] = [{"provider": upstream.provider, "upstream_model": upstream.thinker}]
    service.add_models(models)
