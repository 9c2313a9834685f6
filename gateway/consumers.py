"""The door: bytes to a Call, and refusals to the caller's own error shape. Plain ASGI inside a Channels consumer; no Django on the way."""

import asyncio
import re
import time
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode

import structlog
from channels.generic.http import AsyncHttpConsumer
from msgspec import structs

from accounts.ranges import joined_tags
from gateway import background, doors, filing, keeping, listings, provider_path, retrieval, tickets
from gateway.bodies import read, too_large
from gateway.direct import CLOSE, Turn
from gateway.doors import KNOWN, Door
from gateway.errors import (
    BadKey,
    BadRequest,
    DependencyUnavailable,
    KeyRevoked,
    LoopDetected,
    MethodNotAllowed,
    Overloaded,
    Refusal,
    UnsupportedField,
    WrongContentType,
)
from gateway.framing import ArrayReply
from gateway.plane.counting import Counting
from gateway.plane.identify import AccessToken, UnknownKey
from gateway.plane.plan import check_unlisted
from gateway.plane.serve import carry
from gateway.plane.telling import JSON, SAFE
from gateway.plane.worker import Worker
from gateway.provider_path import Place
from gateway.providers import shelf
from gateway.reading import BETA, asks_for_events, check_headers, check_ip, credential_of, ip_of, label, most_input_tokens, parse, parse_any, tied, timeout_ms
from gateway.terms import Body, Call, Caller, Ties
from gateway.visitors import Receive, Scope, Send, Visitor, visitor_by_asgi, visitor_by_turn
from gateway.watchmen import Watchmen
from gateway.wire import Head, WireError, auth

log = structlog.get_logger("gateway.door")

# a check of more than this many bytes would hold up every other call of the worker
INLINE_BYTES = 32 * 1024
FORM, JSON_TYPE = b"multipart/form-data", b"application/json"
UPSTREAM_MODELS = re.compile(r"(?:openai/)?(?:v1/|(v1beta)/)?models(?:/([^:]+))?")


class GatewayConsumer(AsyncHttpConsumer):
    """Serves every path under /v1; Channels routes to it, its own __call__ does the rest."""

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self.worker = worker
        self._watchmen = Watchmen()
        worker.on_compromised = self._watchmen.cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; nothing but an answer ever leaves. Keeps nothing of it: one consumer serves every call of a worker."""
        visitor = visitor_by_asgi(scope, receive, send)
        visitor.task = asyncio.current_task()
        await self._attend(visitor)

    def meet(self, turn: Turn) -> None:
        """Begin to serve a request that our own server took whole."""
        visitor = visitor_by_turn(turn)
        # asking for the running loop is a system call
        task = visitor.task = turn.loop.create_task(self._attend(visitor))
        turn.begin(task)

    async def _attend(self, visitor: Visitor) -> None:
        figures = self.worker.figures
        figures.in_flight += 1
        try:
            await self._serve(visitor)
        except Refusal as refusal:
            await self._refuse(visitor, refusal)
        except asyncio.CancelledError:
            if not visitor.left:
                await self._cut_off(visitor)
        except Exception:  # last line of defence: a bug answers 500 with the call's id, its traceback stays in the log
            log.exception("a call failed inside the gateway", call=visitor.id)
            await self._refuse(visitor, Refusal(f"The gateway failed. Tell your IT administrator the call id {visitor.id}."))
        finally:
            figures.in_flight -= 1
            self._watchmen.forget(visitor)
            # the task holds this frame: without this, visitor and task would be left to the garbage collector
            visitor.task = None
            if visitor.turn is not None:
                visitor.turn.leave()

    async def _serve(self, visitor: Visitor) -> None:
        headers, path = visitor.headers, visitor.path
        if len(headers) != len(visitor.listed) or b"host" not in headers:
            check_headers(visitor)
        try:
            credential = credential_of(visitor)
        except BadKey:
            if tickets.NAME not in visitor.query:
                raise
            await self._send_file(visitor)
            return
        try:
            caller = self.worker.caller_now(credential)
        except UnknownKey:
            caller = await self.worker.caller_fresh(credential)
        except AccessToken:
            caller = await self.worker.caller_of_token(credential, headers.get(b"x-sgw-project", b""))
        if caller.key.allowed_ips:
            self._check_ip(visitor, caller)
        visitor.key = caller.key.id
        account = ""
        if not visitor.door.endpoint:
            place = await self._elsewhere(visitor, doors.beside(path), caller, credential)
            if place is None:
                return
            account = place.account
            visitor.door = doors.behind(place.endpoint, place.rest)
        if visitor.method != "POST":
            raise MethodNotAllowed("POST", place=f"for /v1/{visitor.door.endpoint}" if visitor.door.wire.names_model else "here")
        plain = visitor.door.plain
        is_form = plain is not None and plain.is_form
        self._check_transport(headers, FORM if is_form else JSON_TYPE, is_upload=is_form)
        body: Body | None = visitor.body
        if body is None or len(body) > INLINE_BYTES:
            body = await read(visitor, self.worker, is_upload=is_form)
            caller = await self._still(visitor, caller, credential)
        if len(body) > INLINE_BYTES or not isinstance(body, bytes) or is_form:
            parsed = await asyncio.get_running_loop().run_in_executor(None, parse_any, body, headers, plain)
        else:
            parsed = parse(body)
        call = self._call(visitor, visitor.door, account, body, parsed, caller.key.tags)
        self._watchmen.note(visitor)
        snapshot = self.worker.snapshot
        assert snapshot is not None
        if call.ties is not None and call.ties.goes_on:
            await background.serve(self.worker, visitor, caller, call)
            return
        if visitor.door.is_counting:
            await Counting(self.worker.corridor, call, caller, visitor.reply, visitor.began).go(snapshot)
            return
        await carry(self.worker.corridor, call, caller, snapshot, visitor.reply, visitor.began)

    async def _still(self, visitor: Visitor, caller: Caller, credential: bytes) -> Caller:
        """Return the caller once more: a slow sender's key may have been revoked meanwhile. Raises BadKey and its kin."""
        if caller.key.digest:
            return self.worker.caller_now(credential)
        return await self.worker.caller_of_token(credential, visitor.headers.get(b"x-sgw-project", b""))

    def _check_transport(self, headers: dict[bytes, bytes], wanted: bytes, *, is_upload: bool = False) -> None:
        if b"transfer-encoding" in headers and b"content-length" in headers:
            raise BadRequest("Send either content-length or transfer-encoding, not both.")
        kind = headers.get(b"content-type", wanted)
        if kind != wanted and kind.partition(b";")[0].strip().lower() != wanted:
            raise WrongContentType(f"Send the body as {wanted.decode()}.")
        length = headers.get(b"content-length", b"0")
        if not length.isdigit():
            raise BadRequest("content-length must be a number.")
        limit_bytes = self.worker.settings.upload_limit_bytes if is_upload else self.worker.settings.body_limit_bytes
        if int(length) > limit_bytes:
            raise too_large(limit_bytes)
        via = headers.get(b"via")
        if via is not None and self.worker.via in via:
            raise LoopDetected("This call already came through this gateway: a provider account points back at it.")

    def _call(self, visitor: Visitor, door: Door, account: str, body: Body, parsed: dict[str, Any], own_tags: str) -> Call:
        plain = door.plain
        try:
            head = door.client.read_head(parsed) if plain is None else plain.read_head(parsed)
        except WireError as error:
            kind = UnsupportedField if error.code == "unsupported_field" else BadRequest
            raise kind(error.message, param=error.param) from None
        headers = visitor.headers
        stream = head.stream or door.stream
        if stream and not door.is_chat and (plain is None or plain.meter is None):
            raise BadRequest(f"/{door.endpoint} cannot be streamed. Leave `stream` out.", param="stream")
        end_user = label(headers.get(b"x-sgw-user"))
        if not end_user and head.end_user:
            end_user = label(head.end_user.encode("utf-8", "replace"))
        ties, may_name = head.ties, door.client.may_name
        if may_name is not None and may_name(parsed):
            ties = tied(ties, parsed)
        call = Call(
            visitor.id,
            door.wire.surface,
            door.endpoint,
            account,
            body,
            door.model or head.model,
            stream,
            head.wants_usage,
            client_request_id=label(headers.get(b"x-request-id")),
            end_user=end_user,
            session=label(headers.get(b"x-sgw-session")),
            tags=joined_tags(own_tags, label(headers.get(b"x-sgw-tags"))) if own_tags else label(headers.get(b"x-sgw-tags")),
            ip=self._ip(visitor),
            user_agent=label(headers.get(b"user-agent")),
            timeout_ms=timeout_ms(headers.get(b"x-sgw-timeout-ms")),
            max_output_tokens=head.max_output_tokens,
            fields=parsed.keys(),
            answers=head.answers,
        )
        return call if door.is_usual and ties is None else self._unusual(visitor, door, head, call, parsed, ties)

    def _unusual(self, visitor: Visitor, door: Door, head: Head, call: Call, parsed: dict[str, Any], ties: Ties | None) -> Call:
        """Return a call with what only some doors ask for."""
        headers, plain = visitor.headers, door.plain
        if door.model and door.wire.names_model:
            try:
                body = doors.with_model(call.body, door, headers.get(b"content-type", b""))
            except WireError as error:
                raise BadRequest(error.message, param=error.param) from None
            call = structs.replace(call, body=body, fields={*call.fields, "model"})
        if door.stream and door.client.streams_arrays and not asks_for_events(visitor.query):
            visitor.reply = ArrayReply(visitor.reply)
        return structs.replace(
            call,
            headers=tuple([(name, headers[name]) for name in door.client.passed if name in headers]),
            content_type=headers.get(b"content-type", b"") if plain is not None and plain.is_form else b"",
            most_input_tokens=most_input_tokens(head, plain, call.body, parsed),
            ties=ties,
            besides=head.besides,
        )

    def _check_ip(self, visitor: Visitor, caller: Caller) -> None:
        check_ip(self._ip(visitor), caller)

    def _ip(self, visitor: Visitor) -> str:
        return ip_of(visitor.client, visitor.headers, self.worker.settings.trusted_proxies)

    # ---- the less travelled ways ------------------------------------------------------------------------------------

    async def _elsewhere(self, visitor: Visitor, path: bytes, caller: Caller, credential: bytes) -> Place | None:
        """Serve a path that is no endpoint, or return the known one that it leads to at a provider account."""
        if await self._list(visitor, path, caller) or await self._retrieve(visitor, path, caller) or await self._file(visitor, path, caller, credential):
            return None
        snapshot = self.worker.snapshot
        assert snapshot is not None
        at_root = await keeping.at_root(self.worker, visitor, caller, path) if visitor.door.wire.surface != "openai" else None
        place = at_root or provider_path.place_of(path, snapshot)
        if place.endpoint in KNOWN:
            return place
        await self._unmetered(visitor, caller, place)
        return None

    async def _list(self, visitor: Visitor, path: bytes, caller: Caller) -> bool:
        """Answer GET /v1/models, /v1/models/{id} and /v1/key from the snapshot, in the shape the caller's SDK expects; False for any other path."""
        snapshot = self.worker.snapshot
        assert snapshot is not None
        surface = visitor.door.wire.surface
        if path.startswith(BETA):
            path = b"/v1/" + path[len(BETA) :]
        if path == b"/v1/key":
            body = listings.key(caller)
        elif path == b"/v1/models":
            body = listings.models(caller, snapshot, surface)
        elif path.startswith(b"/v1/models/"):
            body = listings.model(caller, snapshot, unquote_to_bytes(path[len(b"/v1/models/") :]).decode("utf-8", "replace"), surface)
        else:
            account, _, rest = path.removeprefix(b"/v1/").decode("latin-1").partition("/")
            asked = UPSTREAM_MODELS.fullmatch(rest)
            if asked is None or account not in snapshot.accounts or visitor.method not in ("GET", "HEAD"):
                return False
            surface = "gemini" if asked[1] else surface
            if asked[2] is None:
                body = listings.upstream_models(caller, snapshot, account, surface)
            else:
                body = listings.upstream_model(caller, snapshot, account, unquote_to_bytes(asked[2]).decode("utf-8", "replace"), surface)
        if visitor.method not in ("GET", "HEAD"):
            raise MethodNotAllowed("GET")
        await visitor.reply.whole(200, head_of(visitor, body), b"" if visitor.method == "HEAD" else body)
        return True

    async def _retrieve(self, visitor: Visitor, path: bytes, caller: Caller) -> bool:
        """Answer what is asked of a stored response; False for any other path."""
        snapshot = self.worker.snapshot
        assert snapshot is not None
        asked = retrieval.wanted(path, snapshot)
        if asked is None:
            return False
        if visitor.body is None:
            self._check_transport(visitor.headers, JSON_TYPE)
            await read(visitor, self.worker, is_upload=False)
        self._watchmen.note(visitor)
        await retrieval.serve(self.worker, visitor, caller, asked)
        return True

    async def _file(self, visitor: Visitor, path: bytes, caller: Caller, credential: bytes) -> bool:
        """Answer what is asked about files and batches; False for any other path."""
        snapshot, headers = self.worker.snapshot, visitor.headers
        assert snapshot is not None
        asked = filing.wanted(path, visitor.door.wire.surface, snapshot)
        if asked is None:
            return False
        is_form = asked.is_form(visitor.method)
        self._check_transport(headers, FORM if is_form else JSON_TYPE, is_upload=is_form)
        body = await read(visitor, self.worker, is_upload=is_form)
        caller = await self._still(visitor, caller, credential)
        call = structs.replace(
            self._unlisted(visitor, caller, asked.account, asked.resource, body),
            surface=visitor.door.wire.surface,
            end_user=label(headers.get(b"x-sgw-user")),
            session=label(headers.get(b"x-sgw-session")),
            headers=tuple([(name, headers[name]) for name in visitor.door.client.passed if name in headers]),
            content_type=headers.get(b"content-type", b"") if is_form else b"",
        )
        self._watchmen.note(visitor)
        await filing.serve(self.worker, visitor, caller, asked, call)
        return True

    def _unlisted(self, visitor: Visitor, caller: Caller, account: str, endpoint: str, body: Body) -> Call:
        """Return a call that is about none of the catalogue's models."""
        headers, own, given = visitor.headers, caller.key.tags, label(visitor.headers.get(b"x-sgw-tags"))
        return Call(
            id=visitor.id, surface="openai", endpoint=endpoint[:100], account=account, body=body, model="-", stream=False, wants_usage=False,
            client_request_id=label(headers.get(b"x-request-id")), ip=self._ip(visitor), user_agent=label(headers.get(b"user-agent")),
            timeout_ms=timeout_ms(headers.get(b"x-sgw-timeout-ms")), tags=joined_tags(own, given) if own else given,
        )  # fmt: skip

    async def _send_file(self, visitor: Visitor) -> None:
        """Take a piece of a file at an address that is a credential itself."""
        snapshot, settings = self.worker.snapshot, self.worker.settings
        if snapshot is None:
            raise DependencyUnavailable("The gateway is starting and has no configuration yet. Try again in a moment.", retry_after_s=1)
        caller = tickets.caller(visitor.path, visitor.query, snapshot, settings.peppers, time.time())
        if caller.key.allowed_ips:
            self._check_ip(visitor, caller)
        visitor.key = caller.key.id
        await self._unmetered(visitor, caller, provider_path.place_of(visitor.path, snapshot))

    async def _unmetered(self, visitor: Visitor, caller: Caller, place: Place) -> None:
        """Pass a call the gateway cannot meter to an account that allows it, or where the vendor keeps things free of charge."""
        snapshot, method, headers = self.worker.snapshot, visitor.method, visitor.headers
        assert snapshot is not None
        account = snapshot.accounts[place.account]
        found = keeping.found_at(place, snapshot)
        is_free = found is not None and found.collection.is_free
        provider_path.check_passes(method, place, is_allowed=account.allow_unknown_endpoints or is_free)
        if found is None:
            keeping.check_apart(method, place, shelf()[account.provider])
        check_unlisted(caller)
        is_upload = place.rest.startswith(keeping.UPLOAD)
        if method not in ("GET", "POST", "DELETE", *(("PATCH",) if found is not None else ()), *(("PUT",) if is_upload else ())):
            raise MethodNotAllowed("GET", "POST", "DELETE")
        content_type = headers.get(b"content-type", b"application/octet-stream" if is_upload else JSON_TYPE)
        bare = content_type.partition(b";")[0].strip().lower()
        is_upload = is_upload or bare == FORM
        self._check_transport(headers, bare if is_upload else JSON_TYPE, is_upload=is_upload)
        body = await read(visitor, self.worker, is_upload=is_upload)
        query = tickets.without(auth.without_key(visitor.query)).decode("latin-1")
        provider_path.check_query(query)
        call = self._unlisted(visitor, caller, place.account, place.endpoint, body)
        self._watchmen.note(visitor)
        await keeping.serve(self.worker, visitor, call, caller, place, found, (query, content_type))

    # ---- endings ----------------------------------------------------------------------------------------------------

    async def _cut_off(self, visitor: Visitor) -> None:
        """The gateway itself ends the call, because it stops or a deadline passed: say so and go."""
        if visitor.task is not None:
            visitor.task.uncancel()
        refusal: Refusal = Overloaded("The gateway ended this call because it is shutting down or the call took too long. Try again.", retry_after_s=1)
        if visitor.is_revoked:
            refusal = KeyRevoked("This key was revoked as compromised, and its calls were ended. Ask the owner of its project for a new one.")
        if visitor.reply.started:
            await visitor.reply.end(visitor.door.client.error_event(refusal.status, refusal.code, refusal.kind, refusal.message, None, {}))
        else:
            await self._refuse(visitor, refusal)

    async def _refuse(self, visitor: Visitor, refusal: Refusal) -> None:
        """Answer with a refusal in the surface's shape; the connection ends, for the body may not have been read."""
        if visitor.reply.started:
            return
        detail = detail_of(refusal, visitor.id, self.worker.settings.public_url)
        body = visitor.door.client.error_body(refusal.status, refusal.code, refusal.kind, refusal.message, refusal.param, detail)
        head = head_of(visitor, body) + advice(refusal)
        if isinstance(refusal, BadKey) or refusal.status in (408, 413, 415):
            head += CLOSE
            self.worker.figures.add("sgw_refusals", refusal.code)
        await visitor.reply.whole(refusal.status, head, body)


def detail_of(refusal: Refusal, call_id: str, public_url: str) -> dict[str, object]:
    """Return what stands under `error.sgw`, with the address of the request that would let the call pass, where there is one."""
    detail = {"call_id": call_id, **refusal.detail}
    if refusal.remedy and public_url:
        filled = urlencode({name: detail[name] for name in refusal.remedy_fields if name in detail})
        detail["request_url"] = f"{public_url}/requests/new/{refusal.remedy}{'?' if filled else ''}{filled}"
    return detail


def advice(refusal: Refusal) -> bytes:
    """Return the header lines that tell a client what to do about a refusal."""
    head = b"" if refusal.retry_after_s is None else b"retry-after: %d\r\n" % refusal.retry_after_s
    if not refusal.retryable:
        head += b"x-should-retry: false\r\n"
    if isinstance(refusal, MethodNotAllowed):
        head += b"allow: %b\r\n" % ", ".join(refusal.allowed).encode()
    return head + b"www-authenticate: Bearer\r\n" if refusal.status == 401 else head


def head_of(visitor: Visitor, body: bytes) -> bytes:
    """Return the lines of an answer of our own."""
    head = b"x-request-id: %b\r\ncontent-length: %d\r\n" % (visitor.id.encode(), len(body)) + JSON + SAFE
    reword = visitor.door.client.answer_lines
    return head if reword is None else reword(head, time.time())
