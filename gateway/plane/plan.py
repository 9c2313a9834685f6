"""Where a call may go: the model's deployments in order, with an upper-bound quote. Knows nothing of sockets or health."""

import random
from collections.abc import Sequence

from msgspec import structs

from billing.money import TOKENS_PER_RATE, dearest_search_nanousd
from gateway.errors import BadRequest, DataClassNotAllowed, NoSuchModel, NotAllowed, PriceUnknown
from gateway.plane.objects import may_read, unreadable
from gateway.plane.snapshot import Snapshot
from gateway.terms import UNTOLD, Call, Caller, Deployment, Model, Plan, Reference
from gateway.wire import Plain, chat_endpoints, counting_endpoints, live_endpoints, plain_endpoints

KIND_OF_ENDPOINT = (
    dict.fromkeys(chat_endpoints() | counting_endpoints(), "chat")
    | {"embeddings": "embeddings"}
    | {name: plain.kind for name, plain in plain_endpoints().items()}
    | {name: live.kind for name, (_, live) in live_endpoints().items()}
)
CHAT, PLAIN = chat_endpoints(), plain_endpoints()
# kinds of models that some endpoints serve beside their own
ALSO = {name: plain.kinds for name, plain in PLAIN.items() if plain.kinds}
# where a call says itself how much output it is held for
BOUNDED = PLAIN.keys() | live_endpoints().keys()
# the class of data that what is not in the catalogue may get: internal, as a model that nobody cleared for more
UNLISTED_CLEARANCE = 1
# on every wire, what asks to be kept in a cache has a name with this in it
CACHE = b"cache"
NOT_SERVED = frozenset({"requested", "retired"})
ASSUMED_OUTPUT_TOKENS = 4_096
# A conversation that its vendor keeps is as long as its model can read; of a model whose length is not known, as long as most can.
ASSUMED_CONTEXT_TOKENS = 400_000
# What a stream without an output limit holds at a time; it is extended as the stream grows.
BLOCK_TOKENS = 1_024
# Below this an answer is of no use: the call is refused rather than cut so short.
LEAST_OUTPUT_TOKENS = 16
# Message framing and the vendor's own additions, on top of a token for every byte.
FRAMING_TOKENS = 64


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
        told = {"model": model.name, "key": f"key_{caller.key.id}"}
        raise NotAllowed(f"This key may not use {model.name!r}. GET /v1/models lists what it may use.", param="model", detail=told)
    if caller.project.data_class > model.cleared_for:
        raise DataClassNotAllowed(f"{model.name!r} is not cleared for the class of data of the project {caller.project.name!r}.", param="model")
    if model.lifecycle in NOT_SERVED:
        raise NoSuchModel(not_served(model), param="model")
    kind = KIND_OF_ENDPOINT[call.endpoint]
    if model.kind != kind and model.kind not in ALSO.get(call.endpoint, ()):
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
    if call.endpoint in PLAIN:
        check_fee(call, PLAIN[call.endpoint], deployments)
    ordered = deployments if len(deployments) == 1 else arrange(deployments, draw)
    return quoted(call, model, ordered, snapshot)


def check_fee(call: Call, plain: Plain, deployments: tuple[Deployment, ...]) -> None:
    """Raise BadRequest for several items of a model with a price for each: a fee is paid once a call."""
    several = plain.item_tokens and call.max_output_tokens > plain.item_tokens
    if several and any(d.price is not None and d.price.request_nanousd and not d.price.rates.output_nanousd for d in deployments):
        raise BadRequest("This model is paid by the piece. Ask for one in each call.", param="n")


def check_unlisted(caller: Caller) -> None:
    """Raise DataClassNotAllowed where a project's data must not go to an endpoint that is not in the catalogue."""
    if caller.project.data_class > UNLISTED_CLEARANCE:
        raise DataClassNotAllowed(f"Nobody cleared this endpoint for the class of data of the project {caller.project.name!r}. Use a model of the catalogue.")


def not_served(model: Model) -> str:
    """Return why a model that is in the catalogue serves nobody, and what to use instead."""
    if model.lifecycle == "requested":
        return f"The model {model.name!r} was asked for and is not approved yet."
    return f"The model {model.name!r} is retired." + (f" Use {model.successor!r}." if model.successor else " GET /v1/models lists what this key may use.")


def named(call: Call, caller: Caller, snapshot: Snapshot) -> Model | None:
    """Return what a provider path's model name stands for: an upstream name there, of several models one this key may use, or a catalogue name."""
    served = snapshot.by_upstream.get((call.account, call.model))
    if served is None:
        return snapshot.models.get(call.model)
    return next((model for model in served if may_use(caller, model)), served[0])


def arrange(deployments: tuple[Deployment, ...], draw: random.Random) -> tuple[Deployment, ...]:
    """Return deployments by ascending order and, within one order, drawn by weight without replacement."""
    return tuple(sorted(deployments, key=lambda d: (d.order, -(draw.random() ** (1.0 / d.weight)))))


def within(plan: Plan, account: str) -> Plan:
    """Return the plan with the deployments of one provider account alone. Raises BadRequest where that leaves none."""
    deployments = tuple(d for d in plan.deployments if d.account == account)
    if not deployments:
        raise BadRequest(
            f"What this call goes on from or names is kept by a provider account that does not serve {plan.model.name!r}. Use a model that is served there.",
            param="model",
        )
    return structs.replace(plan, deployments=deployments)


def narrowed(plan: Plan, account: str, named: Sequence[Reference], snapshot: Snapshot) -> Plan:
    """Return the plan with the deployments that may serve a call: of the account that holds what it names, of those that may read the places it names.

    Raises BadRequest where that leaves none.
    """
    if account:
        plan = within(plan, account)
    for place in named:
        if place.is_place:
            able = tuple(d for d in plan.deployments if may_read(snapshot.accounts[d.account], place.object_id))
            if not able:
                raise unreadable(place)
            plan = structs.replace(plan, deployments=able)
    return plan


def capped(plan: Plan) -> Plan:
    """Return the plan with its output bound sent upstream as the output limit."""
    output_tokens = plan.output_tokens
    return Plan(
        plan.model, plan.deployments, plan.quote_nanousd, plan.quote_tokens, output_tokens, plan.output_rate_nanousd, output_tokens, plan.revision
    )


def quoted(call: Call, model: Model, deployments: tuple[Deployment, ...], snapshot: Snapshot) -> Plan:
    """Return the plan with its upper bound: every byte a token, the output limit reached, at the dearest deployment's dearest rates."""
    history_tokens = call.history_tokens if call.history_tokens != UNTOLD else model.context_tokens or ASSUMED_CONTEXT_TOKENS
    input_tokens = (call.most_input_tokens or len(call.body)) + FRAMING_TOKENS + history_tokens
    assumed = BLOCK_TOKENS if call.stream else ASSUMED_OUTPUT_TOKENS
    output_tokens = call.max_output_tokens or assumed * call.answers if call.endpoint in CHAT else call.max_output_tokens if call.endpoint in BOUNDED else 0
    input_rate = output_rate = request = 0
    for deployment in deployments:
        if deployment.price is not None:
            one, other, fee, hour = snapshot.dearest[deployment.price.id]
            if hour > one and (not isinstance(call.body, bytes) or CACHE in call.body):
                one = hour
            input_rate, output_rate, request = max(input_rate, one), max(output_rate, other), max(request, fee)
    most, tokens = input_tokens * input_rate + output_tokens * output_rate, input_tokens + output_tokens
    if call.besides is not None:
        most += call.besides.searches * dearest_search(deployments)
        if call.besides.summary_tokens and input_tokens >= call.besides.compacts_from_tokens:
            most += input_tokens * input_rate + call.besides.summary_tokens * output_rate
            tokens += input_tokens + call.besides.summary_tokens
    return Plan(model, deployments, -(-most // TOKENS_PER_RATE) + request, tokens, output_tokens, output_rate, 0, snapshot.revision)


def dearest_search(deployments: tuple[Deployment, ...]) -> int:
    """Return the most that a million web searches can cost, in nano-USD."""
    return max((dearest_search_nanousd(d.price) for d in deployments if d.price is not None), default=0)


def lowered(plan: Plan, left_nanousd: int | None, left_tokens: int | None) -> Plan | None:
    """Return the plan with an output limit that fits what is left (None: no such budget), or None when that would be of no use."""
    affordable = plan.output_tokens
    if left_tokens is not None:
        affordable = min(affordable, left_tokens - (plan.quote_tokens - plan.output_tokens))
    if left_nanousd is not None and plan.output_rate_nanousd:
        short_nanousd = max(0, plan.quote_nanousd - left_nanousd)
        affordable = min(affordable, plan.output_tokens + (-short_nanousd * TOKENS_PER_RATE) // plan.output_rate_nanousd)
    if not LEAST_OUTPUT_TOKENS <= affordable < plan.output_tokens:
        return None
    fewer = plan.output_tokens - affordable
    money = plan.quote_nanousd - fewer * plan.output_rate_nanousd // TOKENS_PER_RATE
    return structs.replace(plan, quote_nanousd=money, quote_tokens=plan.quote_tokens - fewer, output_tokens=affordable, output_cap_tokens=affordable)


def block_nanousd(plan: Plan) -> int:
    """Return what a further block of a stream can cost in nano-USD, rounded up."""
    return -(-BLOCK_TOKENS * plan.output_rate_nanousd // TOKENS_PER_RATE)
