"""Responses that later calls go on from: what a worker asks the store of its host, and how a call is made whole from it. Knows no database."""

from collections.abc import Awaitable, Callable

import msgspec
import orjson
from msgspec import structs

from gateway.errors import BadRequest, DependencyUnavailable, Refusal, TooLarge
from gateway.terms import UNTOLD, Call, Caller, Frozen
from gateway.wire.openai_responses.items import is_reference
from gateway.wire.strict import fields as fields_of
from gateway.wire.strict import splice

# an item of the store in front of more than this many others makes a conversation nobody can read to its end
LONGEST_CHAIN = 1_000


class Keep(msgspec.Struct, tag="keep", frozen=True):
    """Keep a project's answer. `account` is where the vendor itself stores it, "" where it is kept here: then `input` are the call's own items and `response`
    the answer, both JSON, and `previous` the response it went on from. `items` are the ids of the answer's items, `tokens` what conversation and answer
    were counted as."""

    project: str
    response_id: str
    account: str = ""
    previous: str = ""
    items: tuple[str, ...] = ()
    input: bytes = b""
    response: bytes = b""
    tokens: int = 0
    number: int = 0


class Fetch(msgspec.Struct, tag="fetch", frozen=True):
    """Find a project's response, or items of its responses by their ids."""

    project: str
    response_id: str = ""
    item_ids: tuple[str, ...] = ()
    number: int = 0


class Forget(msgspec.Struct, tag="forget", frozen=True):
    """Delete a project's response."""

    project: str
    response_id: str
    number: int = 0


class Found(msgspec.Struct, tag="found", frozen=True):
    """What the store says: `ok` is False when it could not be asked, `found` when there is no such thing in this project or it is over.

    `account` is where the vendor stores it, `owes` whether it is still to be paid for. Of what is kept here: `response` is the answer, `input` a JSON array
    of everything that led to it; for items, `input` are those items in the order of their ids. `tokens` is how long the conversation was.
    """

    ok: bool = False
    found: bool = False
    account: str = ""
    response: bytes = b""
    input: bytes = b"[]"
    tokens: int = 0
    owes: bool = False
    number: int = 0


Question = Keep | Fetch | Forget
Ask = Callable[[Question], Awaitable[Found]]


class NoSuchResponse(Refusal):
    """What a call names is not stored, or not for its project: nobody is told which."""

    status, code, kind = 404, "response_not_found", "invalid_request_error"


class PreviousNotFound(NoSuchResponse):
    """The same of the response a call goes on from."""

    code = "previous_response_not_found"


class Resumed(Frozen, frozen=True):
    """A call with the conversation it goes on from in front of its input, as JSON array `items` its own part of that, and the account that must serve it."""

    call: Call
    items: bytes = b"[]"
    account: str = ""


class _Named(msgspec.Struct):
    id: str = ""


class _Used(msgspec.Struct):
    total_tokens: int = 0


class _Answered(msgspec.Struct):
    id: str = ""
    output: list[_Named] = []
    usage: _Used | None = None


async def _unreachable(question: Question) -> Found:
    return Found()


class Stored:
    """The store as a worker sees it; `limit_bytes` bounds what a call may grow to."""

    def __init__(self, ask: Ask = _unreachable, limit_bytes: int = 1 << 30) -> None:
        self.ask, self._limit_bytes = ask, limit_bytes

    async def resume(self, call: Call, caller: Caller) -> Resumed:
        """Return a call made whole. Raises NoSuchResponse, BadRequest, TooLarge, DependencyUnavailable."""
        ties = call.ties
        assert ties is not None
        days = caller.project.stored_response_days
        keeps = ties.keeps and days > 0
        if ties.in_conversation and not keeps:
            raise BadRequest("A conversation stores what is said, and this is not to be stored: leave `conversation` out.", param="conversation")
        if not (ties.previous or ties.references or keeps or ties.keeps):
            return Resumed(call)
        fields = fields_of(call.text)
        items, accounts, tokens = items_of(fields.get("input")), set[str](), 0
        if ties.references:
            found = await self._found(Fetch(caller.project.id, item_ids=ties.references), "input", NoSuchResponse)
            accounts.add(found.account)
            tokens += found.tokens if found.account else 0
            if not found.account:
                items = _with_items(items, ties.references, found.input)
        previous = b""
        if ties.previous:
            found = await self._found(Fetch(caller.project.id, response_id=ties.previous), "previous_response_id", PreviousNotFound)
            accounts.add(found.account)
            tokens += found.tokens if found.account else 0
            previous = b"" if found.account else conversation(found)
        held_at = accounts - {""}
        if len(held_at) > 1:
            raise BadRequest("The responses this call names are stored at two provider accounts. Send the conversation itself.", param="input")
        changes: dict[str, bytes | None] = {}
        if previous:
            changes["previous_response_id"] = None
        if previous or (ties.references and not held_at):
            changes["input"] = joined(previous, items)
        if ties.keeps and not keeps:
            changes["store"] = b"false"
        body = splice(fields, changes) if changes else call.text
        if len(body) > self._limit_bytes:
            raise TooLarge("The conversation this call goes on from has grown beyond what may be sent. Begin another one.")
        history = UNTOLD if ties.in_conversation else tokens
        resumed = structs.replace(call, body=body, keeps=keeps, resumed_from=ties.previous if previous else "", history_tokens=history)
        return Resumed(resumed, items, next(iter(held_at), ""))

    async def _found(self, question: Fetch, param: str, missing: type[NoSuchResponse]) -> Found:
        found = await self.ask(question)
        if not found.ok:
            raise DependencyUnavailable("What is stored cannot be read at the moment. Try again, or send the conversation itself.", retry_after_s=1)
        if not found.found:
            what = f"response {question.response_id[:100]!r}" if question.response_id else "item that `input` refers to"
            raise missing(f"There is no {what} in this project, or it is no longer stored. Send the conversation itself.", param=param)
        return found

    async def keep(self, resumed: Resumed, project: str, account: str, response: bytes, tokens: int) -> bool:
        """Keep an answer (JSON), with `account` only that it is stored there; False when that could not be done. `tokens` is its whole usage."""
        try:
            answered = msgspec.json.decode(response, type=_Answered)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return False
        ids = tuple(item.id for item in answered.output if item.id)
        question = Keep(project, answered.id, account, items=ids, tokens=tokens)
        if not account:
            question = structs.replace(question, previous=resumed.call.resumed_from, input=resumed.items, response=response)
        return bool(answered.id) and (await self.ask(question)).ok


def keep_at(project: str, account: str, response_id: str, told: bytes) -> Keep:
    """Return the note that a vendor stores a project's response, with what is told of it so far (JSON, which may be nothing)."""
    try:
        answered = msgspec.json.decode(told, type=_Answered)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        answered = _Answered()
    ids = tuple(item.id for item in answered.output if item.id)
    return Keep(project, response_id, account, items=ids, tokens=max(0, answered.usage.total_tokens) if answered.usage is not None else 0)


def items_of(given: msgspec.Raw | None) -> bytes:
    """Return a request's input as a JSON array of items."""
    raw = bytes(given) if given is not None else b"null"
    if raw.startswith(b'"'):
        return b'[{"type":"message","role":"user","content":[{"type":"input_text","text":' + raw + b"}]}]"
    return raw if raw.startswith(b"[") else b"[]"


def joined(*arrays: bytes) -> bytes:
    """Return JSON arrays as one."""
    inner = [array.strip()[1:-1].strip() for array in arrays]
    return b"[" + b",".join(each for each in inner if each) + b"]"


def conversation(found: Found) -> bytes:
    """Return everything up to and with a stored response as a JSON array of items."""
    output = msgspec.json.decode(found.response, type=dict[str, msgspec.Raw]).get("output")
    return joined(found.input, bytes(output) if output is not None else b"[]")


def _with_items(items: bytes, references: tuple[str, ...], stored: bytes) -> bytes:
    """Return items with those that refer to stored ones replaced by them."""
    by_id = dict(zip(references, msgspec.json.decode(stored, type=list[msgspec.Raw]), strict=True))
    return orjson.dumps([orjson.Fragment(bytes(by_id.get(_reference(raw), raw))) for raw in msgspec.json.decode(items, type=list[msgspec.Raw])])


def _reference(raw: msgspec.Raw) -> str:
    item = orjson.loads(bytes(raw))
    return str(item["id"]) if is_reference(item) else ""


class _Ended(msgspec.Struct):
    response: msgspec.Raw = msgspec.Raw(b"null")


def response_in(event: bytes) -> bytes:
    """Return the response that the last of a stream's events holds; b"" for none."""
    for line in reversed(event.split(b"\n")):
        if line.startswith(b"data:"):
            try:
                return bytes(msgspec.json.decode(line[5:], type=_Ended).response)
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                return b""
    return b""


def unstored(answer: bytes) -> bytes:
    """Return an answer of ours that says it was not stored; that stands before anything of the caller's that is no text."""
    return answer.replace(b',"store":true', b',"store":false', 1)
