"""The corridor: names the rooms of a call in order, and settles always. The only file that knows all rooms."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from email.utils import formatdate
from typing import Any, TypeVar
from urllib.parse import quote

from msgspec import structs

from billing.money import NANOUSD_PER_USD
from billing.receipts import Charge, Settle, encode
from gateway.errors import BadRequest, DependencyUnavailable, OverBudget, Refusal, UpstreamFailed, UpstreamFault, UpstreamTimeout
from gateway.plane import speak
from gateway.plane.calllog import Line
from gateway.plane.figures import Figures
from gateway.plane.hold import NO_AMOUNTS, NO_BOARD, Board, Hold, Holds
from gateway.plane.journal import Journal, JournalBroken
from gateway.plane.made import Tells, Watched, note
from gateway.plane.objects import Ownership, holder_of
from gateway.plane.plan import BLOCK_TOKENS, block_nanousd, capped, lowered, narrowed
from gateway.plane.plan import plan as make_plan
from gateway.plane.pools import Exchange, Pool
from gateway.plane.relay import Reply, content_type, open_stream, stream
from gateway.plane.route import Route
from gateway.plane.send import Sender, Sent, VendorRefusal
from gateway.plane.settle import NOTHING_HELD, Held, Times, attempted, bill, charge, flagged, intent, progress, receipt, together
from gateway.plane.snapshot import Snapshot
from gateway.plane.stored import Resumed, Stored, response_in, unstored
from gateway.terms import Account, Attempt, Body, Call, Caller, Deployment, Model, Plan, Ties, Usage
from gateway.wire import Wire, by_endpoint, chat_endpoints, plain_endpoints, shelf
from gateway.wire.lines import lines, replaced
from gateway.wire.made import Made

T = TypeVar("T")

ANSWER_BYTES = 64 * 1024 * 1024
EVENT_BYTES = 8 * 1024 * 1024
PRICED_BODY_BYTES = 1024 * 1024
PROGRESS_S = 5.0
KEEP_ALIVE_S = 15.0
# kinds of fault by which an answer that came makes no sense
GARBLED = frozenset({"protocol", "too_large"})
# whose answers an output limit bounds
CHAT = chat_endpoints()
UNKNOWN_WIRE = shelf()["openai_chat"]
# whose answers may be something else than JSON
BYTES = frozenset(name for name, plain in plain_endpoints().items() if plain.answers_bytes)
# of the bound of a spoken answer, three quarters of a token for every token: 4 bytes are estimated as one
SOUND_SHARE = 3
# what adds to an answer's headers those its SDKs look for
REWORDS = {
    endpoint: wire.client.answer_lines
    for wire in shelf().values()
    if wire.client is not None and wire.client.answer_lines is not None
    for endpoint in (*[name for name, spoken in by_endpoint().items() if spoken is wire], *wire.batching)
}
JSON = b"content-type: application/json\r\n"
SSE = b"content-type: text/event-stream; charset=utf-8\r\n"
SAFE = b"x-content-type-options: nosniff\r\ncontent-security-policy: sandbox\r\ncache-control: no-store\r\n"
CACHE_OFF = b"x-sgw-cache: off\r\n"
# said to the task of a call whose key was revoked as compromised
CUT = "key revoked"


class Corridor:
    """Everything a worker needs to carry calls, handed in; `clock` gives monotonic and `wall` Unix seconds."""

    def __init__(
        self,
        sender: Sender,
        journal: Journal,
        figures: Figures,
        log: Callable[[Line], None],
        clock: Callable[[], float],
        wall: Callable[[], float],
        draw: random.Random,
        holds: Holds,
        worker: str,
        stored: Stored | None = None,
        ownership: Ownership | None = None,
    ) -> None:
        self.sender, self.journal, self.figures, self.log = sender, journal, figures, log
        self.clock, self.wall, self.draw, self.holds, self.worker = clock, wall, draw, holds, worker
        self.stored, self.ownership = stored or Stored(), ownership or Ownership()
        self.unsettled: list[Settle] = []

    def settle_again(self) -> None:
        """Write the receipts that the journal would not take before."""
        while self.unsettled and self.journal.healthy:
            try:
                self.journal.append(encode(self.unsettled[-1]))
            except JournalBroken:
                return
            self.unsettled.pop()

    def carry(self, call: Call, caller: Caller, snapshot: Snapshot, reply: Reply, began: float) -> Coroutine[None, None, None]:
        """Serve one call to its end. Raises Refusal while nothing was given to the caller; after that, failures are events of the stream."""
        return Walk(self, call, caller, reply, began).go(snapshot)

    def carry_unmetered(
        self, call: Call, caller: Caller, snapshot: Snapshot, reply: Reply, began: float, request: tuple[str, str]
    ) -> Coroutine[None, None, None]:
        """Pass `request` (method, path) of an endpoint the gateway cannot meter to an account that allows it; recorded as unpriced."""
        return Unmetered(self, call, caller, reply, began, request).go(snapshot)


class Walk:
    """One call on its way through the rooms."""

    __slots__ = (
        "_beat", "_board", "_body", "_charges", "_corridor", "_covered_bytes", "_hold", "_is_unheld", "_progress_at", "_resumed", "_served", "answered_at",
        "attempts", "began", "billed_nanousd",
        "call", "caller", "deployment", "dropped", "error_code", "first_byte_at", "outcome", "partial", "plan", "problem", "provider", "reader", "reply",
        "route", "sent_at", "settled", "status", "text_bytes", "usage",
    )

    def __init__(self, corridor: Corridor, call: Call, caller: Caller, reply: Reply, began: float) -> None:
        self._corridor, self.call, self.caller, self.reply, self.began = corridor, call, caller, reply, began
        self.plan: Plan | None = None
        self.deployment: Deployment | None = None
        self.provider = ""
        self.attempts: list[Attempt] = []
        self.dropped: tuple[str, ...] = ()
        self.reader: speak.Reader | None = None
        self.route: Route | None = None
        # the vendor's usage, whole or as far as it was told
        self.usage: Usage | None = None
        self.partial: Usage | None = None
        self.problem = ""
        self._is_unheld = False
        self.text_bytes = 0
        self.sent_at = self.answered_at = self.first_byte_at = self._progress_at = 0.0
        self.status, self.outcome, self.error_code = 200, "ok", ""
        self.billed_nanousd = 0
        self.settled = False
        # whether an answer began that the caller got or was about to get; tries that broke before are among the charges
        self._served = False
        self._charges: tuple[Charge, ...] = ()
        self._body = b""
        self._board = NO_BOARD
        self._hold: Hold | None = None
        self._covered_bytes = BLOCK_TOKENS // 2
        self._beat: asyncio.TimerHandle | None = None
        self._resumed: Resumed | None = None

    async def go(self, snapshot: Snapshot) -> None:
        """Walk the rooms; whatever happens, a receipt is written exactly once."""
        try:
            await self._carry(snapshot)
        except VendorRefusal as refusal:
            await self._pass_on(refusal)
        except UpstreamFault as fault:
            await self._fail(refusal_of(fault))
        except Refusal as refusal:
            await self._fail(refusal)
        except JournalBroken:
            await self._fail(DependencyUnavailable("Calls cannot be recorded at the moment, so none is made. Try again in a moment.", retry_after_s=1))
        except asyncio.CancelledError as cancelled:
            self.outcome, self.error_code, self.status = "aborted", "client_closed_request", 499
            if CUT in cancelled.args:
                self.error_code, self.status = "key_revoked", 401
            raise
        finally:
            if self._beat is not None:
                self._beat.cancel()
            self.settle()

    async def _carry(self, snapshot: Snapshot) -> None:
        corridor = self._corridor
        if self.call.ties is not None:
            await self._resume(self.call.ties)
        plan = self.plan = make_plan(self.call, self.caller, snapshot, corridor.draw)
        if self._resumed is not None and self.call.ties is not None:
            plan = self.plan = narrowed(plan, self._resumed.account, self.call.ties.objects, snapshot)
        board = self._board = corridor.holds.board(self.call, self.caller, snapshot.rules)
        if board.slices:
            self._hold = corridor.holds.try_take(board, plan.quote_nanousd, plan.quote_tokens) if corridor.holds.reachable else None
            if self._hold is None:
                await self._take(board)
            call = self.call
            if board.has_budget and not call.stream and not call.max_output_tokens and call.endpoint in CHAT and not self.plan.output_cap_tokens:
                self.plan = capped(self.plan)
        if self.call.stream:
            self._beat = asyncio.get_running_loop().call_later(KEEP_ALIVE_S, self._keep_alive)
            await self._stream()
        elif self.call.endpoint in BYTES:
            await self._bytes()
        else:
            await self._whole()

    async def _resume(self, ties: Ties) -> None:
        """Find whose the things are that the call names, and put what it goes on from before it. Raises NoSuchObject, and what `resume` raises."""
        corridor, call = self._corridor, self.call
        holder = await holder_of(corridor.ownership, self.caller.project.id, ties.objects, call.account)
        resumed = await corridor.stored.resume(call, self.caller)
        if holder and resumed.account not in ("", holder):
            raise BadRequest("What this call names is kept at another provider account than the response it goes on from.", param=ties.objects[0].param)
        self._resumed, self.call = structs.replace(resumed, account=resumed.account or holder), resumed.call

    async def _take(self, board: Board) -> None:
        """Hold what the call may cost, with a lower output limit if only that fits. Raises OverBudget, TooFast, DependencyUnavailable."""
        holds, plan, mode = self._corridor.holds, self.plan, self.caller.project.without_authority
        assert plan is not None
        if mode == "closed" and not holds.reachable:
            raise DependencyUnavailable("Budgets cannot be asked at the moment, and this project's calls wait for that. Try again.", retry_after_s=1)
        try:
            self._hold = await holds.take(board, plan.quote_nanousd, plan.quote_tokens)
        except DependencyUnavailable:
            if mode != "open":
                raise
            self._is_unheld = True
        except OverBudget:
            fewer = lowered(plan, *holds.left(board)) if self.call.endpoint in CHAT else None
            if fewer is None:
                raise
            self._hold = await holds.take(board, fewer.quote_nanousd, fewer.quote_tokens)
            self.plan = fewer

    # ---- the two ways through send and relay ------------------------------------------------------------------------

    async def _whole(self) -> None:
        sent = await self._send(self._read_whole)
        try:
            await self._give(sent, sent.opening)
        finally:
            sent.pool.leave(sent.deployment)
            sent.exchange.close()

    async def _give(self, sent: Sent[Any], answer: speak.Whole) -> None:
        """Give a whole answer, once its receipt is written."""
        self.usage, self.problem, self.text_bytes = answer.usage, answer.problem, answer.text_bytes
        self.dropped += answer.dropped
        self._answered()
        self.settle()
        if self._corridor.journal.strict:
            await self._corridor.journal.flushed()
        if self._resumed is not None:
            answer = await self._remember(answer)
        head = b"%bcontent-length: %d\r\n%b" % (self._head(sent), len(answer.body), JSON)
        if len(answer.body) <= PRICED_BODY_BYTES:
            head += b"x-sgw-cost-usd: %d.%09d\r\n" % divmod(self.billed_nanousd, NANOUSD_PER_USD)
        await self.reply.whole(200, head, answer.body)

    async def _remember(self, answer: speak.Whole) -> speak.Whole:
        """Note what was made for an answer, and keep it for later calls; return it as it says that it could not be kept."""
        tells = self._tells()
        if tells is not None:
            await self._note_made(tells(answer.body))
        if self.call.keeps and not await self._keep(answer.body):
            answer = structs.replace(answer, body=unstored(answer.body))
            self.dropped += ("store",)
        return answer

    async def _bytes(self) -> None:
        """Give an answer that may be anything, such as sound: JSON whole and metered, everything else as it comes and estimated."""
        sent = await self._send(self._read_any)
        try:
            if isinstance(sent.opening, speak.Whole):
                await self._give(sent, sent.opening)
                return
            self._answered()
            self.problem = "usage_missing"
            await self._pour(sent, sent.opening)
        finally:
            sent.pool.leave(sent.deployment)
            sent.exchange.close()

    async def _pour(self, sent: Sent[Any], data: bytes) -> None:
        """Pass an answer on as it comes, beginning with `data`."""
        kind = content_type(sent.exchange)
        is_text = kind.startswith(b"text/")
        self.text_bytes = 0 if is_text else self.call.max_output_tokens * SOUND_SHARE
        # an answer is data, never a page: whatever the vendor says, no browser may run it
        told = lines([(b"content-type", kind if kind and kind != b"text/html" else b"application/octet-stream")])
        await self.reply.start(sent.exchange.status, self._head(sent) + told)
        while data:
            if is_text:
                self.text_bytes += len(data)
            await self.reply.write(data)
            data = await sent.exchange.chunks()
        await self._settle_stably()
        await self.reply.end(b"")

    async def _stream(self) -> None:
        sent = await self._send(self._read_opening)
        try:
            self._answered()
            self._progress_at = self._corridor.clock()
            if not self.reply.started:
                await self.reply.start(200, self._head(sent) + SSE)
            assert self.reader is not None
            settle = self._settle_stably if self._resumed is None else self._settle_and_remember
            await stream(sent.exchange, self.reader, sent.opening, self.reply, settle, self._note_progress)
        finally:
            sent.pool.leave(sent.deployment)
            sent.exchange.close()

    def _send(self, first: Callable[[Exchange, Pool, Deployment], Awaitable[T]]) -> Coroutine[None, None, Sent[T]]:
        assert self.plan is not None
        return self._corridor.sender.send(self.plan.deployments, self, first, self.attempts, self.call.timeout_ms)

    def prepare(self, deployment: Deployment, pool: Pool) -> tuple[bytes, Body]:
        """Return head and body for a try, after its intent is in the journal. Raises JournalBroken, UnsupportedField."""
        assert self.plan is not None
        route = self.route = pool.route(self.call.endpoint)
        spoken = speak.request(self.call, deployment, pool.provider, route, self.plan.output_cap_tokens)
        self.dropped = spoken.dropped
        self._intend(deployment, pool)
        head = pool.head(route.endpoint, deployment.upstream_model, self.call.stream, self.call.content_type)
        if spoken.headers:
            head = replaced(head, spoken.headers)
        return pool.signed(head, spoken.body), spoken.body

    def _intend(self, deployment: Deployment, pool: Pool) -> None:
        """Journal the intent to call a deployment. Raises JournalBroken."""
        assert self.plan is not None
        corridor = self._corridor
        if not corridor.journal.writable:
            # what little room is left belongs to the calls already admitted
            raise JournalBroken("the journal takes no new calls")
        self.deployment, self.provider = deployment, pool.provider.slug
        started_at_ms = int((corridor.wall() - (corridor.clock() - self.began)) * 1000)
        before = attempted(self.attempts, self.plan.revision) if self._charges else ()
        record = intent(self.call, self.caller, self.plan, deployment, pool.provider.slug, started_at_ms, self._held(), before)
        corridor.journal.append(encode(record))
        if not self.sent_at:
            self.sent_at = corridor.clock()

    def _held(self) -> Held:
        money, tokens, _ = self._hold.amounts if self._hold is not None else NO_AMOUNTS
        return Held(self._corridor.worker, self._board.windows, tokens, money)

    async def again(self) -> None:
        """Hold more where tries that failed have cost money, so that the next can cost its whole quote. Raises OverBudget, DependencyUnavailable."""
        hold, plan = self._hold, self.plan
        if hold is None or plan is None or not self._charges:
            return
        money = plan.quote_nanousd + sum(one.cost_nanousd for one in self._charges) - hold.amounts[0]
        tokens = plan.quote_tokens + sum(one.input_tokens + one.output_tokens for one in self._charges) - hold.amounts[1]
        try:
            await self._corridor.holds.extend(hold, max(0, money), max(0, tokens))
        except DependencyUnavailable:
            if self.caller.project.without_authority != "open":
                raise
            self._is_unheld = True

    def broken(self, deployment: Deployment, pool: Pool, exchange: Exchange | None, outcome: str) -> Charge | None:
        """Return what a try that served nobody was or may have been billed; nothing unless an answer had begun or the caller left it under way."""
        reader, body = self.reader, self._body
        self.reader, self._body = None, b""
        plan, route = self.plan, self.route
        if plan is None or route is None or (exchange is not None and not 200 <= exchange.status < 300):
            return None
        if exchange is None:
            found = speak.NOTHING_HEARD
        elif reader is not None and content_type(exchange) == route.wire.stream_type:
            found = speak.heard_of_stream(reader, is_garbled=outcome in GARBLED)
        else:
            came, came_bytes = (body, len(body)) if body else exchange.heard()
            found = speak.heard(came, came_bytes, route.wire, content_type(exchange))
        if not found.began and outcome != "abandoned":
            return None
        made = charge(self.call, plan, deployment, pool.provider.slug, found.usage, found.partial, found.problem, found.text_bytes)
        self._charges += (made,)
        return made

    async def _read_whole(self, exchange: Exchange, pool: Pool, deployment: Deployment) -> speak.Whole:
        if content_type(exchange) != b"application/json":
            raise UpstreamFault("protocol", "the answer is not JSON", sent=True)
        body = await exchange.read(ANSWER_BYTES)
        assert self.route is not None
        try:
            return speak.whole(self.call, body, self.route, int(self._corridor.wall()))
        except UpstreamFault:
            self._body = body
            raise

    async def _read_any(self, exchange: Exchange, pool: Pool, deployment: Deployment) -> speak.Whole | bytes:
        if content_type(exchange) == b"application/json":
            return await self._read_whole(exchange, pool, deployment)
        data = await exchange.chunks()
        if not data:
            raise UpstreamFault("reset", "the answer ended before its first byte", sent=True)
        return data

    async def _read_opening(self, exchange: Exchange, pool: Pool, deployment: Deployment) -> bytes:
        route = self.route
        assert route is not None
        limit_bytes = EVENT_BYTES if route.meter is None else ANSWER_BYTES
        tells = self._tells()
        if tells is None:
            self.reader = speak.reader(self.call, route, int(self._corridor.wall()), limit_bytes)
        else:
            self.reader = Watched(route, tells, keep_usage=self.call.wants_usage, limit_bytes=limit_bytes)
        if content_type(exchange) == b"application/json":
            # no stream, and refused below; but the vendor answered, and what that was billed stands in it
            self._body = await exchange.read(ANSWER_BYTES)
        return await open_stream(exchange, self.reader, route.wire.stream_type)

    # ---- what the caller hears --------------------------------------------------------------------------------------

    def _answered(self) -> None:
        self._served = True
        self.answered_at = self.first_byte_at = self._corridor.clock()

    def _reworded(self, head: bytes) -> bytes:
        """Return an answer's header lines with those the caller's SDK looks for."""
        reword = REWORDS.get(self.call.endpoint)
        return head if reword is None else reword(head, self._corridor.wall())

    def _head(self, sent: Sent[T]) -> bytes:
        """Return the headers every answer has, as lines. Raises UnsafeHeader when a vendor's would break them."""
        plan, board = self.plan, self._board
        assert plan is not None
        head = b"x-request-id: %b\r\n%bx-sgw-attempts: %d\r\nserver-timing: gateway;dur=%.2f, upstream;dur=%.2f\r\n%b" % (
            self.call.id.encode(),
            sent.pool.told(plan.model.name, sent.deployment.slug),
            len(self.attempts),
            (self.sent_at - self.began) * 1000,
            (self.answered_at - self.sent_at) * 1000,
            SAFE,
        )
        passed = sent.headers
        if board.told:
            # the tighter of ours and the vendor's is not known: callers are told what this gateway will do
            passed = tuple([header for header in passed if b"-ratelimit-" not in header[0]])
            head += self._corridor.holds.head(board)
        if passed:
            head += lines(passed)
        if plan.model.deprecated_at_s:
            head += deprecation(plan.model)
        if plan.output_cap_tokens:
            head += b"x-sgw-max-tokens: %d\r\n" % plan.output_cap_tokens
        if self.dropped:
            head += lines([(b"x-sgw-dropped", ",".join(self.dropped).encode())])
        return self._reworded(head)

    def _keep_alive(self) -> None:
        """Tell a waiting caller that the call is alive; from here on, failures are events of the stream."""
        loop = asyncio.get_running_loop()
        self._beat = loop.call_later(KEEP_ALIVE_S, self._keep_alive)
        task = loop.create_task(self._write_keep_alive())
        beats.add(task)
        task.add_done_callback(beats.discard)

    async def _write_keep_alive(self) -> None:
        if self.settled:
            return
        if not self.reply.started:
            await self.reply.start(200, b"x-request-id: %b\r\n" % self.call.id.encode() + CACHE_OFF + SAFE + SSE)
        await self.reply.write(keep_alive(self.call.endpoint))

    async def _pass_on(self, refusal: VendorRefusal) -> None:
        """Give a vendor's refusal of the request itself to the caller, in the vendor's own words."""
        # what is recorded is our own word: a vendor's code may repeat what was said
        self.status, self.outcome, self.error_code = refusal.status, "refused", "vendor_refused"
        message = speak.vendor_message(refusal.body, refusal.pool.account, self._wire())
        code, param = speak.vendor_code(refusal.body, refusal.pool.account)
        mild = VendorError(message or f"The provider refused the request with status {refusal.status}.", refusal.status, code, param)
        self.settle()
        await self._end_with(mild)

    def _wire(self) -> Wire:
        """Return the wire of what a vendor says: of an endpoint the gateway does not know, most likely OpenAI's."""
        return self.route.wire if self.route is not None else UNKNOWN_WIRE

    async def _end_with(self, refusal: Refusal) -> None:
        """Tell the caller that the call ends here. Raises the refusal while nothing was given."""
        if not self.reply.started:
            raise refusal
        if self.call.stream:
            await self.reply.end(error_event(refusal, self.call.endpoint))
        # Any other body is left unfinished, and the server ends the connection: nobody takes half a recording for a whole one.

    async def _fail(self, refusal: Refusal) -> None:
        """Refuse the call: by raising while nothing was given, else by an error event, and never a normal ending after it."""
        self.status, self.error_code = refusal.status, refusal.code
        self.outcome = "refused" if not self.attempts else "failed"
        self.settle()
        await self._end_with(refusal)

    # ---- settlement -------------------------------------------------------------------------------------------------

    def _note_progress(self) -> Coroutine[None, None, None] | None:
        """Journal how far a long stream has come; return what to wait for when its hold must grow first."""
        self._journal_progress()
        hold, plan, reader = self._hold, self.plan, self.reader
        if hold is None or plan is None or reader is None or self.call.max_output_tokens or plan.output_cap_tokens or reader.text_bytes < self._covered_bytes:
            return None
        # a token is at least a byte: what was held covers as many bytes as tokens
        self._covered_bytes += BLOCK_TOKENS
        return self._corridor.holds.extend(hold, block_nanousd(plan), BLOCK_TOKENS)

    def _journal_progress(self) -> None:
        corridor = self._corridor
        if corridor.clock() - self._progress_at < PROGRESS_S or self.deployment is None or self.reader is None:
            return
        self._progress_at = corridor.clock()
        corridor.journal.append(encode(progress(self.call, self.deployment, self.reader.text_bytes, int(corridor.wall() * 1000))))

    async def _settle_stably(self) -> None:
        """Write the receipt and, where the installation asks for it, wait until it is on stable storage. Raises JournalBroken."""
        self.settle()
        await self._corridor.journal.flushed()

    async def _settle_and_remember(self) -> None:
        """The same, and then note what was made for the answer, and keep the one that the stream's last event holds."""
        await self._settle_stably()
        reader = self.reader
        assert reader is not None
        if isinstance(reader, Watched):
            await self._note_made(reader.made.values())
        if self.call.keeps and not await self._keep(response_in(reader.tail)) and self.route is not None and not self.route.is_same:
            reader.tail = unstored(reader.tail)

    async def _keep(self, response: bytes) -> bool:
        """Keep an answer for later calls, or where its vendor keeps it; False when that could not be done."""
        resumed, deployment, route = self._resumed, self.deployment, self.route
        assert resumed is not None
        assert deployment is not None
        assert route is not None
        used = self.usage.input_tokens + self.usage.output_tokens if self.usage is not None else len(self.call.body) + self.text_bytes
        is_kept = await self._corridor.stored.keep(resumed, self.caller.project.id, deployment.account if route.is_same else "", response, used)
        if not is_kept:
            self._corridor.figures.add("sgw_unstored")
        return is_kept

    def _tells(self) -> Tells | None:
        """Return what reads from the answer what was made for it, where the call may have asked for such a thing."""
        ties = self.call.ties
        return self.route.tells if ties is not None and ties.makes and self.route is not None else None

    async def _note_made(self, things: Iterable[Made]) -> None:
        """Note what the vendor made for an answer, so that its project may name it in later calls; the answer is given all the same."""
        assert self.deployment is not None
        if not await note(self._corridor.ownership, self.caller, self.deployment.account, things):
            self._corridor.figures.add("sgw_unstored")

    def settle(self) -> None:
        """Write the receipt, once; runs before the last bytes leave and at the latest when the walk ends."""
        if self.settled:
            return
        self.settled = True
        corridor, now = self._corridor, self._corridor.clock()
        if self.reader is not None:
            reader = self.reader
            self.usage, self.partial, self.problem, self.text_bytes = reader.usage, reader.partial, reader.problem, reader.text_bytes
        own = billed = bill(self.call, self.deployment, self.usage, self.partial, self.problem, self.text_bytes, self._served)
        attempts, hold = self.attempts, self._hold
        if self._charges and self.deployment is not None:
            billed, attempts = together(own, attempts, self.deployment, self.provider)
        used_tokens = billed.usage.input_tokens + billed.usage.output_tokens
        if hold is not None and (billed.cost_nanousd > hold.amounts[0] or used_tokens > hold.amounts[1]):
            billed = structs.replace(billed, flags=flagged(billed.flags, "overrun"))
        if self._is_unheld:
            billed = structs.replace(billed, flags=flagged(billed.flags, "unheld"))
        self.billed_nanousd = billed.cost_nanousd
        answered_at, began, wall = self.answered_at or now, self.began, corridor.wall()
        # both clocks never run backwards: nothing here is below zero
        gateway_s = (self.sent_at or answered_at) - began
        first_byte_s = self.first_byte_at - began if self.first_byte_at else 0.0
        times = Times(int((wall - (now - began)) * 1000), int((now - began) * 1000), int(first_byte_s * 1000), int(gateway_s * 1e6))
        held = self._held() if hold is not None or self._served or self._charges else NOTHING_HELD
        record = receipt(
            self.call, self.caller, self.plan, self.deployment, self.provider, billed, times, attempts, self.status, self.outcome, self.error_code, held
        )
        try:
            corridor.journal.append(encode(record))
        except JournalBroken:
            # its intent is on disk; tried again every second, and if this worker dies first it is settled as an orphan
            corridor.unsettled.append(record)
            corridor.figures.add("sgw_unsettled")
        if hold is not None:
            self._hold = None
            corridor.holds.settle(hold, billed.cost_nanousd, used_tokens)
        model = self.plan.model.name if self.plan is not None else ""
        endpoint, figures, usage, cost = self.call.endpoint, corridor.figures, own.usage, own.cost_nanousd
        figures.count_call(endpoint, model, record.account, self.status, now - self.began, gateway_s, first_byte_s, usage, cost)
        figures.count_attempts(model, self.attempts)
        caller = self.caller
        corridor.log(
            Line(
                "call", wall, record.call_id, endpoint, self.status, self.error_code, caller.key.id, caller.project.id, model, record.deployment,
                len(self.attempts), times.duration_ms,
            )
        )


class Unmetered(Walk):
    """A call to an endpoint of a provider account that the gateway does not know: bytes pass both ways, nothing is priced."""

    __slots__ = ("_request",)

    def __init__(self, corridor: Corridor, call: Call, caller: Caller, reply: Reply, began: float, request: tuple[str, str]) -> None:
        super().__init__(corridor, call, caller, reply, began)
        self._request = request

    async def _carry(self, snapshot: Snapshot) -> None:
        self.plan = unpriced(snapshot.accounts[self.call.account])
        self.problem = "unmetered"
        sent = await self._send(self._read_first)
        try:
            self._answered()
            self._served = False
            await self._pour(sent, sent.opening)
        finally:
            sent.pool.leave(sent.deployment)
            sent.exchange.close()

    def prepare(self, deployment: Deployment, pool: Pool) -> tuple[bytes, Body]:
        """Return head and body as they came. Raises JournalBroken."""
        self._intend(deployment, pool)
        return pool.signed(pool.raw_head(*self._request), self.call.body), self.call.body

    def broken(self, deployment: Deployment, pool: Pool, exchange: Exchange | None, outcome: str) -> Charge | None:
        """Return nothing: what cannot be metered is not priced."""
        return None

    async def _read_first(self, exchange: Exchange, pool: Pool, deployment: Deployment) -> bytes:
        return await exchange.chunks()


def unpriced(account: Account) -> Plan:
    """Return the plan of what goes to an account and is about none of the catalogue's models."""
    deployment = Deployment(
        id=f"{account.id}/-", slug=f"{account.slug}/-", model="", account=account.slug, upstream_model="-",
        order=0, weight=1, region="", max_parallel=0, price=None,
    )  # fmt: skip
    model = Model(id="", name="-", kind="", owned_by="", created_at_s=0, unknown_price="free", deployments=(deployment,))
    return Plan(model=model, deployments=(deployment,), quote_nanousd=0)


beats: set[asyncio.Task[None]] = set()


class VendorError(Refusal):
    """A vendor's 4xx about the request itself, passed on with its own message."""

    kind = "invalid_request_error"

    def __init__(self, message: str, status: int, code: str, param: str | None) -> None:
        super().__init__(message, param=param, detail={"from_provider": True})
        self.status, self.code = status, code


def keep_alive(endpoint: str) -> bytes:
    """Return what a waiting stream of an endpoint gets."""
    client = by_endpoint()[endpoint].client
    assert client is not None
    return client.keep_alive


def error_event(refusal: Refusal, endpoint: str) -> bytes:
    """Return a refusal as the last event of a stream, in the shape of the wire that is spoken at an endpoint."""
    client = by_endpoint()[endpoint].client
    assert client is not None
    return client.error_event(refusal.status, refusal.code, refusal.kind, refusal.message, refusal.param, refusal.detail)


def deprecation(model: Model) -> bytes:
    """Return the header lines of a model that will be served no more (RFC 9745, RFC 8594)."""
    told = [(b"deprecation", b"@%d" % model.deprecated_at_s)]
    if model.retires_at_s:
        told.append((b"sunset", formatdate(model.retires_at_s, usegmt=True).encode()))
    if model.successor:
        told.append((b"link", f'</v1/models/{quote(model.successor, safe="")}>; rel="successor-version"'.encode()))
    return lines(told)


def refusal_of(fault: UpstreamFault) -> Refusal:
    """Return what a caller is told about a fault in mid-stream."""
    if fault.kind.endswith("_timeout"):
        return UpstreamTimeout("The provider stopped sending in the middle of the answer. Try again.")
    return UpstreamFailed("The provider's answer broke off or was damaged. Try again.")
