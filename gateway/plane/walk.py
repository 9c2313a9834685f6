"""What every call does on its way: its tries are journalled, its money is held, its caller is told, and it is settled, always and once."""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from msgspec import structs

from billing.receipts import Charge, Settle, encode
from gateway.errors import DependencyUnavailable, OverBudget, Refusal, UpstreamFault
from gateway.plane import speak
from gateway.plane.calllog import Line
from gateway.plane.figures import Figures
from gateway.plane.hold import NO_AMOUNTS, NO_BOARD, Board, Hold, Holds
from gateway.plane.journal import Journal, JournalBroken
from gateway.plane.objects import Ownership
from gateway.plane.plan import BLOCK_TOKENS, lowered
from gateway.plane.pools import Exchange, Pool
from gateway.plane.relay import Reply, content_type
from gateway.plane.route import Route
from gateway.plane.send import Sender, Sent, VendorRefusal
from gateway.plane.settle import NOTHING_HELD, Held, Times, attempted, bill, flagged, intent, receipt, together
from gateway.plane.snapshot import Snapshot
from gateway.plane.stored import Resumed, Stored
from gateway.plane.telling import SAFE, VendorError, deprecation, error_event, refusal_of
from gateway.terms import Attempt, Body, Call, Caller, Deployment, Plan, Usage
from gateway.wire import Wire, by_endpoint, chat_endpoints, shelf
from gateway.wire.lines import lines

T = TypeVar("T")

# whose answers an output limit bounds
CHAT = chat_endpoints()
UNKNOWN_WIRE = shelf()["openai_chat"]
# of the bound of a spoken answer, three quarters of a token for every token: 4 bytes are estimated as one
SOUND_SHARE = 3
# what adds to an answer's headers those its SDKs look for
REWORDS = {
    endpoint: callers.answer_lines
    for wire in shelf().values()
    if (callers := wire.callers) is not None and callers.answer_lines is not None
    for endpoint in (*[name for name, spoken in by_endpoint().items() if spoken is wire], *wire.batching)
}
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


class Tried(ABC):
    """Something that is tried at deployments: held for before, journalled with every try, and settled once."""

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

    @abstractmethod
    def prepare(self, deployment: Deployment, pool: Pool) -> tuple[bytes, Body]:
        """Return head and body for a try, after its intent is in the journal. Raises JournalBroken, UnsupportedField."""

    @abstractmethod
    def broken(self, deployment: Deployment, pool: Pool, exchange: Exchange | None, outcome: str) -> Charge | None:
        """Return what a try that served nobody was or may have been billed."""

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

    def _send(self, first: Callable[[Exchange, Pool, Deployment], Awaitable[T]]) -> Coroutine[None, None, Sent[T]]:
        assert self.plan is not None
        return self._corridor.sender.send(self.plan.deployments, self, first, self.attempts, self.call.timeout_ms)

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


class Walk(Tried):
    """One call on its way; each kind of call says which rooms it comes through."""

    __slots__ = ()

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

    @abstractmethod
    async def _carry(self, snapshot: Snapshot) -> None:
        """Walk the rooms of this kind of call. Raises Refusal, UpstreamFault, VendorRefusal, JournalBroken."""

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

    async def _pass_on(self, refusal: VendorRefusal) -> None:
        """Give a vendor's refusal of the request itself to the caller, in the vendor's own words."""
        # what is recorded is our own word: a vendor's code may repeat what was said
        self.status, self.outcome, self.error_code = refusal.status, "refused", "vendor_refused"
        message = speak.vendor_message(refusal.body, refusal.pool.account, self._wire())
        code, param = speak.vendor_code(refusal.body, refusal.pool.account)
        if self.route is not None:
            param = speak.callers_param(param, self.route, self.call.fields)
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

    async def _settle_stably(self) -> None:
        """Write the receipt and, where the installation asks for it, wait until it is on stable storage. Raises JournalBroken."""
        self.settle()
        await self._corridor.journal.flushed()
