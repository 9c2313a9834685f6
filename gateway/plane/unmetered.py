"""Calls of endpoints that the gateway does not meter: bytes pass both ways, and nothing is priced."""



from billing.receipts import Charge
from gateway.plane.pools import Exchange, Pool
from gateway.plane.relay import Reply
from gateway.plane.snapshot import Snapshot
from gateway.plane.walk import Corridor, Walk
from gateway.terms import Account, Body, Call, Caller, Deployment, Model, Plan


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
