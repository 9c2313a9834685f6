"""Calls about what a vendor keeps that the gateway does not meter: bytes pass, and JSON answers are looked at before the caller gets them."""

from collections.abc import Awaitable, Callable
from typing import Any

from gateway.plane.pools import Exchange, Pool
from gateway.plane.relay import Reply, content_type
from gateway.plane.send import Sent
from gateway.plane.serve import ANSWER_BYTES
from gateway.plane.snapshot import Snapshot
from gateway.plane.telling import JSON
from gateway.plane.unmetered import Unmetered, unpriced
from gateway.plane.walk import Corridor
from gateway.terms import Body, Call, Caller, Deployment, Frozen, Header, Headers
from gateway.wire.lines import lines, replaced

JSON_TYPE = b"application/json"


class Looked(Frozen, frozen=True):
    """What is made of an answer: the body to give, or the path to ask next instead."""

    body: bytes = b""
    next_path: str = ""


class Asked(Frozen, frozen=True):
    """What is asked of the vendor. `headers` are the caller's that it may be told, `look` sees every JSON answer, `tells` picks from the vendor's headers."""

    method: str
    path: str
    look: Callable[[bytes], Awaitable[Looked]]
    tells: Callable[[list[Header]], Headers]
    content_type: bytes = JSON_TYPE
    headers: Headers = ()


class Passage(Unmetered):
    """One such call; its receipt says that it has no price."""

    __slots__ = ("_asked",)

    def __init__(self, corridor: Corridor, call: Call, caller: Caller, reply: Reply, began: float, asked: Asked) -> None:
        super().__init__(corridor, call, caller, reply, began, (asked.method, asked.path))
        self._asked = asked

    async def _carry(self, snapshot: Snapshot) -> None:
        self.plan = unpriced(snapshot.accounts[self.call.account])
        self.problem = "unmetered"
        while not await self._ask():
            pass

    async def _ask(self) -> bool:
        """Ask the vendor; True once the caller has been answered."""
        sent = await self._send(self._read_first)
        try:
            self._answered()
            self._served = False
            if content_type(sent.exchange) != JSON_TYPE:
                await self._pour(sent, sent.opening)
                return True
            looked = await self._asked.look(sent.opening)
            if looked.next_path:
                self._request = (self._asked.method, looked.next_path)
                return False
            self.settle()
            if self._corridor.journal.strict:
                await self._corridor.journal.flushed()
            head = b"%bcontent-length: %d\r\n%b" % (self._head(sent), len(looked.body), JSON)
            await self.reply.whole(sent.exchange.status, head, looked.body)
            return True
        finally:
            sent.pool.leave(sent.deployment)
            sent.exchange.close()

    def prepare(self, deployment: Deployment, pool: Pool) -> tuple[bytes, Body]:
        """Return head and body as they came. Raises JournalBroken, UnsafeHeader."""
        self._intend(deployment, pool)
        head = pool.raw_head(*self._request, self._asked.content_type)
        if self._asked.headers:
            head = replaced(head, self._asked.headers)
        return pool.signed(head, self.call.body), self.call.body

    async def _read_first(self, exchange: Exchange, pool: Pool, deployment: Deployment) -> bytes:
        return await exchange.read(ANSWER_BYTES) if content_type(exchange) == JSON_TYPE else await exchange.chunks()

    def _head(self, sent: Sent[Any]) -> bytes:
        return super()._head(sent) + lines(self._asked.tells(sent.exchange.headers))
