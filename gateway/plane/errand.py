"""Calls about what vendors keep, such as files: the gateway asks one account, reads the answers, and gives one of its own or passes one on."""

from collections.abc import Awaitable, Callable, Iterable

from gateway.errors import Refusal, UpstreamFailed, UpstreamFault
from gateway.plane.pools import Exchange, Pool
from gateway.plane.relay import Reply, content_type
from gateway.plane.send import Sent
from gateway.plane.serve import ANSWER_BYTES, EVENT_BYTES
from gateway.plane.snapshot import Snapshot
from gateway.plane.telling import JSON, SAFE
from gateway.plane.unmetered import Unmetered, unpriced
from gateway.plane.walk import Corridor
from gateway.terms import Body, Call, Caller, Deployment
from gateway.wire import WireError
from gateway.wire.lines import replaced
from gateway.wire.sse import EventBuffer

JSON_TYPE = b"application/json"
# of a try that ended so, no byte was believed by the vendor
CERTAIN = frozenset({"connect", "tls", "address_refused", "connect_timeout", "busy"})


class Conflict(Refusal):
    """What was asked for does not fit how the vendor's object stands, such as to cancel what is over."""

    status, code, kind = 409, "conflict", "invalid_request_error"


class Errand(Unmetered):
    """One such call; its receipt says that it cost nothing. `work` asks what it needs and returns the answer's body, or an answer to be passed on."""

    __slots__ = ("_content", "_kind", "_sent", "_snapshot", "_work")

    def __init__(self, corridor: Corridor, call: Call, caller: Caller, reply: Reply, began: float, work: "Work") -> None:
        super().__init__(corridor, call, caller, reply, began, ("GET", "/"))
        self._work, self._kind = work, JSON_TYPE
        self._content: Body = b""
        self._sent: Sent[bytes] | None = None

    async def _carry(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        body = await self._work(self)
        if isinstance(body, Sent):
            await self._pass(body)
            return
        self.settle()
        if self._corridor.journal.strict:
            await self._corridor.journal.flushed()
        own = self._reworded(b"x-request-id: %b\r\n%b" % (self.call.id.encode(), SAFE))
        head = self._head(self._sent) if self._sent is not None else own
        await self.reply.whole(200, b"%bcontent-length: %d\r\n%b" % (head, len(body), JSON), body)

    async def _pass(self, sent: Sent[bytes]) -> None:
        try:
            self._answered()
            self._served = False
            await self._pour(sent, sent.opening)
        finally:
            put_away(sent)

    async def ask(self, slug: str, method: str, path: str, content: Body = b"", kind: bytes = JSON_TYPE, limit_bytes: int = ANSWER_BYTES) -> bytes:
        """Return an account's whole answer. Raises VendorRefusal, TooFast, Overloaded, UpstreamFailed, UpstreamTimeout."""
        self.plan = unpriced(self._snapshot.accounts[slug])
        self._request, self._content, self._kind = (method, path), content, kind

        async def read(exchange: Exchange, pool: Pool, deployment: Deployment) -> bytes:
            return await exchange.read(limit_bytes)

        try:
            sent = self._sent = await self._send(read)
        except UpstreamFailed:
            if self.attempts and self.attempts[-1].status == 409:
                raise Conflict("The provider does not do that now: what it is about has gone on meanwhile. Look at it again.") from None
            raise
        put_away(sent)
        self._answered()
        # nothing of it is billed
        self._served = False
        return sent.opening

    async def open(self, slug: str, path: str, content: Body) -> Sent[bytes]:
        """Return an account's stream with all that came up to its first event that says something, to be put away. Raises as `ask`."""
        self.plan = unpriced(self._snapshot.accounts[slug])
        self._request, self._content, self._kind = ("POST", path), content, JSON_TYPE

        async def read(exchange: Exchange, pool: Pool, deployment: Deployment) -> bytes:
            if content_type(exchange) != b"text/event-stream":
                raise UpstreamFault("protocol", "the answer is no stream", sent=True)
            buffer, heard = EventBuffer(EVENT_BYTES), list[bytes]()
            while True:
                data = await exchange.chunks()
                if not data:
                    raise UpstreamFault("reset", "the stream ended before its first event", sent=True)
                heard.append(data)
                try:
                    events = buffer.feed(data)
                except WireError as error:
                    raise UpstreamFault("too_large", error.message, sent=True) from None
                if first_told(events):
                    return b"".join(heard)

        return await self._send(read)

    def may_have_happened(self, attempts_before: int) -> bool:
        """Return whether a request that failed may have been carried out: none of the tries since `attempts_before` was refused for certain."""
        return any(not (try_.outcome in CERTAIN or (try_.outcome.isdecimal() and try_.status < 500)) for try_ in self.attempts[attempts_before:])

    def prepare(self, deployment: Deployment, pool: Pool) -> tuple[bytes, Body]:
        """Return head and body of what is asked now. Raises JournalBroken."""
        self._intend(deployment, pool)
        head = pool.raw_head(*self._request, self._kind)
        if self.call.headers and pool.provider.tells is not None:
            head = replaced(head, pool.provider.tells(self.call.headers)[0])
        return pool.signed(head, self._content), self._content


Work = Callable[[Errand], Awaitable[bytes | Sent[bytes]]]


def first_told(events: Iterable[bytes]) -> bytes:
    """Return the first of a stream's events that says something, b"" while none does."""
    return next((event for event in events if b"data:" in event), b"")


def put_away(sent: Sent[bytes]) -> None:
    """Give back what an answer was read from."""
    sent.pool.leave(sent.deployment)
    sent.exchange.close()
