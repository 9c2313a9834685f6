"""Responses in the background: held for before their vendor hears of them, settled by what it says became of them, whoever waits."""

from contextlib import ExitStack

import msgspec
from msgspec import structs

from gateway.batching import held_for, ignore, outliving, place, started
from gateway.errors import BadRequest, UnsupportedField
from gateway.plane import speak
from gateway.plane.batch import Item, OpenBatch, ticket
from gateway.plane.errand import Errand, first_told, put_away
from gateway.plane.hold import Board
from gateway.plane.plan import capped, narrowed
from gateway.plane.plan import plan as make_plan
from gateway.plane.route import find
from gateway.plane.send import Sent
from gateway.plane.serve import resumed
from gateway.plane.snapshot import Snapshot
from gateway.plane.stored import response_in
from gateway.plane.worker import Worker
from gateway.providers import shelf as providers
from gateway.terms import Body, Call, Caller, Deployment, Plan
from gateway.visitors import Visitor
from gateway.wire.openai_responses.working import read_told
from gateway.wire.sse import EventBuffer

ENDPOINT = "responses"


async def serve(worker: Worker, visitor: Visitor, caller: Caller, call: Call) -> None:
    """Begin a response in the background. Raises Refusal."""
    snapshot, ties = worker.snapshot, call.ties
    assert snapshot is not None
    assert ties is not None
    if not ties.keeps or not caller.project.stored_response_days:
        why = "This project stores no responses" if ties.keeps else "This one is not to be stored"
        raise BadRequest(f"Only what is stored can be worked at in the background. {why}: leave `background` out.", param="background")
    whole = await resumed(worker.corridor, call, caller)
    call = whole.call
    # what is held does not grow with a stream that goes on without its caller: a stream is planned like any answer
    plan = make_plan(structs.replace(call, stream=False), caller, snapshot, worker.corridor.draw)
    plan = able(narrowed(plan, whole.account, ties.objects, snapshot), snapshot)
    board = worker.holds.board(call, caller, snapshot.rules)
    if board.has_budget and not call.max_output_tokens and not plan.output_cap_tokens:
        plan = capped(plan)
    begun = Begun(worker, call, caller, plan, board, snapshot)
    await Errand(worker.corridor, structs.replace(call, body=b""), caller, visitor.reply, visitor.began, begun.work).go(snapshot)


def able(plan: Plan, snapshot: Snapshot) -> Plan:
    """Return the plan with the one deployment to ask: what may have begun at one is not begun at another. Raises UnsupportedField where none can do it."""
    found = next((d for d in plan.deployments if ENDPOINT in providers()[snapshot.accounts[d.account].provider].keeps), None)
    if found is None:
        raise UnsupportedField(
            f"No provider of {plan.model.name!r} works in the background. Leave `background` out, and use `stream` for long answers.", param="background"
        )
    return structs.replace(plan, deployments=(found,))


class Begun:
    """A response about to begin: what is sent for it, and how it will be billed."""

    def __init__(self, worker: Worker, call: Call, caller: Caller, plan: Plan, board: Board, snapshot: Snapshot) -> None:
        self._worker, self._call, self._caller, self._plan, self._board = worker, call, caller, plan, board
        self._deployment: Deployment = plan.deployments[0]
        self._account = self._deployment.account
        self._path = place(snapshot, self._account, ENDPOINT)
        self._provider = providers()[snapshot.accounts[self._account].provider]

    async def work(self, errand: Errand) -> bytes | Sent[bytes]:
        """Count the call, hold what it may cost, and have its vendor begin it. Raises Refusal, VendorRefusal."""
        holds, board, call = self._worker.holds, self._board, self._call
        route = find(self._provider, ENDPOINT)
        assert route is not None
        spoken = speak.request(call, self._deployment, self._provider, route, self._plan.output_cap_tokens)
        # money and tokens are held beyond this worker's life; here it is one of so many calls a minute
        counted = await holds.take(board, 0, 0) if board.slices else None
        try:
            told = await (self._stream(errand, spoken.body) if call.stream else self._whole(errand, spoken.body))
        finally:
            if counted is not None:
                holds.settle(counted, 0, 0)
        assert errand.plan is not None
        errand.dropped = spoken.dropped
        errand.plan = structs.replace(errand.plan, model=self._plan.model, output_cap_tokens=self._plan.output_cap_tokens)
        return told

    async def _whole(self, errand: Errand, body: Body) -> bytes:
        async def begin() -> bytes:
            told = await errand.ask(self._account, "POST", self._path, body)
            await self._started(told)
            return told

        return await outliving(held_for(self._worker, errand, self._board, self._question(body), begin), ignore)

    async def _stream(self, errand: Errand, body: Body) -> Sent[bytes]:
        async def begin() -> Sent[bytes]:
            with ExitStack() as stack:
                sent = await errand.open(self._account, self._path, body)
                stack.callback(put_away, sent)
                await self._started(response_in(first_told(EventBuffer().feed(sent.opening))))
                stack.pop_all()
            return sent

        return await outliving(held_for(self._worker, errand, self._board, self._question(body), begin), put_away)

    async def _started(self, told: bytes) -> None:
        await started(self._worker, self._call, self._caller, told, read_told, "response")

    def _question(self, body: Body) -> OpenBatch:
        call, plan, caller, encode = self._call, self._plan, self._caller, msgspec.msgpack.encode
        began_at_ms = int(self._worker.corridor.wall() * 1000)
        billed = ticket(call, plan, caller, self._deployment, self._provider.slug, began_at_ms, self._board.windows)
        item = Item("", 0, len(body), plan.quote_nanousd, plan.quote_tokens)
        wants = self._worker.holds.lasting(self._board, plan.quote_nanousd, plan.quote_tokens)
        return OpenBatch(call.id, caller.project.id, self._account, ENDPOINT, "", encode([billed]), encode([item]), plan.quote_nanousd, wants)

