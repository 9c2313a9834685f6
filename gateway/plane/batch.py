"""Many calls at once: checks and quotes each request of a batch as a call, and turns what became of it into a receipt. Knows no sockets and no database."""

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import structs

from billing.holds import Grant, Want
from billing.money import Price
from billing.receipts import Settle
from gateway.errors import BadRequest, Refusal, UnsupportedField
from gateway.plane import settle
from gateway.plane.plan import plan as make_plan
from gateway.plane.settle import Billed, Held, Times
from gateway.plane.snapshot import Snapshot
from gateway.providers import shelf as providers
from gateway.terms import Call, Caller, Deployment, Frozen, Plan, Reference, Usage
from gateway.wire import BatchAsk, Batching, BatchResult, Head, WireError, by_endpoint, plain_endpoints, usage_readers
from gateway.wire.references import references
from gateway.wire.strict import fields as fields_of
from gateway.wire.strict import splice

NOTHING_BILLED = Billed(Usage(), "none", 0, "")
LEASES = "batch:"
MOST_NAMED = 1_000


class Ticket(msgspec.Struct, frozen=True, array_like=True):
    """What requests of a batch have in common: their receipt but for what became of them, and the price they were quoted by."""

    receipt: Settle
    price: Price | None


class Item(msgspec.Struct, frozen=True, array_like=True):
    """One request: the id its caller knows it by, its ticket by place, its size, and what was held for it."""

    custom_id: str
    ticket: int
    body_bytes: int
    quote_nanousd: int
    quote_tokens: int


class OpenBatch(msgspec.Struct, tag="open_batch", frozen=True):
    """Write a batch down and hold its money, before its vendor hears of it. `items` and `tickets` are MessagePack; `input_id` is the file it is made of."""

    id: str
    project: str
    account: str
    resource: str
    input_id: str
    tickets: bytes
    items: bytes
    quote_nanousd: int
    wants: tuple[Want, ...]
    number: int = 0


class StartedBatch(msgspec.Struct, tag="started_batch", frozen=True):
    """The vendor has taken a batch and calls it `object_id`; `seen` is its word about it, `key` who sent it."""

    id: str
    key: str
    object_id: str
    seen: bytes
    number: int = 0


class CloseBatch(msgspec.Struct, tag="close_batch", frozen=True):
    """The vendor has not taken a batch: nothing is held for it any more."""

    id: str
    number: int = 0


class Opened(msgspec.Struct, tag="opened", frozen=True):
    """The answer: `ok` is False when it was not done; `grants` are what windows gave, all of them or nothing is held."""

    ok: bool = False
    grants: tuple[Grant, ...] = ()
    number: int = 0


BatchQuestion = OpenBatch | StartedBatch | CloseBatch
ITEMS = msgspec.msgpack.Decoder(list[Item])
TICKETS = msgspec.msgpack.Decoder(list[Ticket])


class Planned(Frozen, frozen=True):
    """A request as a call of its own, where that could go, and what it names that a vendor keeps."""

    custom_id: str
    call: Call
    head: Head
    plan: Plan
    named: tuple[Reference, ...] = ()


@dataclass
class Drafted:
    """A batch as it is read: who pays for what, in nano-USD and tokens."""

    tickets: list[Ticket] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    quote_nanousd: int = 0
    quote_tokens: int = 0


def endpoints_at(snapshot: Snapshot, resource: str, batching: Batching) -> dict[str, frozenset[str]]:
    """Return the endpoints whose calls can be batched, by the accounts that keep batches of this kind."""
    kinds = {slug: providers()[account.provider] for slug, account in snapshot.accounts.items()}
    return {slug: batching.endpoints & kind.wires.keys() for slug, kind in kinds.items() if resource in kind.keeps}


def planned(batching: Batching, content: bytes, call: Call, caller: Caller, snapshot: Snapshot) -> Iterator[Planned]:
    """Yield every request of a batch planned as a call. Raises Refusal naming the request."""
    draw, seen = random.Random(), set[str]()  # noqa: S311 (shares load, guards nothing)
    try:
        for place, ask in enumerate(batching.read_asks(content)):
            if ask.custom_id in seen:
                raise BadRequest(f"The custom_id {ask.custom_id[:100]!r} stands twice in the batch. Give every request its own.")
            seen.add(ask.custom_id)
            try:
                yield _planned(batching, ask, place, call, caller, snapshot, draw)
            except Refusal as refusal:
                refusal.message = f"Request {place + 1} ({ask.custom_id[:100]!r}): {refusal.message}"
                raise
    except WireError as error:
        raise BadRequest(error.message, param=error.param) from None
    if not seen:
        raise BadRequest("The batch holds no request.")


def _planned(batching: Batching, ask: BatchAsk, place: int, call: Call, caller: Caller, snapshot: Snapshot, draw: random.Random) -> Planned:
    if ask.endpoint not in batching.endpoints:
        raise BadRequest(f"Calls to {ask.endpoint[:100]!r} are not batched. Send them one by one.")
    head = read_head(ask)
    if head.stream:
        raise BadRequest("A batch has no streams. Leave `stream` out.", param="stream")
    ties = head.ties
    if ties is not None and ties.goes_on:
        raise BadRequest("A batch is worked at in the background as it is. Leave `background` out.", param="background")
    if ties is not None and (ties.previous or ties.references or ties.in_conversation):
        param = "conversation" if ties.in_conversation else "previous_response_id"
        raise BadRequest("A request of a batch cannot go on from stored responses. Send the conversation itself.", param=param)
    objects = references(ask.parsed)
    for each in objects:
        if each.is_place:
            raise UnsupportedField(f"A request of a batch cannot name {each.object_id[:100]!r}: put it into the request itself.", param=each.param)
    one = structs.replace(
        call,
        endpoint=ask.endpoint,
        body=ask.body,
        model=head.model,
        max_output_tokens=head.max_output_tokens,
        most_input_tokens=head.most_input_tokens,
        ties=ties,
        answers=head.answers,
        besides=head.besides,
    )
    named = tuple(Reference(f"requests.{place}.{each.param}", each.object_id) for each in objects)
    return Planned(ask.custom_id, one, head, make_plan(one, caller, snapshot, draw), named)


def read_head(ask: BatchAsk) -> Head:
    """Return what the gateway reads of a request. Raises BadRequest."""
    plain, client = plain_endpoints().get(ask.endpoint), by_endpoint()[ask.endpoint].client
    assert client is not None
    try:
        return plain.read_head(ask.parsed) if plain is not None else client.read_head(ask.parsed)
    except WireError as error:
        raise BadRequest(error.message, param=error.param) from None


# ---- which account takes it ----------------------------------------------------------------------------------------------


def surveyed(requests: Iterable[Planned], endpoints: Mapping[str, frozenset[str]]) -> tuple[list[Planned], tuple[str, ...]]:
    """Return the requests with the accounts that could take all of them, the best first. Raises BadRequest when there is none."""
    found: list[Planned] = []
    accounts: tuple[str, ...] | None = None
    for one in requests:
        able = dict.fromkeys(d.account for d in one.plan.deployments if one.call.endpoint in endpoints.get(d.account, ()))
        accounts = tuple(able) if accounts is None else tuple(slug for slug in accounts if slug in able)
        if not accounts:
            raise BadRequest(
                f"No provider account takes batches of {one.plan.model.name!r} and of the requests before it ({len(found)}). "
                "Put models of one provider into a batch.",
                param="model",
            )
        found.append(one)
    return found, accounts or ()


def named(requests: Iterable[Planned]) -> tuple[Reference, ...]:
    """Return what a batch's requests name that a vendor keeps, each thing once. Raises BadRequest for more than are looked up at once."""
    found = {each.object_id: each for one in requests for each in one.named}
    if len(found) > MOST_NAMED:
        raise BadRequest(f"The requests of a batch may name at most {MOST_NAMED} different files and other things kept by a provider.")
    return tuple(found.values())


def deployment_at(one: Planned, account: str) -> Deployment:
    """Return what serves a request at an account: the deployment it names there, else the best."""
    here = [d for d in one.plan.deployments if d.account == account]
    return next((d for d in here if d.upstream_model == one.head.model), here[0])


def changed(requests: list[Planned], account: str, *, stores: bool) -> dict[int, bytes]:
    """Return the bodies, by place, that an account must get in other words: its own names of models, and nothing stored where a project stores nothing."""
    bodies = {}
    for place, one in enumerate(requests):
        deployment = deployment_at(one, account)
        changes: dict[str, bytes | None] = {}
        if deployment.upstream_model != one.head.model:
            changes["model"] = msgspec.json.encode(deployment.upstream_model)
        if one.head.ties is not None and one.head.ties.keeps and not stores:
            changes["store"] = b"false"
        if changes:
            bodies[place] = splice(fields_of(one.call.text), changes)
    return bodies


# ---- what is held and what became of it ----------------------------------------------------------------------------------


def drafted(requests: Iterable[Planned], caller: Caller, provider: str, account: str, endpoint: str, began_at_ms: int, windows: str) -> Drafted:
    """Return what a batch's requests are held and will be billed by. Raises BadRequest for one that its account would understand otherwise."""
    draft = Drafted()
    places: dict[tuple[str, str], int] = {}
    for place, one in enumerate(requests):
        deployment = deployment_at(one, account)
        _check_words(place, one, deployment, endpoint, caller)
        name = (one.call.endpoint, deployment.id)
        if name not in places:
            places[name] = len(draft.tickets)
            draft.tickets.append(ticket(one.call, one.plan, caller, deployment, provider, began_at_ms, windows))
        money, tokens = one.plan.quote_nanousd, one.plan.quote_tokens
        draft.quote_nanousd += money
        draft.quote_tokens += tokens
        draft.items.append(Item(one.custom_id, places[name], len(one.call.body), money, tokens))
    return draft


def _check_words(place: int, one: Planned, deployment: Deployment, endpoint: str, caller: Caller) -> None:
    if endpoint and one.call.endpoint != endpoint:
        raise BadRequest(f"Request {place + 1} is for {one.call.endpoint!r}, the batch for {endpoint!r}.", param="endpoint")
    if deployment.upstream_model != one.head.model:
        raise BadRequest(f"Request {place + 1} names {one.head.model[:200]!r}, which is called otherwise by now. Upload the file again.", param="model")
    if one.head.ties is not None and one.head.ties.keeps and not caller.project.stored_response_days:
        raise BadRequest(f"Request {place + 1} would be stored, and this project stores nothing. Upload the file again, or say `store: false`.", param="store")


def ticket(call: Call, made: Plan, caller: Caller, deployment: Deployment, provider: str, began_at_ms: int, windows: str) -> Ticket:
    """Return how a call that is settled later will be billed."""
    held = Held(LEASES + call.id, windows, 0)
    receipt = settle.receipt(call, caller, made, deployment, provider, NOTHING_BILLED, Times(began_at_ms, 0, 0, 0), [], 200, "ok", "", held)
    return Ticket(receipt, deployment.price)


def settled(place: int, item: Item, ticket: Ticket, result: BatchResult, tier: str) -> Settle:
    """Return the receipt of a request by its place in the batch, billed at the vendor's rates for the tier; what was not answered costs nothing."""
    status = result.status
    common: dict[str, Any] = {
        "call_id": f"{ticket.receipt.call_id}-{place}",
        "client_request_id": item.custom_id or ticket.receipt.client_request_id,
        "quote_nanousd": item.quote_nanousd,
        "quote_tokens": item.quote_tokens,
    }
    if not 200 <= status < 300:
        outcome = "aborted" if not status else "refused" if status < 500 else "failed"
        return structs.replace(ticket.receipt, **common, status=status, outcome=outcome, error_code=result.error_code[:40], usage_source="none")
    usage, problem = _usage(ticket.receipt.endpoint, result.body)
    source = "provider"
    if usage is None:
        usage, source = _estimate(ticket.receipt.endpoint, item, result.body), "estimated"
    usage = structs.replace(usage, tier=tier) if tier else usage
    flags = settle.price_flags(ticket.price, usage, problem)
    cost = settle.cost(ticket.price, usage)
    if cost > item.quote_nanousd or usage.input_tokens + usage.output_tokens > item.quote_tokens:
        flags = settle.flagged(flags, "overrun")
    return structs.replace(
        ticket.receipt,
        **common,
        status=status,
        usage_source=source,
        flags=flags,
        cost_nanousd=cost,
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
        audio_input_tokens=usage.audio_input_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        audio_output_tokens=usage.audio_output_tokens,
        web_searches=usage.web_searches,
    )


def _usage(endpoint: str, body: bytes) -> tuple[Usage | None, str]:
    try:
        return usage_readers()[endpoint](body)
    except WireError:
        return None, "usage_invalid"


def _estimate(endpoint: str, item: Item, body: bytes) -> Usage:
    """Return tokens estimated at four bytes each, rounded up."""
    size = settle.BYTES_PER_TOKEN
    try:
        text_bytes = by_endpoint()[endpoint].text_bytes(body)
    except WireError:
        text_bytes = len(body)
    return Usage(-(-item.body_bytes // size), output_tokens=0 if endpoint == "embeddings" else -(-text_bytes // size))
