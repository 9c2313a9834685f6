"""Calls that count a request's tokens: free of charge, by a provider that can, else by our own estimate, which says that it is one."""

from msgspec import structs

from billing.receipts import Charge
from gateway.plane import speak
from gateway.plane.plan import narrowed
from gateway.plane.plan import plan as make_plan
from gateway.plane.pools import Exchange, Pool
from gateway.plane.serve import Served
from gateway.plane.snapshot import Snapshot
from gateway.plane.telling import JSON, SAFE
from gateway.terms import Deployment
from gateway.wire import counting_endpoints

COUNTING = counting_endpoints()


class Counting(Served):
    """One such call; its receipt says that it cost nothing."""

    __slots__ = ()

    async def _carry(self, snapshot: Snapshot) -> None:
        corridor, call = self._corridor, self.call
        plan = make_plan(call, self.caller, snapshot, corridor.draw)
        if call.ties is not None:
            await self._resume()
            if self._resumed is not None:
                plan = narrowed(plan, self._resumed.account, call.ties.objects, snapshot)
        counting = tuple(structs.replace(one, price=None) for one in corridor.sender.reaching(plan.deployments, call.endpoint))
        self.plan = structs.replace(plan, deployments=counting, quote_nanousd=0, quote_tokens=0)
        board = self._board = corridor.holds.board(call, self.caller, snapshot.rules)
        if board.slices:
            # free of charge, but a call like any other to what limits how fast one may call
            await self._take(board)
        if counting:
            await self._whole()
            return
        body = speak.counted(call)
        head = b"x-request-id: %b\r\nx-sgw-model: %b\r\nx-sgw-estimated: input_tokens\r\n" % (call.id.encode(), plan.model.name.encode())
        self.settle()
        await self.reply.whole(200, self._reworded(head + b"content-length: %d\r\n" % len(body) + JSON + SAFE), body)

    def _answered(self) -> None:
        super()._answered()
        self._served = False

    def broken(self, deployment: Deployment, pool: Pool, exchange: Exchange | None, outcome: str) -> Charge | None:
        """Return nothing: counting costs nothing."""
        return None
