"""Carries a live session: messages pass both ways as they come, every response is held for before and settled after. Knows no HTTP and no Django."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec import structs

from gateway.errors import BadRequest, DependencyUnavailable, Overloaded, Refusal, SessionExpired, UnsupportedField, UpstreamFailed
from gateway.plane import speak
from gateway.plane.journal import JournalBroken
from gateway.plane.plan import plan as make_plan
from gateway.plane.pools import Exchange
from gateway.plane.send import Sender, Sent, VendorRefusal
from gateway.plane.snapshot import Snapshot
from gateway.plane.sockets import Gone, Socket
from gateway.plane.telling import VendorError
from gateway.plane.turns import Turn
from gateway.plane.walk import Corridor
from gateway.terms import Call, Caller, Frozen, Headers
from gateway.wire import WireError, live_endpoints
from gateway.wire.live import NOTHING, Asked, Message, Said, Weight

# OpenAI ends its sessions after as long (https://platform.openai.com/docs/guides/realtime).
LONGEST_S = 3600.0
# how long a vendor may take to answer that the session ends; the caller waits to be told
LEAVE_S = 0.25
NORMAL, GOING_AWAY, POLICY, BROKEN = 1000, 1001, 1008, 1011
# what an endpoint may close with (RFC 6455 §7.4): others are never sent
SENDABLE = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)})


class Closing(Frozen, frozen=True):
    """How a session ends: the code and reason to close with, and the refusal that says why, if there is one. `has_left` is whether the caller went."""

    code: int
    reason: str = ""
    refusal: Refusal | None = None
    has_left: bool = False


class Side(Protocol):
    """The caller's side of a session."""

    async def accept(self, head: bytes) -> None:
        """Let the caller in; `head` are headers as lines."""
        ...

    async def receive(self) -> Message | None:
        """Return the next message, None once the caller has left."""
        ...

    async def send(self, message: Message) -> None:
        """Send a message, waiting while the caller reads slowly; nothing to one who has left."""
        ...


class Session:
    """One session of a caller; `again` says who the caller is by now (raises Refusal), `snapshot` by which configuration, `new_id` names a call."""

    def __init__(
        self,
        corridor: Corridor,
        sender: Sender,
        side: Side,
        call: Call,
        again: Callable[[], Awaitable[Caller]],
        snapshot: Callable[[], Snapshot],
        new_id: Callable[[], str],
        tell: Callable[[Refusal], str | None],
    ) -> None:
        """`tell` puts a refusal into an event of the session, None where its wire has none."""
        self._corridor, self._sender, self._side, self._call = corridor, sender, side, call
        self._again, self._snapshot, self._new_id, self._tell = again, snapshot, new_id, tell
        self._wire, self._live = live_endpoints()[call.endpoint]
        self._turn: Turn | None = None
        self._history_tokens = 0
        # the model that transcribes what is said, and how much of it was not transcribed yet
        self._transcriber, self._heard_tokens = "", 0
        # opening, extending and settling wait for one another: a hold that is settled must not grow
        self._books = asyncio.Lock()
        self._ended: asyncio.Future[Closing | None] = asyncio.get_running_loop().create_future()
        self._is_draining = False

    async def go(self, caller: Caller, setup: Message | None = None, told: Headers = ()) -> Closing:
        """Carry the session to its end and return how to close it; `setup` is a first message already read. Raises Refusal before anything was sent."""
        self._caller = caller
        turn = Turn(self._corridor, self._live, self._call, caller, told=told)
        sent = await self._connect(turn)
        self._turn = turn
        closing = Closing(code=BROKEN)
        try:
            await self._side.accept(turn.head(sent))
            closing = await self._converse(sent, setup)
        finally:
            # settled first: when the gateway stops, the journal waits for nobody
            self._settle_last(closing)
            try:
                await leave(sent.opening)
            finally:
                sent.exchange.close()
                sent.pool.leave(sent.deployment)
        return closing

    def end(self, refusal: Refusal) -> None:
        """End the session now, from outside."""
        self._end(closing_with(refusal))

    async def check(self) -> None:
        """End the session if its caller may not call any more."""
        try:
            await self._again()
        except Refusal as refusal:
            self.end(refusal)

    def drain(self) -> None:
        """End the session once no response is under way."""
        self._is_draining = True
        if self._turn is None or not self._turn.has_begun:
            self._end(going_away())

    def _end(self, closing: Closing) -> None:
        if not self._ended.done():
            self._ended.set_result(closing)

    # ---- beginning --------------------------------------------------------------------------------------------------

    async def _connect(self, turn: Turn) -> Sent[Exchange]:
        """Return the connection to a vendor, held for; a turn that comes to nothing is settled. Raises Refusal."""
        is_connected = False
        try:
            await turn.open(self._snapshot(), self._sender)
            sent = await turn.send(self._sender)
            is_connected = True
            return sent
        except VendorRefusal as refusal:
            error = self._in_vendors_words(refusal)
            turn.refuse_as_vendor(error)
            raise error from None
        except JournalBroken:
            unrecorded = not_recorded()
            turn.refuse(unrecorded)
            raise unrecorded from None
        except Refusal as refusal:
            turn.refuse(refusal)
            raise
        except asyncio.CancelledError:
            turn.status, turn.outcome, turn.error_code = 499, "aborted", "client_closed_request"
            raise
        finally:
            if not is_connected:
                turn.settle()

    def _in_vendors_words(self, refusal: VendorRefusal) -> VendorError:
        message = speak.vendor_message(refusal.body, refusal.pool.account, self._wire)
        code, param = speak.vendor_code(refusal.body, refusal.pool.account)
        return VendorError(message or f"The provider refused the request with status {refusal.status}.", refusal.status, code, param)

    # ---- under way --------------------------------------------------------------------------------------------------

    async def _converse(self, sent: Sent[Exchange], setup: Message | None) -> Closing:
        """Pass messages until somebody ends it; return how."""
        socket = sent.opening
        assert isinstance(socket, Socket)
        named = sent.pool.provider.live_model(sent.deployment.upstream_model, sent.pool.account.options)
        self._sent, self._meter = sent, self._live.meter(self._call.model, named)
        limit_s = min(LONGEST_S, self._call.timeout_ms / 1000) if self._call.timeout_ms else LONGEST_S
        pumps = [asyncio.ensure_future(self._from_caller(socket, setup)), asyncio.ensure_future(self._from_vendor(socket))]
        try:
            async with asyncio.timeout(limit_s):
                return await self._until_one_ends(pumps)
        except TimeoutError:
            over = SessionExpired("The session has reached its longest time. Connect again.")
            return Closing(code=GOING_AWAY, reason=over.code, refusal=over)
        except asyncio.CancelledError:
            # the gateway stops, or a deadline passed: the caller is told like anybody whose call is ended
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
            return going_away()
        except JournalBroken:
            return closing_with(not_recorded())
        except Refusal as refusal:
            return closing_with(refusal)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _until_one_ends(self, pumps: Sequence["asyncio.Future[Closing | None]"]) -> Closing:
        waiting: set[asyncio.Future[Closing | None]] = {*pumps, self._ended}
        while True:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for one in (self._ended, *pumps):
                closing = one.result() if one in done else None
                if closing is not None:
                    return closing

    async def _from_caller(self, socket: Socket, setup: Message | None) -> Closing | None:
        """Pass what the caller says; None when the vendor is gone, which its own side tells better."""
        message = setup if setup is not None else await self._side.receive()
        while message is not None:
            asked = await self._admitted(message)
            if asked is not None:
                await self._count(asked.weight, None)
                try:
                    await socket.send(asked.message)
                except Gone:
                    return None
            message = await self._side.receive()
        return Closing(code=NORMAL, has_left=True)

    async def _admitted(self, message: Message) -> Asked | None:
        """Return what a message asks, None where it must not be passed on and the caller was told so."""
        try:
            asked = self._meter.asked(message)
        except WireError as error:
            await self._reject((UnsupportedField if error.code == "unsupported_field" else BadRequest)(error.message, param=error.param))
            return None
        self._heard_tokens += asked.weight.audio_tokens
        if asked.transcriber is not None:
            try:
                self._check_transcriber(asked.transcriber)
            except Refusal as refusal:
                await self._reject(refusal)
                return None
            self._transcriber = asked.transcriber
        return asked

    async def _reject(self, refusal: Refusal) -> None:
        """Tell the caller that a message was not passed on. Raises the refusal where there is no way to tell but closing."""
        event = self._tell(refusal)
        if event is None:
            raise refusal
        await self._side.send(event)

    async def _from_vendor(self, socket: Socket) -> Closing:
        while True:
            try:
                message = await socket.receive()
            except Gone as gone:
                return self._closed_by_vendor(gone)
            try:
                said = self._meter.said(message)
            except WireError as error:
                raise UpstreamFailed(f"{error.message[:1].upper()}{error.message[1:]}. Connect again.") from None
            if said.weight.tokens or said.begins or said.ends:
                await self._hear(said)
            await self._side.send(message)
            if self._is_draining and not self._meter.is_speaking:
                return going_away()

    def _closed_by_vendor(self, gone: Gone) -> Closing:
        turn = self._turn
        if gone.code in (NORMAL, GOING_AWAY) and (turn is None or not turn.has_begun):
            return Closing(code=gone.code, reason=gone.reason)
        refusal = UpstreamFailed("The provider ended the session. Connect again.")
        return Closing(code=gone.code if gone.code in SENDABLE else BROKEN, reason=gone.reason, refusal=refusal)

    # ---- money ------------------------------------------------------------------------------------------------------

    async def _count(self, given: Weight, said: Said | None) -> Turn:
        """Return the turn that belongs to what the caller has `given` or the vendor has `said`, held for. Raises Refusal when it could not be."""
        made = said.weight if said is not None else NOTHING
        turn = self._turn
        if turn is not None and turn.add(given, made):
            return turn
        async with self._books:
            if turn is None or self._turn is not turn:
                # the one it was counted in is settled meanwhile, or another one was opened
                turn = self._turn or await self._open(said)
                turn.add(given, made)
            await turn.cover()
            return turn

    async def _open(self, said: Said | None) -> Turn:
        """Return the next turn. Raises Refusal."""
        call = structs.replace(self._call, id=self._new_id())
        turn = self._turn = await self._held(call, self._sent.deployment.id, self._history_tokens, said)
        return turn

    async def _held(self, call: Call, deployment: str, history_tokens: int, said: Said | None) -> Turn:
        """Return a turn that is held for, by the access and the prices of now; what the vendor has `said` already is billed in any case. Raises Refusal."""
        turn, sent = Turn(self._corridor, self._live, call, self._caller, history_tokens), self._sent
        is_open = False
        try:
            turn.caller = self._caller = await self._again()
            await turn.open(self._snapshot(), self._sender, deployment)
            turn.go_on(sent.pool)
            is_open = True
        except JournalBroken:
            unrecorded = not_recorded()
            turn.refuse(unrecorded)
            raise unrecorded from None
        except Refusal as refusal:
            turn.refuse(refusal)
            raise
        finally:
            if not is_open:
                if said is not None:
                    turn.run_over(sent, said)
                turn.settle()
        return turn

    def _transcription(self, model: str) -> Call:
        """Return the call that a transcript is, at the provider that makes it."""
        return structs.replace(self._call, id=self._new_id(), endpoint=self._live.transcribes_as, account=self._sent.deployment.account, model=model)

    def _check_transcriber(self, model: str) -> None:
        """Raise Refusal unless the caller may use this model for transcripts, as the provider names it."""
        if not model:
            return
        plan = make_plan(self._transcription(model), self._caller, self._snapshot(), self._corridor.draw)
        if plan.deployments[0].upstream_model != model:
            raise BadRequest(f"Name the model that transcribes as its provider does: {plan.deployments[0].upstream_model!r}.", param="model")

    async def _note_transcript(self, said: Said) -> None:
        """Settle a transcript, a call of its own: it is made by another model at its own price. Raises Refusal when nothing is left for more."""
        heard, self._heard_tokens = self._heard_tokens, 0
        async with self._books:
            turn = await self._held(self._transcription(self._transcriber), "", 0, said)
            turn.add(Weight(tokens=heard, audio_tokens=heard, most_tokens=heard), NOTHING)
            turn.begin()
            turn.finish(said)

    async def _hear(self, said: Said) -> None:
        """Count what the vendor makes, and settle a response that has ended. Raises Refusal, JournalBroken."""
        if said.is_transcript:
            await self._note_transcript(said)
            return
        turn = await self._count(NOTHING, said)
        if said.begins or said.weight.tokens:
            turn.begin()
        turn.note_progress()
        if not said.ends:
            return
        async with self._books:
            # a response beside the conversation is told less
            self._history_tokens = max(self._history_tokens, turn.finish(said))
            self._turn = None
        if self._corridor.journal.strict:
            await self._corridor.journal.flushed()

    def _settle_last(self, closing: Closing) -> None:
        """Settle the turn that was under way when the session ended."""
        turn, self._turn = self._turn, None
        if turn is None:
            return
        if closing.has_left:
            turn.abort()
        elif closing.refusal is not None and (turn.has_begun or closing.code == POLICY):
            turn.refuse(closing.refusal)
        turn.settle()


async def leave(socket: Exchange) -> None:
    """Close a connection in good order, if the vendor lets that happen soon."""
    if isinstance(socket, Socket):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await socket.leave()


def code_of(refusal: Refusal) -> int:
    """Return the code to close with: the caller's matter, or ours."""
    return POLICY if refusal.status < 500 else BROKEN


def closing_with(refusal: Refusal) -> Closing:
    """Return how a session ends that is refused."""
    return Closing(code=code_of(refusal), reason=refusal.code, refusal=refusal)


def going_away() -> Closing:
    """Return how a session ends because the gateway stops."""
    refusal = Overloaded("The gateway ended this session because it is shutting down. Connect again.", retry_after_s=1)
    return Closing(code=GOING_AWAY, reason=refusal.code, refusal=refusal)


def not_recorded() -> Refusal:
    """Return the refusal of what could not be written down."""
    return DependencyUnavailable("Calls cannot be recorded at the moment, so none is made. Try again in a moment.", retry_after_s=1)
