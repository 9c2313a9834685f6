"""Where a call may go: the model's deployments in order, with an upper-bound quote. Knows nothing of sockets or health."""

import random

from billing.money import TOKENS_PER_RATE
from gateway.errors import BadRequest, NoSuchModel, NotAllowed, PriceUnknown
from gateway.plane.snapshot import Snapshot
from gateway.terms import Call, Caller, Deployment, Model, Plan

KIND_OF_ENDPOINT = {"chat/completions": "chat", "embeddings": "embeddings"}
ASSUMED_OUTPUT_TOKENS = 4_096


def may_use(caller: Caller, model: Model) -> bool:
    """Return whether this caller's key is allowed the model."""
    return caller.key.models is None or model.name in caller.key.models


def plan(call: Call, caller: Caller, snapshot: Snapshot, draw: random.Random) -> Plan:
    """Return the deployments to try in order and the quote.

    Raises NoSuchModel, NotAllowed, PriceUnknown, or BadRequest when the model does not serve this endpoint.
    """
    model = named(call, caller, snapshot) if call.account else snapshot.models.get(call.model)
    if model is None or (call.account and not any(d.account == call.account for d in model.deployments)):
        place = f" at the provider account {call.account!r}" if call.account else ""
        raise NoSuchModel(f"The model {call.model[:200]!r} is not in the catalogue{place}. GET /v1/models lists what this key may use.", param="model")
    if not may_use(caller, model):
        raise NotAllowed(f"This key may not use {model.name!r}. GET /v1/models lists what it may use.", param="model")
    kind = KIND_OF_ENDPOINT[call.endpoint]
    if model.kind != kind:
        raise BadRequest(f"{model.name!r} is a model for {model.kind}; it does not serve /{call.endpoint}.", param="model")
    deployments = model.deployments
    if call.account:
        deployments = tuple(d for d in deployments if d.account == call.account)
    if not deployments:
        raise NoSuchModel(f"The model {model.name!r} has no active deployment. Ask your IT administrator.", param="model")
    if model.unknown_price == "refuse":
        deployments = tuple(d for d in deployments if d.price is not None)
        if not deployments:
            raise PriceUnknown(f"No price is known for {model.name!r}, and its policy is to refuse then. Ask finance to enter one.", param="model")
    ordered = deployments if len(deployments) == 1 else arrange(deployments, draw)
    return Plan(model, ordered, quote(call, ordered, snapshot))


def named(call: Call, caller: Caller, snapshot: Snapshot) -> Model | None:
    """Return what a provider path's model name stands for: an upstream name there, of several models one this key may use, or a catalogue name."""
    served = snapshot.by_upstream.get((call.account, call.model))
    if served is None:
        return snapshot.models.get(call.model)
    return next((model for model in served if may_use(caller, model)), served[0])


def arrange(deployments: tuple[Deployment, ...], draw: random.Random) -> tuple[Deployment, ...]:
    """Return deployments by ascending order and, within one order, drawn by weight without replacement."""
    return tuple(sorted(deployments, key=lambda d: (d.order, -(draw.random() ** (1.0 / d.weight)))))


def quote(call: Call, deployments: tuple[Deployment, ...], snapshot: Snapshot) -> int:
    """Return the dearest deployment's cost in nano-USD, rounded up, when every byte were a token and the output limit were reached."""
    output_tokens = 0 if call.endpoint == "embeddings" else call.max_output_tokens or ASSUMED_OUTPUT_TOKENS
    dearest = 0
    for deployment in deployments:
        if deployment.price is not None:
            input_nanousd, output_nanousd, request_nanousd = snapshot.dearest[deployment.price.id]
            most = -(-(len(call.body) * input_nanousd + output_tokens * output_nanousd) // TOKENS_PER_RATE) + request_nanousd
            if most > dearest:
                dearest = most
    return dearest
