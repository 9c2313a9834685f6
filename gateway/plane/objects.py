"""What a project has at vendors, by the vendors' ids: noted when it is made, looked up before it is used. Knows no database and no wire.

Projects share a provider account's credential, so the vendor would give each of them the objects of all. What was not noted for a project is not there for it.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from gateway.errors import BadRequest, DependencyUnavailable, Refusal
from gateway.terms import Account, Frozen, Reference

# the vendors' own are below 100
MOST_ID_CHARACTERS = 200
# a vendor's word about an object; what is longer is asked for again
MOST_SEEN_BYTES = 64 * 1024
# the option of an account that names what every call may have its vendor read, by how that begins, with spaces between
READS = "reads"


class Thing(Frozen, frozen=True):
    """An object at a provider account, and what the vendor said about it last (JSON, b"" for nothing)."""

    account: str
    kind: str
    object_id: str
    seen: bytes = b""


class Note(msgspec.Struct, tag="note", frozen=True):
    """Note what a project made at a provider account, or what was told about it since. An object is its first project's for good."""

    project: str
    key: str
    account: str
    kind: str
    object_id: str
    seen: bytes = b""
    expires_at_s: int = 0
    number: int = 0


class Search(msgspec.Struct, tag="search", frozen=True):
    """Find those of a project's objects that have these ids, "" for any account or kind."""

    project: str
    object_ids: tuple[str, ...]
    account: str = ""
    kind: str = ""
    number: int = 0


class Page(msgspec.Struct, tag="page", frozen=True):
    """List a project's objects of a kind, the newest first unless `is_ascending`: at most `limit`, behind or before the one with an id."""

    project: str
    kind: str
    limit: int
    account: str = ""
    after: str = ""
    before: str = ""
    is_ascending: bool = False
    number: int = 0


class Drop(msgspec.Struct, tag="drop", frozen=True):
    """Forget an object of a project that is gone at the vendor."""

    project: str
    account: str
    object_id: str
    number: int = 0


class Needs(msgspec.Struct, tag="needs", frozen=True):
    """Find what of a project still needs an object: batches that are not settled."""

    project: str
    account: str
    object_id: str
    number: int = 0


class Objects(msgspec.Struct, tag="objects", frozen=True):
    """What is known: `ok` is False when nobody could be asked."""

    ok: bool = False
    found: tuple[Thing, ...] = ()
    has_more: bool = False
    number: int = 0


ObjectQuestion = Note | Search | Page | Drop | Needs
Ask = Callable[[ObjectQuestion], Awaitable[Objects]]


class NoSuchObject(Refusal):
    """What a call names does not exist, or not for its project: nobody is told which."""

    status, code, kind = 404, "not_found", "invalid_request_error"


async def _unreachable(question: ObjectQuestion) -> Objects:
    return Objects()


class Ownership:
    """Whose objects are, as a worker asks it. Everything raises DependencyUnavailable where nobody can say."""

    def __init__(self, ask: Ask = _unreachable) -> None:
        self._ask = ask

    async def note(self, project: str, key: str, thing: Thing, expires_at_s: int = 0) -> None:
        """Note that a project made an object, or what the vendor says about it now. Raises NoSuchObject for one that another project has."""
        seen = thing.seen if len(thing.seen) <= MOST_SEEN_BYTES else b""
        known = await self._known(Note(project, key, thing.account, thing.kind, thing.object_id, seen, expires_at_s))
        if not known.found:
            raise _missing(thing.kind, thing.object_id, None)

    async def owner_of(self, project: str, object_id: str, *, kind: str, account: str = "", param: str | None = None) -> Thing:
        """Return a project's object, with the account that holds it. Raises NoSuchObject naming `param` for any other project's and for none."""
        if not 0 < len(object_id) <= MOST_ID_CHARACTERS:
            raise _missing(kind, object_id, param)
        found = (await self._known(Search(project, (object_id,), account, kind))).found
        if not found:
            raise _missing(kind, object_id, param)
        return found[0]

    async def owners_of(self, project: str, object_ids: Iterable[str], account: str = "") -> dict[str, Thing]:
        """Return those of a project's objects that have these ids, of one account or of all, by id."""
        known = await self._known(Search(project, tuple(dict.fromkeys(object_ids)), account))
        return {thing.object_id: thing for thing in known.found}

    async def filter_list(self, project: str, account: str, object_ids: Iterable[str]) -> frozenset[str]:
        """Return those ids of an account's objects that are this project's."""
        known = await self._known(Search(project, tuple(object_ids), account))
        return frozenset(thing.object_id for thing in known.found)

    async def page(self, question: Page) -> Objects:
        """Return a page of a project's objects as they were told last. Raises NoSuchObject when the one to go on from is not among them."""
        return await self._known(question)

    async def drop(self, project: str, account: str, object_id: str) -> None:
        """Forget an object that is gone."""
        await self._known(Drop(project, account, object_id))

    async def needed_by(self, project: str, thing: Thing) -> Objects:
        """Return what still needs an object: as long as that is something, it must not be deleted."""
        return await self._known(Needs(project, thing.account, thing.object_id))

    async def _known(self, question: ObjectQuestion) -> Objects:
        known = await self._ask(question)
        if not known.ok:
            raise DependencyUnavailable("What this project has at providers cannot be looked up at the moment. Try again.", retry_after_s=1)
        return known


def _missing(kind: str, object_id: str, param: str | None) -> NoSuchObject:
    return NoSuchObject(f"There is no {kind.replace('_', ' ')} {object_id[:100]!r} in this project.", param=param)


async def holder_of(ownership: Ownership, project: str, named: Sequence[Reference], account: str = "") -> str:
    """Return the account that holds every object a call names, "" where it names none; `account` where it came on a provider path.

    Raises NoSuchObject with the field that names what is not the project's, BadRequest for things of several accounts, DependencyUnavailable.
    """
    named = [one for one in named if not one.is_place]
    if not named:
        return ""
    found = await ownership.owners_of(project, [one.object_id for one in named], account)
    for one in named:
        if one.object_id not in found:
            raise NoSuchObject(f"What {one.param} names, {one.object_id[:100]!r}, is not kept for this project.", param=one.param)
    holders = {thing.account for thing in found.values()}
    if len(holders) > 1:
        raise BadRequest("What this call names is kept at several provider accounts, and no call goes to two.", param=named[0].param)
    return holders.pop()


def may_read(account: Account, place: str) -> bool:
    """Return whether calls may have an account's vendor read a place: it is, or lies below, one that the account names."""
    return any(place == one or place.startswith(one if one.endswith("/") else f"{one}/") for one in account.options.get(READS, "").split())


def check_places(account: Account, named: Sequence[Reference]) -> None:
    """Raise BadRequest for a place that an account does not let calls read: its vendor would do so with the account's own rights, whoever asks."""
    for one in named:
        if one.is_place and not may_read(account, one.object_id):
            raise unreadable(one)


def unreadable(place: Reference) -> BadRequest:
    """Return the refusal of a place."""
    return BadRequest(
        f"What {place.param} names, {place.object_id[:200]!r}, would be read with the rights of the gateway's own account. Send the content itself, "
        f"or ask your IT administrator to name the place in the option `{READS}` of the provider account.",
        param=place.param,
    )
