"""Calls of models: names their rooms in order, from the plan to what is kept of the answer. The only file that knows all rooms."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from msgspec import structs

from billing.money import NANOUSD_PER_USD
from billing.receipts import Charge, encode
from gateway.errors import BadRequest, UpstreamFault
from gateway.plane import speak
from gateway.plane.made import Tells, Watched, note
from gateway.plane.objects import holder_of
from gateway.plane.plan import BLOCK_TOKENS, block_nanousd, capped, narrowed
from gateway.plane.plan import plan as make_plan
from gateway.plane.pools import Exchange, Pool
from gateway.plane.relay import Reply, content_type, open_stream, stream
from gateway.plane.send import Sent
from gateway.plane.settle import charge, progress
from gateway.plane.snapshot import Snapshot
from gateway.plane.stored import Resumed, response_in, unstored
from gateway.plane.telling import CACHE_OFF, JSON, SAFE, SILENT, SSE, keep_alive
from gateway.plane.walk import CHAT, Corridor, Walk
from gateway.terms import Body, Call, Caller, Deployment
from gateway.wire import plain_endpoints
from gateway.wire.lines import replaced
from gateway.wire.made import Made

ANSWER_BYTES = 64 * 1024 * 1024
EVENT_BYTES = 8 * 1024 * 1024
PRICED_BODY_BYTES = 1024 * 1024
PROGRESS_S = 5.0
KEEP_ALIVE_S = 15.0
# kinds of fault by which an answer that came makes no sense
GARBLED = frozenset({"protocol", "too_large"})
# whose answers may be something else than JSON
BYTES = frozenset(name for name, plain in plain_endpoints().items() if plain.answers_bytes)


def carry(corridor: Corridor, call: Call, caller: Caller, snapshot: Snapshot, reply: Reply, began: float) -> Coroutine[None, None, None]:
    """Serve one call to its end. Raises Refusal while nothing was given to the caller; after that, failures are events of the stream."""
    return Served(corridor, call, caller, reply, began).go(snapshot)


async def resumed(corridor: Corridor, call: Call, caller: Caller) -> Resumed:
    """Return a call with what it goes on from before it, once it is known whose the things are that it names.

    Raises NoSuchObject, BadRequest, and what `resume` raises.
    """
    ties = call.ties
    assert ties is not None
    holder = await holder_of(corridor.ownership, caller.project.id, ties.objects, call.account)
    whole = await corridor.stored.resume(call, caller)
    if holder and whole.account not in ("", holder):
        raise BadRequest("What this call names is kept at another provider account than the response it goes on from.", param=ties.objects[0].param)
    return structs.replace(whole, account=whole.account or holder)


class Served(Walk):
    """A call that a model answers: whole, as bytes that come, or as a stream."""

    __slots__ = ()

    async def _carry(self, snapshot: Snapshot) -> None:
        corridor = self._corridor
        if self.call.ties is not None:
            await self._resume()
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

    async def _resume(self) -> None:
        self._resumed = await resumed(self._corridor, self.call, self.caller)
        self.call = self._resumed.call

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

    async def _stream(self) -> None:
        sent = await self._send(self._read_opening)
        try:
            self._answered()
            self._progress_at = self._corridor.clock()
            assert self.route is not None
            if not self.reply.started:
                await self.reply.start(200, self._head(sent) + self.route.stream_line)
            assert self.reader is not None
            settle = self._settle_stably if self._resumed is None else self._settle_and_remember
            await stream(sent.exchange, self.reader, sent.opening, self.reply, settle, self._note_progress)
        finally:
            sent.pool.leave(sent.deployment)
            sent.exchange.close()

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
            whole = speak.whole(self.call, body, self.route, int(self._corridor.wall()))
        except UpstreamFault:
            self._body = body
            raise
        if whole.usage is not None or self.route.read_headers is None:
            return whole
        usage, problem = self.route.read_headers(exchange.headers)
        return structs.replace(whole, usage=usage, problem=problem, text_bytes=0 if usage is not None else whole.text_bytes)

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

    def _keep_alive(self) -> None:
        """Tell a waiting caller that the call is alive; from here on, failures are events of the stream. Some SDKs understand no such thing."""
        if self.call.endpoint in SILENT:
            return
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


beats: set[asyncio.Task[None]] = set()
