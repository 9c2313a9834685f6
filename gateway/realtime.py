"""The door for WebSockets: an upgrade becomes a session; refusals come before it with a status of their own, endings as an event and a closing code."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import structlog

from accounts.ranges import joined_tags
from gateway.consumers import advice, detail_of
from gateway.doors import ELSEWHERE
from gateway.errors import BadKey, BadRequest, LoopDetected, Overloaded, Refusal, SlowSender, UnknownEndpoint, UnsupportedField
from gateway.plane.identify import AccessToken, UnknownKey
from gateway.plane.live import Closing, Session, closing_with
from gateway.plane.snapshot import Snapshot
from gateway.plane.telling import JSON, SAFE
from gateway.plane.worker import Worker
from gateway.providers import shelf
from gateway.reading import check_ip, ip_of, label, timeout_ms
from gateway.terms import Call, Caller, Header
from gateway.visitors import Receive, Scope, Send, chance
from gateway.wire import Wire, WireError, auth, live_endpoints
from gateway.wire.lines import headers as headers_of
from gateway.wire.live import Live, Message

log = structlog.get_logger("gateway.realtime")

KEY_PROTOCOL = "openai-insecure-api-key."
SPOKEN_PROTOCOL = "realtime"
SETUP_S = 10.0
# one that idles takes some 100 kB, but a connection at its vendor too
MOST_SESSIONS = 1_000
# RFC 6455 §5.5: a control frame has at most 125 bytes, two of them the code
REASON_BYTES = 123


class Guest:
    """Who asks for a session: the upgrade as it came, and what they have been given so far. Speaks plain ASGI."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.id = new_id()
        self.path: str = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        self.query: bytes = scope["query_string"]
        # the server writes the scope's query into its log, and a key may stand in it
        scope["query_string"] = auth.without_key(self.query)
        self.listed: list[Header] = scope["headers"]
        self.headers: dict[bytes, bytes] = dict(self.listed)
        self.client: tuple[str, int] | None = scope.get("client")
        self.protocols: list[str] = list(scope.get("subprotocols") or ())
        self.can_answer = "websocket.http.response" in (scope.get("extensions") or {})
        self.is_in = False
        self._receive, self._send = receive, send

    async def accept(self, head: bytes) -> None:
        """Let the guest in, once; of the subprotocols the one is named that holds no key."""
        if self.is_in:
            return
        self.is_in = True
        protocol = SPOKEN_PROTOCOL if SPOKEN_PROTOCOL in self.protocols else None
        await self._give({"type": "websocket.accept", "subprotocol": protocol, "headers": headers_of(head)})

    async def receive(self) -> Message | None:
        """Return the next message as it came, None once the guest has left."""
        event = await self._receive()
        if event["type"] != "websocket.receive":
            return None
        text: str | None = event.get("text")
        return text if text is not None else bytes(event["bytes"])

    async def send(self, message: Message) -> None:
        """Send a message, waiting while the guest reads slowly; nothing to one who has left."""
        await self._give({"type": "websocket.send", "text" if isinstance(message, str) else "bytes": message})

    async def close(self, code: int, reason: str) -> None:
        """End the session."""
        cut = reason.encode()[:REASON_BYTES].decode("utf-8", "ignore")
        await self._give({"type": "websocket.close", "code": code, "reason": cut})

    async def refuse(self, status: int, head: bytes, body: bytes) -> None:
        """Answer the upgrade with a refusal."""
        if self.can_answer:
            await self._give({"type": "websocket.http.response.start", "status": status, "headers": headers_of(head)})
            await self._give({"type": "websocket.http.response.body", "body": body})
        else:
            await self._give({"type": "websocket.close"})

    async def _give(self, event: dict[str, Any]) -> None:
        # who has left is told nothing more; `receive` says that they have
        with contextlib.suppress(OSError):
            await self._send(event)


class Realtime:
    """Serves every WebSocket of a worker."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self._sessions: set[Session] = set()
        self._checks: set[asyncio.Task[None]] = set()
        worker.on_adopted = self.check

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one session from its upgrade to its end."""
        guest = Guest(scope, receive, send)
        figures = self.worker.figures
        figures.in_flight += 1
        wire, live = ELSEWHERE.wire, None
        try:
            await receive()
            account, endpoint = self._place(guest.path)
            wire, live = live_endpoints()[endpoint]
            await self._serve(guest, account, endpoint, wire, live)
        except Refusal as refusal:
            await self._refuse(guest, wire, live, refusal)
        except Exception:  # last line of defence, as at the door for calls
            log.exception("a session failed inside the gateway", call=guest.id)
            failed = Refusal(f"The gateway failed. Tell your IT administrator the call id {guest.id}.")
            await self._refuse(guest, wire, live, failed)
        finally:
            figures.in_flight -= 1

    def check(self) -> None:
        """End the sessions of callers who may not call any more, by the configuration that has just come."""
        for session in self._sessions:
            task = asyncio.get_running_loop().create_task(session.check())
            self._checks.add(task)
            task.add_done_callback(self._checks.discard)

    def drain(self) -> None:
        """End every session once its response has come."""
        for session in self._sessions:
            session.drain()

    def _place(self, path: str) -> tuple[str, str]:
        """Return account ("" for any) and endpoint of a path. Raises UnknownEndpoint."""
        for endpoint, (_, live) in live_endpoints().items():
            if live.path.fullmatch(path):
                return "", endpoint
        first, _, rest = path.removeprefix("/v1/").partition("/")
        snapshot = self.worker.snapshot
        account = snapshot.accounts.get(first) if snapshot is not None and path.startswith("/v1/") else None
        located = shelf()[account.provider].locate(rest.lstrip("/")) if account is not None else ""
        if located not in live_endpoints():
            raise UnknownEndpoint(f"There is no WebSocket at {path[:200]!r}. See the reference for the paths this gateway serves.")
        return first, located

    async def _serve(self, guest: Guest, account: str, endpoint: str, wire: Wire, live: Live) -> None:
        worker = self.worker
        if worker.via in guest.headers.get(b"via", b""):
            raise LoopDetected("This call already came through this gateway: a provider account points back at it.")
        credential = credential_of(guest, wire)
        project = guest.headers.get(b"x-sgw-project", b"")
        ip = ip_of(guest.client, guest.headers, worker.settings.trusted_proxies)

        async def again() -> Caller:
            try:
                caller = worker.caller_now(credential)
            except AccessToken:
                caller = await worker.caller_of_token(credential, project)
            if caller.key.allowed_ips:
                check_ip(ip, caller)
            return caller

        try:
            caller = await again()
        except UnknownKey:
            await worker.caller_fresh(credential)
            caller = await again()
        asked = query_of(guest, live)
        if len(self._sessions) >= MOST_SESSIONS:
            raise Overloaded("This gateway holds as many sessions as it can. Try again in a moment.", retry_after_s=1)
        setup = None
        if live.read_setup is not None:
            setup = await let_in(guest)
            if setup is None:
                return
            try:
                asked = live.read_setup(setup)
            except WireError as error:
                raise (UnsupportedField if error.code == "unsupported_field" else BadRequest)(error.message, param=error.param) from None
            # whoever took their time may have lost their key meanwhile
            caller = await again()
        call = self._call(guest, wire, endpoint, account, asked, caller, ip)
        await self._carry(guest, live, call, caller, again, setup)

    async def _carry(self, guest: Guest, live: Live, call: Call, caller: Caller, again: Callable[[], Awaitable[Caller]], setup: Message | None) -> None:
        worker, public_url = self.worker, self.worker.settings.public_url

        def tell(refusal: Refusal) -> str | None:
            return event_of(live, refusal, detail_of(refusal, call.id, public_url))

        session = Session(worker.corridor, worker.socket_sender, guest, call, again, self._snapshot, new_id, tell)
        self._sessions.add(session)
        try:
            closing = await session.go(caller, setup, live.tells(guest.headers, frozenset(guest.protocols)))
        finally:
            self._sessions.discard(session)
        await self._end(guest, closing, tell)

    def _snapshot(self) -> Snapshot:
        assert self.worker.snapshot is not None
        return self.worker.snapshot

    def _call(self, guest: Guest, wire: Wire, endpoint: str, account: str, model: str, caller: Caller, ip: str) -> Call:
        headers = guest.headers
        given_tags = label(headers.get(b"x-sgw-tags"))
        return Call(
            id=guest.id,
            surface=wire.surface,
            endpoint=endpoint,
            account=account,
            body=b"",
            model=model,
            stream=True,
            wants_usage=True,
            client_request_id=label(headers.get(b"x-request-id")),
            end_user=label(headers.get(b"x-sgw-user")),
            # the turns of one session are found together
            session=label(headers.get(b"x-sgw-session")) or guest.id,
            tags=joined_tags(caller.key.tags, given_tags) if caller.key.tags else given_tags,
            ip=ip,
            user_agent=label(headers.get(b"user-agent")),
            timeout_ms=timeout_ms(headers.get(b"x-sgw-timeout-ms")),
        )

    async def _end(self, guest: Guest, closing: Closing, tell: Callable[[Refusal], str | None]) -> None:
        """Tell a guest how the session ended: by an event, where the wire has one, and by code and reason."""
        reason = closing.reason
        if closing.refusal is not None and not closing.has_left:
            event = tell(closing.refusal)
            if event is not None:
                await guest.send(event)
            elif reason == closing.refusal.code:
                reason = closing.refusal.message
        await guest.close(closing.code, reason)

    async def _refuse(self, guest: Guest, wire: Wire, live: Live | None, refusal: Refusal) -> None:
        """Tell a guest that there is no session: by an answer of its own, or by closing where they were let in."""
        detail = detail_of(refusal, guest.id, self.worker.settings.public_url)
        if guest.is_in:
            await self._end(guest, closing_with(refusal), lambda refused: event_of(live, refused, detail))
            return
        assert wire.client is not None
        if isinstance(refusal, BadKey):
            self.worker.figures.add("sgw_refusals", refusal.code)
        body = wire.client.error_body(refusal.status, refusal.code, refusal.kind, refusal.message, refusal.param, detail)
        head = b"x-request-id: %b\r\ncontent-length: %d\r\n" % (guest.id.encode(), len(body)) + JSON + SAFE + advice(refusal)
        await guest.refuse(refusal.status, head, body)


def new_id() -> str:
    """Return an id for a call."""
    return f"call_{time.time_ns() // 1_000_000:011x}{chance()}"


def event_of(live: Live | None, refusal: Refusal, detail: dict[str, object]) -> str | None:
    """Return a refusal as an event of a session, None where its wire has none."""
    if live is None or live.error_event is None:
        return None
    return live.error_event(refusal.status, refusal.code, refusal.kind, refusal.message, refusal.param, detail)


def credential_of(guest: Guest, wire: Wire) -> bytes:
    """Return the one credential of an upgrade; browsers, which cannot set headers, name theirs as a subprotocol. Raises BadKey."""
    named = [(b"authorization", b"Bearer " + name[len(KEY_PROTOCOL) :].encode("latin-1")) for name in guest.protocols if name.startswith(KEY_PROTOCOL)]
    try:
        return auth.credential([*guest.listed, *named], guest.query, wire.surface == "gemini")
    except WireError as error:
        raise BadKey(error.message) from None


def query_of(guest: Guest, live: Live) -> str:
    """Return the model a query names, "" where another place does. Raises BadRequest, UnsupportedField."""
    given = dict(parse_qsl(guest.query.decode("latin-1"), keep_blank_values=True))
    for name in given:
        if name not in live.takes:
            raise UnsupportedField(f"{name[:64]!r} is not served here. Leave it out of the query.", param=name[:64])
    if live.read_setup is not None:
        return ""
    named = {given[name] for name in live.takes[:2] if given.get(name)}
    if len(named) != 1:
        raise BadRequest(f"Name one model in the query: ?{live.takes[0]}=...", param=live.takes[0])
    return named.pop()


async def let_in(guest: Guest) -> Message | None:
    """Let a guest in who names the model in a first message, and return that; None when they left. Raises SlowSender."""
    await guest.accept(b"x-request-id: %b\r\n" % guest.id.encode() + SAFE)
    try:
        async with asyncio.timeout(SETUP_S):
            return await guest.receive()
    except TimeoutError:
        raise SlowSender("The setup did not arrive in time. Connect again and send it at once.") from None
