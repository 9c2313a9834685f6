"""What vendors keep, at the door: each object is its project's alone, on provider paths and on vendors' own; what nobody can tell apart is not reached."""

import re
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson

from gateway import tickets
from gateway.errors import BadRequest, NotAllowed, UnknownEndpoint, UpstreamFailed
from gateway.plane.objects import Ownership, Thing, check_places, holder_of
from gateway.plane.passage import Asked, Looked, Passage
from gateway.plane.plan import may_use
from gateway.plane.snapshot import Snapshot
from gateway.plane.worker import Worker
from gateway.provider_path import Place
from gateway.providers import Provider, shelf
from gateway.public_urls import PublicUrls, public_url
from gateway.terms import Body, Call, Caller
from gateway.visitors import Visitor
from gateway.wire import WireError, forms, kept, strict
from gateway.wire.made import moment_s
from gateway.wire.references import references

# how many pages of a vendor's listing are looked through for one with anything of the project
MOST_PAGES = 100
# words of an endpoint that is no collection: none of them could be the id of an object
WORD = re.compile(r"[A-Za-z_-]+(?::[A-Za-z]+)?")
UPLOAD = "upload/"
FORM = b"multipart/form-data"


def found_at(place: Place, snapshot: Snapshot) -> kept.Found | None:
    """Return what of a vendor's collections a provider path means, None for none. Raises UnknownEndpoint for one in another spelling."""
    provider = shelf()[snapshot.accounts[place.account].provider]
    found = kept.find(provider.collections or (), place.rest)
    if found is not None and f"/{found.collection.path}/" not in f"/{place.rest}/".replace(":", "/"):
        raise UnknownEndpoint(f"There is no endpoint {place.rest[:200]!r} at {place.account!r}: write {found.collection.path!r} as it is written.")
    return found


def check_apart(method: str, place: Place, provider: Provider) -> None:
    """Raise UnknownEndpoint where an endpoint that is no known collection could reach what other projects have at the vendor."""
    if provider.collections is None:
        return
    if method != "POST" or not all(WORD.fullmatch(word) for word in kept.words_of(place.rest)):
        raise UnknownEndpoint(f"{method} {place.rest[:200]!r} may reach what other projects have at the vendor, and the gateway could not tell whose it is.")


def named_in(body: Body, content_type: bytes) -> dict[str, Any]:
    """Return what of a body may name objects: JSON, or the text fields of a form. Raises BadRequest."""
    try:
        if content_type.partition(b";")[0].strip().lower() == FORM:
            return dict(forms.texts(body, content_type))
        assert isinstance(body, bytes)
        return strict.check(body) if body else {}
    except WireError as error:
        raise BadRequest(error.message, param=error.param) from None


async def serve(worker: Worker, visitor: Visitor, call: Call, caller: Caller, place: Place, found: kept.Found | None, request: tuple[str, bytes]) -> None:
    """Pass a call about what a vendor keeps; `request` is the caller's query and content type. Raises Refusal."""
    snapshot = worker.snapshot
    assert snapshot is not None
    query, content_type = request
    account = snapshot.accounts[place.account]
    provider, ownership, project = shelf()[account.provider], worker.corridor.ownership, caller.project.id
    if not (account.allow_unknown_endpoints or is_served(caller, snapshot, place.account)):
        raise NotAllowed(f"This key may use no model at the provider account {place.account!r}, so that nothing is kept there for it.")
    is_upload = place.rest.startswith(UPLOAD)
    if found is not None and found.object_id:
        await ownership.owner_of(project, found.object_id, kind=found.collection.kind, account=place.account)
    # pieces of a file come with any content type, JSON's among them
    parsed = {} if is_upload else named_in(call.body, content_type)
    try:
        named = references(parsed)
        await holder_of(ownership, project, named, place.account)
    except WireError as error:
        raise BadRequest(error.message, param=error.param) from None
    check_places(account, named)
    path = provider.other_path(place.rest)

    def seal(address: str) -> str:
        parts = urlsplit(address)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        own = address.removesuffix(target)
        return own + tickets.sealed(target, caller.key.id, worker.settings.peppers, time.time()) if f"/{UPLOAD}" in parts.path else address

    urls = PublicUrls(public_url(worker.settings.public_url, visitor.headers), account.slug, account.base_url, seal)
    look = Look(ownership, caller, place.account, found, visitor.method, (path, query), urls)
    if look.makes:
        if parsed.get("stream"):
            raise BadRequest("What is made here must be noted before it is used: leave `stream` out.", param="stream")
        # nothing is made that could not be noted
        await ownership.filter_list(project, place.account, ())
    asked = Asked(
        method=visitor.method,
        path=f"{path}?{query}" if query else path,
        look=look,
        tells=urls.headers,
        content_type=content_type,
        headers=tuple([(name, visitor.headers[name]) for name in sorted(provider.also_told) if name in visitor.headers]),
    )
    await Passage(worker.corridor, call, caller, visitor.reply, visitor.began, asked).go(snapshot)


class Look:
    """Sees the answers to one call: notes what was made, forgets what was deleted, leaves of a listing what is the project's."""

    def __init__(
        self, ownership: Ownership, caller: Caller, account: str, found: kept.Found | None, method: str, target: tuple[str, str], urls: PublicUrls
    ) -> None:
        self._ownership, self._caller, self._account, self._found, self._method, self._urls = ownership, caller, account, found, method, urls
        self._path, self._query = target
        self._pages = 0
        self._seen: set[str] = set()
        self._own: list[dict[str, Any]] = []

    @property
    def makes(self) -> bool:
        """Whether the call makes an object of its collection."""
        found = self._found
        return found is not None and self._method == "POST" and (found.part in found.collection.makes if found.part else not found.object_id)

    async def __call__(self, body: bytes) -> Looked:
        """Return what the caller gets of an answer. Raises UpstreamFailed, NoSuchObject, DependencyUnavailable."""
        found = self._found
        if found is None:
            return Looked(body=self._urls.json(body))
        if self._method == "GET" and not found.object_id and not found.part:
            return await self._listed(_json(body), found.collection)
        told = _object(body)
        if self._method == "DELETE" and found.object_id and not found.part:
            await self._ownership.drop(self._caller.project.id, self._account, found.object_id)
        if self.makes:
            await self._note(found.collection.kind, kept.named(told, found.collection.name), told)
        for kind, place in found.collection.tells:
            within = place.rpartition(".")[0]
            await self._note(kind, kept.named(told, place), told.get(within) if within else None)
        return Looked(body=self._urls.json(body))

    async def _note(self, kind: str, ids: list[str], told: Any) -> None:
        seen = told if isinstance(told, dict) else {}
        for object_id in ids:
            thing = Thing(account=self._account, kind=kind, object_id=object_id, seen=orjson.dumps(seen) if seen else b"")
            await self._ownership.note(self._caller.project.id, self._caller.key.id, thing, _expiry(seen))

    async def _listed(self, told: Any, collection: kept.Collection) -> Looked:
        rows = told
        if collection.rows:
            rows = told.get(collection.rows, []) if isinstance(told, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise UpstreamFailed("The provider's listing makes no sense, and nobody could tell what of it is yours.")
        name = collection.row_name
        ids = [row[name] for row in rows if isinstance(row.get(name), str)]
        mine = await self._ownership.filter_list(self._caller.project.id, self._account, ids) if ids else frozenset[str]()
        own = [row for row in rows if row.get(name) in mine]
        self._pages += 1
        if collection.first_page:
            following = self._numbered(own, ids, collection)
            own = self._own
        else:
            following = "" if own else _cursor(told, ids, collection)
        if following and self._pages < MOST_PAGES:
            pairs = [pair for pair in parse_qsl(self._query, keep_blank_values=True) if pair[0] != collection.cursor]
            return Looked(next_path=f"{self._path}?{urlencode([*pairs, (collection.cursor, following)])}")
        if not collection.rows:
            return Looked(body=self._urls.json(orjson.dumps(own)))
        # a page is all that is passed on: what else a listing says may be about everybody's
        page: dict[str, Any] = {name: told[name] for name in ("object", "has_more", collection.next_page) if name in told}
        page[collection.rows] = own
        if "first_id" in told:
            page |= {"first_id": own[0][name] if own else None, "last_id": own[-1][name] if own else None}
        return Looked(body=self._urls.json(orjson.dumps(page)))

    def _numbered(self, own: list[dict[str, Any]], ids: list[str], collection: kept.Collection) -> str:
        """Gather the project's objects of all pages, for the first one; return the number to ask for next, "" behind the last.

        Who would leave out those of others page by page would give empty pages, which clients take for the end, or the same page twice.
        """
        first = int(collection.first_page)
        asked = dict(parse_qsl(self._query)).get(collection.cursor, collection.first_page)
        news = [one for one in ids if one not in self._seen]
        self._seen.update(news)
        if not news or asked != collection.first_page:
            return ""
        self._own += [row for row in own if row[collection.row_name] in news]
        return str(first + self._pages)


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError:
        raise UpstreamFailed("The provider's answer is no JSON.") from None


def _object(body: bytes) -> dict[str, Any]:
    told = _json(body)
    if not isinstance(told, dict):
        raise UpstreamFailed("The provider's answer is no JSON object.")
    return told


def _cursor(told: dict[str, Any], ids: list[str], collection: kept.Collection) -> str:
    """Return what the next page of a listing is asked for with, "" after the last."""
    if collection.next_page:
        following = told.get(collection.next_page)
        return following if isinstance(following, str) else ""
    return ids[-1] if told.get("has_more") is True and ids else ""


def _expiry(told: dict[str, Any]) -> int:
    """Return when the vendor will delete an object, in Unix seconds; 0 for never, or unsaid."""
    return moment_s(told.get("expires_at") or told.get("expirationTime") or told.get("expireTime"))


async def at_root(worker: Worker, visitor: Visitor, caller: Caller, path: bytes) -> Place | None:
    """Return the place that a vendor's own path stands for: the account that holds its object, or the only one that could; None for other paths.

    Raises NoSuchObject, BadRequest, DependencyUnavailable.
    """
    snapshot = worker.snapshot
    assert snapshot is not None
    rest, surface = path[1:].decode("latin-1"), visitor.door.wire.surface
    holding = {slug: found for slug in snapshot.accounts if (found := found_at(Place(slug, rest, rest), snapshot)) and found.collection.root == surface}
    if not holding:
        return None
    found = next(iter(holding.values()))
    if found.object_id:
        slug = (await worker.corridor.ownership.owner_of(caller.project.id, found.object_id, kind=found.collection.kind)).account
    else:
        slug = chosen(visitor, [slug for slug in holding if is_served(caller, snapshot, slug)])
    return Place(slug, rest, rest)


def is_served(caller: Caller, snapshot: Snapshot, slug: str) -> bool:
    """Return whether a key may use any model at an account."""
    return any(may_use(caller, model) for (account, _), models in snapshot.by_upstream.items() if account == slug for model in models)


def chosen(visitor: Visitor, slugs: list[str]) -> str:
    """Return the account a call is for: the one it names, else the only one. Raises BadRequest."""
    named = visitor.headers.get(b"x-sgw-provider", b"").decode("latin-1")
    fitting = [slug for slug in slugs if slug == named] if named else slugs
    if len(fitting) == 1:
        return fitting[0]
    choice = ", ".join(sorted(slugs)) or "none that this key may use"
    raise BadRequest(f"Say in x-sgw-provider at which provider account this shall be kept: {choice}.", param="x-sgw-provider")
