"""Stored responses at the door: read, listed, deleted, each for its own project alone; those a vendor stores are fetched from there."""

import re
from typing import Any
from urllib.parse import parse_qsl

import orjson

from gateway.errors import BadRequest, DependencyUnavailable, MethodNotAllowed, UnknownEndpoint
from gateway.plane.errand import Conflict
from gateway.plane.snapshot import Snapshot
from gateway.plane.stored import Fetch, Forget, Found, NoSuchResponse
from gateway.plane.telling import JSON, SAFE
from gateway.plane.unmetered import Unmetered
from gateway.plane.worker import Worker
from gateway.providers import shelf
from gateway.terms import Call, Caller, Frozen
from gateway.visitors import Visitor

ENDPOINT = "responses"
PREFIX = ENDPOINT + "/"
IDENTITY = re.compile(r"[A-Za-z0-9_-]{1,200}")
QUERY = re.compile(r"[A-Za-z0-9_.=&%\[\]-]{0,1000}")
PAGE, LONGEST_PAGE = 20, 100


class Wanted(Frozen, frozen=True):
    """What is asked of which response: "" for itself, or input_items or cancel; `account` where that came on a provider path."""

    response_id: str
    part: str
    account: str = ""


def wanted(path: bytes, snapshot: Snapshot) -> Wanted | None:
    """Return what a path asks of a stored response, None for any other path. Raises UnknownEndpoint for what is neither."""
    rest, account = path.decode("latin-1").removeprefix("/v1/"), ""
    if not rest.startswith(PREFIX):
        account, _, rest = rest.partition("/")
        known = snapshot.accounts.get(account)
        rest = shelf()[known.provider].locate(rest) if known is not None else ""
    if not rest.startswith(PREFIX):
        return None
    identity, _, part = rest.removeprefix(PREFIX).partition("/")
    if not IDENTITY.fullmatch(identity) or not identity.startswith("resp") or part not in ("", "input_items", "cancel"):
        # whatever else the vendor has here would reach the responses of every project
        raise UnknownEndpoint(f"There is no endpoint {path[:200].decode('latin-1')!r}. Stored responses are at /v1/responses/{{id}}.")
    return Wanted(identity, part, account)


async def serve(worker: Worker, visitor: Visitor, caller: Caller, asked: Wanted) -> None:
    """Answer a request about a stored response. Raises NoSuchResponse, Conflict, MethodNotAllowed, BadRequest, DependencyUnavailable."""
    allowed = {"": ("GET", "DELETE"), "input_items": ("GET",), "cancel": ("POST",)}[asked.part]
    if visitor.method not in allowed:
        raise MethodNotAllowed(*allowed)
    query = visitor.query.decode("latin-1")
    if not QUERY.fullmatch(query):
        raise BadRequest("The query string holds characters that must be percent-encoded.")
    found = await _found(worker, Fetch(caller.project.id, asked.response_id), asked)
    if found.owes and visitor.method == "DELETE":
        raise Conflict("The response is still to be paid for. Wait until it is done, or cancel it, and delete it a minute later.")
    if found.account:
        await _at_the_vendor(worker, visitor, caller, asked, found.account, query)
        return
    if asked.part == "cancel":
        raise BadRequest("Only a response in the background can be cancelled, and this one was none.")
    if visitor.method == "DELETE":
        await _found(worker, Forget(caller.project.id, asked.response_id), asked)
        body = orjson.dumps({"id": asked.response_id, "object": "response", "deleted": True})
    else:
        body = listed(asked.response_id, found.input, query) if asked.part else _whole(found, query)
    head = b"x-request-id: %b\r\ncontent-length: %d\r\n" % (visitor.id.encode(), len(body)) + JSON + SAFE
    await visitor.reply.whole(200, head, body)


async def _found(worker: Worker, question: Fetch | Forget, asked: Wanted) -> Found:
    found = await worker.link.store(question)
    if not found.ok:
        raise DependencyUnavailable("What is stored cannot be read at the moment. Try again.", retry_after_s=1)
    if not found.found or (asked.account and found.account not in ("", asked.account)):
        raise NoSuchResponse(f"There is no response {asked.response_id[:100]!r} in this project, or it is no longer stored.")
    return found


def _whole(found: Found, query: str) -> bytes:
    if dict(parse_qsl(query)).get("stream", "false") == "true":
        raise BadRequest("Only a response in the background can be streamed again.", param="stream")
    return found.response


async def _at_the_vendor(worker: Worker, visitor: Visitor, caller: Caller, asked: Wanted, slug: str, query: str) -> None:
    """Ask the vendor that stores the response; deleted there, it is forgotten here."""
    snapshot = worker.snapshot
    assert snapshot is not None
    account = snapshot.accounts.get(slug)
    if account is None:
        raise NoSuchResponse(f"The provider account that stores {asked.response_id[:100]!r} is not in use any more.")
    path = shelf()[account.provider].path(ENDPOINT, "-", account.options, False)
    path += f"/{asked.response_id}" + (f"/{asked.part}" if asked.part else "") + (f"?{query}" if query else "")
    call = Call(
        id=visitor.id, surface="openai", endpoint=ENDPOINT, account=slug, body=b"", model="-", stream=False, wants_usage=False, tags=caller.key.tags,
    )  # fmt: skip
    await Unmetered(worker.corridor, call, caller, visitor.reply, visitor.began, (visitor.method, path)).go(snapshot)
    if visitor.method == "DELETE":
        await worker.link.store(Forget(caller.project.id, asked.response_id))


def listed(response_id: str, items: bytes, query: str) -> bytes:
    """Return a page of a response's input items, the newest first unless asked otherwise. Raises BadRequest."""
    given = dict(parse_qsl(query))
    limit, order = given.get("limit", str(PAGE)), given.get("order", "desc")
    if not limit.isdecimal() or not 1 <= int(limit[:4]) <= LONGEST_PAGE:
        raise BadRequest(f"limit must be a whole number from 1 to {LONGEST_PAGE}.", param="limit")
    if order not in ("asc", "desc"):
        raise BadRequest("order must be asc or desc.", param="order")
    rows = [_row(item, response_id, place) for place, item in enumerate(orjson.loads(items))]
    if order == "desc":
        rows.reverse()
    after = given.get("after")
    if after is not None:
        places = [place for place, row in enumerate(rows) if row["id"] == after]
        if not places:
            raise BadRequest("after must be the id of an item of this response.", param="after")
        rows = rows[places[0] + 1 :]
    page = rows[: int(limit)]
    ends = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
    return orjson.dumps({"object": "list", "data": page, **ends, "has_more": len(rows) > len(page)})


def _row(item: dict[str, Any], response_id: str, place: int) -> dict[str, Any]:
    """Return an item with the id and the shape that listings have."""
    row = {"id": f"item_{response_id.removeprefix('resp_')}_{place}", "type": "message", "status": "completed", **item}
    if row["type"] == "message" and isinstance(row.get("content"), str):
        kind = "output_text" if row.get("role") == "assistant" else "input_text"
        row["content"] = [{"type": kind, "text": row["content"]} | ({"annotations": []} if kind == "output_text" else {})]
    if row["type"] == "reasoning":
        row.setdefault("summary", [])
    return row
