"""Batches at the door: which account takes one, what it may cost held before its vendor hears of it. Settled elsewhere, fetched or not."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any, TypeVar

import msgspec
import structlog
from msgspec import structs

from gateway.errors import BadRequest, DependencyUnavailable, NotAllowed, Refusal, UpstreamFailed
from gateway.plane import batch
from gateway.plane.batch import CloseBatch, OpenBatch, StartedBatch
from gateway.plane.errand import Errand
from gateway.plane.hold import Board
from gateway.plane.objects import MOST_SEEN_BYTES, Ownership, holder_of
from gateway.plane.plan import NOT_SERVED, may_use
from gateway.plane.send import VendorRefusal
from gateway.plane.snapshot import Snapshot
from gateway.plane.worker import Worker
from gateway.providers import shelf as providers
from gateway.terms import Body, Call, Caller, Model, Reference
from gateway.visitors import Visitor
from gateway.wire import BatchTold, WireError, batching_endpoints, forms, strict

log = structlog.get_logger("gateway.batching")
T = TypeVar("T")
Present = Callable[[bytes], bytes]
BATCHING = batching_endpoints()
# the header by which a caller chooses among provider accounts
WISH = b"x-sgw-provider"
FILES, OF_FILES = "files", "batches"
# 2100-01-01: no vendor keeps anything longer
LAST_MOMENT_S = 4_102_444_800
# what goes on after its caller has left
going_on: set[asyncio.Task[Any]] = set()


async def in_thread(work: Callable[..., T], *given: Any) -> T:
    """Return what work on a long text makes of it, other calls going on meanwhile."""
    return await asyncio.get_running_loop().run_in_executor(None, work, *given)


def place(snapshot: Snapshot, slug: str, resource: str) -> str:
    """Return the path under an account's base URL where it keeps things of a kind."""
    account = snapshot.accounts[slug]
    return providers()[account.provider].path(resource, "-", account.options, False)


# ---- which account ---------------------------------------------------------------------------------------------------------


def holders(resource: str, caller: Caller, snapshot: Snapshot) -> tuple[str, ...]:
    """Return the accounts that keep things of a kind and serve a model this caller may use."""
    able = {slug for slug, account in snapshot.accounts.items() if resource in providers()[account.provider].keeps}
    used = {d.account for model in snapshot.models.values() if _serves(model, caller) for d in model.deployments}
    return tuple(sorted(able & used))


def _serves(model: Model, caller: Caller) -> bool:
    return may_use(caller, model) and model.lifecycle not in NOT_SERVED and caller.project.data_class <= model.cleared_for


def chosen(wish: str, able: tuple[str, ...]) -> str:
    """Return the account the caller wishes, else the only one able. Raises NotAllowed, BadRequest."""
    if wish:
        if wish not in able:
            raise BadRequest(f"The provider account {wish[:31]!r} does not take this. Choose one of: {', '.join(able) or '(none)'}.", param="x-sgw-provider")
        return wish
    if not able:
        raise NotAllowed("No provider account with a model this key may use keeps files. GET /v1/models lists what it may use.")
    if len(able) > 1:
        raise BadRequest(f"Say in the header x-sgw-provider which provider account is to keep it: {', '.join(able)}.", param="x-sgw-provider")
    return able[0]


async def arranged(
    ownership: Ownership, resource: str, content: bytes, call: Call, caller: Caller, snapshot: Snapshot, account: str, wish: str
) -> tuple[str, bytes]:
    """Return the account that takes all of a batch's requests and holds what they name, and these as it must get them. Raises Refusal."""
    spoken = BATCHING[resource]
    one = structs.replace(call, account=account, body=b"", content_type=b"")

    def survey() -> tuple[list[batch.Planned], tuple[str, ...]]:
        return batch.surveyed(batch.planned(spoken, content, one, caller, snapshot), batch.endpoints_at(snapshot, resource, spoken))

    requests, able = await in_thread(survey)
    named = batch.named(requests)
    holder = await holder_of(ownership, caller.project.id, named, account)
    if holder and holder not in able:
        raise BadRequest(f"What the batch names is kept at {holder!r}, which does not take all of its requests.", param=named[0].param)
    able = (holder,) if holder else able
    slug = chosen(wish, able if wish else able[:1])

    def rewritten() -> bytes:
        bodies = batch.changed(requests, slug, stores=caller.project.stored_response_days > 0)
        return spoken.rewrite(content, bodies) if bodies else content

    return slug, await in_thread(rewritten)


async def arranged_form(ownership: Ownership, call: Call, caller: Caller, snapshot: Snapshot, account: str, wish: str) -> tuple[str, Body]:
    """Return the same of a batch that comes as the file of a form. Raises Refusal, WireError."""
    content = await in_thread(forms.content, call.body, call.content_type, "file")
    slug, wanted = await arranged(ownership, OF_FILES, content, call, caller, snapshot, account, wish)
    return slug, call.body if wanted is content else await in_thread(forms.with_content, call.body, call.content_type, "file", wanted)


# ---- a batch begins --------------------------------------------------------------------------------------------------------


class Begin(msgspec.Struct, frozen=True):
    """A batch about to begin: who takes it, its requests as they are read here, and what is sent to its vendor."""

    account: str
    resource: str
    endpoint: str
    input_id: str
    content: bytes
    sends: bytes


async def submit(worker: Worker, visitor: Visitor, caller: Caller, resource: str, call: Call, present: Present) -> None:
    """Begin a batch of the file that `call` names, or of the requests in it. Raises Refusal."""
    snapshot = worker.snapshot
    assert snapshot is not None
    path_account, wish = call.account, call.account or visitor.headers.get(WISH, b"").decode("latin-1")
    if resource == OF_FILES:
        fields = _fields(call.text)
        thing = await worker.corridor.ownership.owner_of(
            caller.project.id, fields["input_file_id"], kind="file", account=path_account, param="input_file_id"
        )
        slug = chosen(wish or thing.account, (thing.account,) if thing.account in snapshot.accounts else ())
        begin = Begin(slug, resource, fields["endpoint"].removeprefix("/v1").removeprefix("/"), thing.object_id, b"", call.text)
    else:
        slug, body = await arranged(worker.corridor.ownership, resource, call.text, call, caller, snapshot, path_account, wish)
        begin = Begin(slug, resource, "", "", body, body)
    call = structs.replace(call, account=slug, body=b"")

    async def work(errand: Errand) -> bytes:
        ready = begin
        if begin.input_id:
            limit_bytes = worker.settings.body_limit_bytes
            path = f"{place(snapshot, slug, FILES)}/{begin.input_id}/content"
            ready = structs.replace(begin, content=await errand.ask(slug, "GET", path, limit_bytes=limit_bytes))
        return present(await _begun(worker, errand, call, caller, snapshot, ready))

    await Errand(worker.corridor, call, caller, visitor.reply, visitor.began, work).go(snapshot)


def _fields(body: bytes) -> Mapping[str, str]:
    """Return the file and the endpoint a batch is asked for with. Raises BadRequest."""
    try:
        fields = strict.check(body)
    except WireError as error:
        raise BadRequest(error.message, param=error.param) from None
    for name in ("input_file_id", "endpoint"):
        if not isinstance(fields.get(name), str):
            raise BadRequest(f"{name} must be a text.", param=name)
    return fields


async def _begun(worker: Worker, errand: Errand, call: Call, caller: Caller, snapshot: Snapshot, begin: Begin) -> bytes:
    """Hold what a batch may cost and have its vendor begin it. Raises Refusal, VendorRefusal."""
    holds, spoken = worker.holds, BATCHING[begin.resource]
    board = holds.board(call, caller, snapshot.rules)
    provider = snapshot.accounts[begin.account].provider

    def draft() -> tuple[batch.Drafted, tuple[Reference, ...]]:
        here = {begin.account: batch.endpoints_at(snapshot, begin.resource, spoken).get(begin.account, frozenset())}
        requests, _ = batch.surveyed(batch.planned(spoken, begin.content, call, caller, snapshot), here)
        now_ms = int(worker.corridor.wall() * 1000)
        return batch.drafted(requests, caller, provider, begin.account, begin.endpoint, now_ms, board.windows), batch.named(requests)

    drafted, named = await in_thread(draft)
    # once more: what was there when the file came may be gone, and the file may have come before it was looked at
    await holder_of(worker.corridor.ownership, caller.project.id, named, begin.account)
    wants = holds.lasting(board, drafted.quote_nanousd, drafted.quote_tokens)
    encode = msgspec.msgpack.encode
    question = OpenBatch(
        call.id, caller.project.id, begin.account, begin.resource, begin.input_id, encode(drafted.tickets), encode(drafted.items), drafted.quote_nanousd, wants
    )

    async def begin_it() -> bytes:
        told = await errand.ask(begin.account, "POST", place(snapshot, begin.account, begin.resource), begin.sends)
        await started(worker, call, caller, told, spoken.read_told, "batch")
        return told

    return await outliving(held_for(worker, errand, board, question, begin_it), ignore)


async def held_for(worker: Worker, errand: Errand, board: Board, question: OpenBatch, begin: Callable[[], Awaitable[T]]) -> T:
    """Return what `begin` brings, for whose work as much as `question` says is held: until it is settled, or given up here. Raises Refusal, VendorRefusal."""
    is_given_up = True
    attempts = len(errand.attempts)
    try:
        opened = await worker.link.batch(question)
        if not opened.ok:
            raise DependencyUnavailable("What this may cost cannot be held at the moment, so it is not begun. Try again.", retry_after_s=1)
        refusal = worker.holds.refusal(board, opened.grants)
        if refusal is not None:
            raise refusal
        attempts = len(errand.attempts)
        is_given_up = False
        return await begin()
    except VendorRefusal:
        is_given_up = True
        raise
    except Refusal:
        is_given_up = is_given_up or not errand.may_have_happened(attempts)
        raise
    finally:
        if is_given_up:
            _give_up(worker, question.id)


async def started(worker: Worker, call: Call, caller: Caller, told: bytes, read_told: Callable[[bytes], BatchTold], what: str) -> None:
    """Write down what the vendor calls the work it has begun. Raises UpstreamFailed, DependencyUnavailable: then it is found by its file, or stays held for."""
    try:
        object_id = read_told(told).object_id
    except WireError as error:
        raise UpstreamFailed(f"The {what} may have begun: {error.message}. What it may cost stays held until that is known.") from None
    seen = told if len(told) <= MOST_SEEN_BYTES else b""
    if not (await worker.link.batch(StartedBatch(call.id, caller.key.id, object_id, seen))).ok:
        raise DependencyUnavailable(f"The {what} {object_id[:100]!r} has begun and could not be written down. What it may cost stays held until that is known.")


async def outliving(work: Coroutine[Any, Any, T], leave: Callable[[T], None]) -> T:
    """Return what work brings. It is done to its end even if its caller leaves, and `leave` puts away what it brought then."""
    task = asyncio.get_running_loop().create_task(work)
    going_on.add(task)
    task.add_done_callback(going_on.discard)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(partial(_alone, leave))
        raise


def _alone(leave: Callable[[T], None], task: asyncio.Task[T]) -> None:
    """Put away what came of work whose caller has left."""
    if task.cancelled():
        return
    failed = task.exception()
    if failed is None:
        leave(task.result())
    elif not isinstance(failed, Refusal | VendorRefusal):
        log.error("work failed that nobody waited for any more", exc_info=failed)


def ignore(_: object) -> None:
    """Leave what needs nobody's care."""


def _give_up(worker: Worker, batch_id: str) -> None:
    """Give back what was held for a batch that does not begin, even if its caller has left."""
    task = asyncio.get_running_loop().create_task(worker.link.batch(CloseBatch(batch_id)))
    going_on.add(task)
    task.add_done_callback(going_on.discard)
