"""Files and batches at the door: each is its project's alone, and is asked about at the provider account that holds it."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

import msgspec
import orjson
from msgspec import structs

from gateway import batching
from gateway.bodies import too_large
from gateway.errors import BadRequest, MethodNotAllowed, Refusal, UnknownEndpoint, UpstreamFailed
from gateway.plane.errand import Errand
from gateway.plane.objects import NoSuchObject, Objects, Page, Thing
from gateway.plane.plan import check_unlisted
from gateway.plane.snapshot import Snapshot
from gateway.plane.telling import JSON, SAFE
from gateway.plane.unmetered import Unmetered
from gateway.plane.worker import Worker
from gateway.providers import shelf as providers
from gateway.terms import Call, Caller, Frozen
from gateway.visitors import Visitor
from gateway.wire import WireError, batching_endpoints, forms

FILES = "files"
BATCHING = batching_endpoints()
KINDS: Mapping[str, str] = {FILES: "file"} | {endpoint: spoken.kind for endpoint, spoken in BATCHING.items()}
SHAPE = re.compile(rf"({'|'.join(KINDS)})(?:/([A-Za-z0-9_-]{{1,200}})(?:/([a-z]+))?)?")
# what may be asked of all of them and of one; files have no more to cancel than batches have to delete
OF_ALL: Mapping[str, tuple[str, ...]] = {"": ("GET", "POST")}
OF_ONE: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    FILES: {"": ("GET", "DELETE"), "content": ("GET",)},
    "batches": {"": ("GET",), "cancel": ("POST",)},
    "messages/batches": {"": ("GET", "DELETE"), "cancel": ("POST",), "results": ("GET",)},
}
IDENTITY = re.compile(r"[A-Za-z0-9_-]{1,200}")
HOST = re.compile(rb"[A-Za-z0-9.:\[\]-]{1,255}")
PAGE, LONGEST_PAGE = 20, 1_000


class NotSettled(Refusal):
    """What a batch left behind is read to settle it, and may be deleted then."""

    status, code, kind, retryable = 409, "batch_not_settled", "invalid_request_error", True


class Asked(Frozen, frozen=True):
    """What is asked about which of them: `object_id` is "" for all, `part` "" for itself; `account` where that came on a provider path."""

    resource: str
    object_id: str = ""
    part: str = ""
    account: str = ""

    @property
    def kind(self) -> str:
        """Return what one of them is called."""
        return KINDS[self.resource]

    def is_form(self, method: str) -> bool:
        """Return whether its request is a form."""
        return self.resource == FILES and not self.object_id and method == "POST"


class _Told(msgspec.Struct):
    id: str
    expires_at: int | str | None = None


def resource_of(rest: str) -> str:
    """Return which of them a path is about, "" for none."""
    return next((name for name in KINDS if rest == name or rest.startswith(name + "/")), "")


def wanted(path: bytes, surface: str, snapshot: Snapshot) -> Asked | None:
    """Return what a path asks of files or batches, None for any other path. Raises UnknownEndpoint for what is neither."""
    rest, account = path.decode("latin-1").removeprefix("/v1/"), ""
    resource = resource_of(rest)
    if not resource:
        account, _, rest = rest.partition("/")
        known = snapshot.accounts.get(account)
        if known is None:
            return None
        provider = providers()[known.provider]
        rest = provider.locate(rest)
        resource = resource_of(rest)
        if resource not in provider.keeps:
            return None
    elif resource == FILES and surface != "openai":
        return None
    found = SHAPE.fullmatch(rest)
    part = (found[3] or "") if found else ""
    if found is None or part not in (OF_ONE[resource] if found[2] else OF_ALL):
        # whatever else the vendor has here would reach what all projects keep there
        raise UnknownEndpoint(f"There is no endpoint {path[:200].decode('latin-1')!r}. See the reference for what is served of {resource}.")
    return Asked(resource, found[2] or "", part, account)


async def serve(worker: Worker, visitor: Visitor, caller: Caller, asked: Asked, call: Call) -> None:
    """Answer a request about files or batches. Raises Refusal."""
    allowed = OF_ONE[asked.resource][asked.part] if asked.object_id else OF_ALL[""]
    if visitor.method not in allowed:
        raise MethodNotAllowed(*allowed)
    if asked.object_id:
        await _one(worker, visitor, caller, asked, call)
    elif visitor.method == "GET":
        await _list(worker, visitor, caller, asked)
    elif asked.resource == FILES:
        await _upload(worker, visitor, caller, asked, call)
    else:
        await batching.submit(worker, visitor, caller, asked.resource, call, _presenter(worker, visitor, asked))


# ---- one of them ---------------------------------------------------------------------------------------------------------


async def _one(worker: Worker, visitor: Visitor, caller: Caller, asked: Asked, call: Call) -> None:
    ownership, project, snapshot = worker.corridor.ownership, caller.project.id, worker.snapshot
    assert snapshot is not None
    thing = await ownership.owner_of(project, asked.object_id, kind=asked.kind, account=asked.account)
    if thing.account not in snapshot.accounts:
        raise NoSuchObject(f"The provider account that holds {asked.object_id[:100]!r} is not in use any more.")
    call = structs.replace(call, account=thing.account, body=b"")
    path = batching.place(snapshot, thing.account, asked.resource) + f"/{asked.object_id}" + (f"/{asked.part}" if asked.part else "")
    if asked.part in ("content", "results"):
        await Unmetered(worker.corridor, call, caller, visitor.reply, visitor.began, ("GET", path)).go(snapshot)
        return
    is_deletion = visitor.method == "DELETE"
    if is_deletion and (await ownership.needed_by(project, thing)).found:
        raise NotSettled("Its batch is not settled yet, which takes a minute after its end. Delete it then.", retry_after_s=5)
    present = _presenter(worker, visitor, asked)

    async def work(errand: Errand) -> bytes:
        told = await errand.ask(thing.account, visitor.method, path)
        if is_deletion:
            await ownership.drop(project, thing.account, thing.object_id)
            return told
        await noted(worker, caller, asked.resource, thing.account, told)
        return present(told)

    await Errand(worker.corridor, call, caller, visitor.reply, visitor.began, work).go(snapshot)


async def noted(worker: Worker, caller: Caller, resource: str, account: str, told: bytes) -> None:
    """Note what a vendor says about a file or batch, and the files a batch left behind. Raises UpstreamFailed, NoSuchObject, DependencyUnavailable."""
    try:
        read = msgspec.json.decode(told, type=_Told)
        files = BATCHING[resource].read_told(told).files if resource in BATCHING else ()
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, WireError):
        raise UpstreamFailed("The provider's answer cannot be read. Try again; if it lasts, tell your IT administrator.") from None
    if not all(IDENTITY.fullmatch(object_id) for object_id in (read.id, *files)):
        raise UpstreamFailed("The provider gave a name that cannot be used. Tell your IT administrator.")
    note, project, key = worker.corridor.ownership.note, caller.project.id, caller.key.id
    # when a batch expires it stops, and stays
    expires_at_s = read.expires_at if resource == FILES and isinstance(read.expires_at, int) else 0
    await note(project, key, Thing(account, KINDS[resource], read.id, told), max(0, min(expires_at_s, batching.LAST_MOMENT_S)))
    for file_id in files:
        await note(project, key, Thing(account, KINDS[FILES], file_id))


def _presenter(worker: Worker, visitor: Visitor, asked: Asked) -> batching.Present:
    """Return what makes the vendor's word about one of them the gateway's: addresses of results lead through the gateway."""
    spoken = BATCHING.get(asked.resource)
    if spoken is None or spoken.with_results_at is None:
        return bytes
    host = visitor.headers.get(b"host", b"")
    origin = worker.settings.public_url or (f"http://{host.decode()}" if HOST.fullmatch(host) else "")
    base = f"{origin}/v1/{asked.account}/v1/{asked.resource}" if asked.account else f"{origin}/v1/{asked.resource}"
    with_results_at = spoken.with_results_at
    return lambda told: with_results_at(told, base)


# ---- all of them ---------------------------------------------------------------------------------------------------------


async def _list(worker: Worker, visitor: Visitor, caller: Caller, asked: Asked) -> None:
    """Answer with a page of what the project has, as the vendors told it last."""
    given = dict(parse_qsl(visitor.query.decode("latin-1")))
    limit = given.get("limit", str(LONGEST_PAGE if asked.resource == FILES else PAGE))
    if not limit.isdecimal() or not int(limit[:8]) >= 1:
        raise BadRequest("limit must be a whole number above zero.", param="limit")
    page = Page(
        caller.project.id,
        asked.kind,
        min(int(limit[:8]), LONGEST_PAGE),
        asked.account,
        given.get("after") or given.get("after_id", ""),
        given.get("before_id", ""),
        given.get("order") == "asc",
    )
    known = await _of_purpose(worker, page, given.get("purpose", ""))
    present = _presenter(worker, visitor, asked)
    data = [present(thing.seen or _bare(thing)) for thing in known.found]
    ids = [thing.object_id for thing in known.found]
    ends = {"first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None, "has_more": known.has_more}
    body = b'{"object":"list","data":[' + b",".join(data) + b"]," + orjson.dumps(ends)[1:]
    reword = visitor.door.client.answer_lines
    head = b"x-request-id: %b\r\ncontent-length: %d\r\n" % (visitor.id.encode(), len(body)) + JSON + SAFE
    await visitor.reply.whole(200, head if reword is None else reword(head, worker.corridor.wall()), body)


async def _of_purpose(worker: Worker, page: Page, purpose: str) -> Objects:
    """Return a page of what is for a purpose, "" for any."""
    known = await worker.corridor.ownership.page(page)
    if not purpose:
        return known
    found: list[Thing] = []
    while True:
        found += [thing for thing in known.found if thing.seen and orjson.loads(thing.seen).get("purpose") == purpose]
        if len(found) > page.limit or not known.has_more:
            return Objects(ok=True, found=tuple(found[: page.limit]), has_more=len(found) > page.limit)
        page = structs.replace(page, after=known.found[-1].object_id)
        known = await worker.corridor.ownership.page(page)


def _bare(thing: Thing) -> bytes:
    """Return all that is known of what its vendor has not been asked about yet."""
    name = "type" if thing.kind == "message_batch" else "object"
    return orjson.dumps({"id": thing.object_id, name: thing.kind})


async def _upload(worker: Worker, visitor: Visitor, caller: Caller, asked: Asked, call: Call) -> None:
    """Pass a file to the account that will hold it; one for a batch is read before, so that it goes where all its models are."""
    snapshot = worker.snapshot
    assert snapshot is not None
    wish = asked.account or visitor.headers.get(batching.WISH, b"").decode("latin-1")
    try:
        fields = await batching.in_thread(forms.texts, call.body, call.content_type)
        if fields.get("file") != forms.FILE or not isinstance(fields.get("purpose"), str):
            raise BadRequest("Send a form with a file and its purpose.", param="purpose" if fields.get("file") == forms.FILE else "file")
        if fields["purpose"] == "batch":
            if len(call.body) > worker.settings.body_limit_bytes:
                # every request in it is read
                raise too_large(worker.settings.body_limit_bytes)
            slug, body = await batching.arranged_form(worker.corridor.ownership, call, caller, snapshot, asked.account, wish)
        else:
            check_unlisted(caller)
            slug, body = batching.chosen(wish, batching.holders(FILES, caller, snapshot)), call.body
    except WireError as error:
        raise BadRequest(error.message, param=error.param) from None
    call, kind = structs.replace(call, account=slug, body=b""), call.content_type

    async def work(errand: Errand) -> bytes:
        told = await errand.ask(slug, "POST", batching.place(snapshot, slug, FILES), body, kind)
        await noted(worker, caller, FILES, slug, told)
        return told

    await Errand(worker.corridor, call, caller, visitor.reply, visitor.began, work).go(snapshot)
