"""A whole corridor without sockets, files or a database: scripted vendors, a journal in memory, a bank for budgets."""

import asyncio
import random
from dataclasses import dataclass, field

from msgspec import structs

from billing.receipts import Intent, Progress, Settle, decode
from gateway.errors import Refusal, UpstreamFault
from gateway.plane.counting import COUNTING, Counting
from gateway.plane.figures import Figures
from gateway.plane.health import Health
from gateway.plane.pools import Exchange, Pools
from gateway.plane.send import Sender
from gateway.plane.serve import Served
from gateway.plane.walk import Corridor
from gateway.providers import Provider
from gateway.providers import shelf as providers
from gateway.terms import Account, Call, Caller, Deadlines, Rules
from gateway.wire.lines import headers
from tests.gateway.plane import builders
from tests.gateway.plane.test_hold import Bank

NOW_S = 1_795_521_600.0
SHELF = {
    **builders.SHELF,
    "anthropic": Provider(slug="anthropic", title="Anthropic", wires={"messages": "anthropic_messages", "messages/count_tokens": "anthropic_messages"}),
    **{slug: providers()[slug] for slug in ("bedrock", "cohere", "ollama", "simulator_anthropic", "simulator_google", "simulator_responses")},
}
AWS = {"base_url": "https://bedrock.example", "sealed_credential": b"AKIDEXAMPLE012345678:secretsecretsecret", "options": {"region": "eu-central-1"}}
# vendors that are asked as they are on the shelf, with what their accounts have
THEMSELVES = {
    "bedrock": AWS,
    "cohere": {"base_url": "https://cohere.example"},
    "ollama": {"base_url": "http://ollama.example:11434/v1"},
    **{f"simulator_{name}": {"base_url": "http://simulator.example"} for name in ("anthropic", "google", "responses")},
}


@dataclass
class Answer:
    """What a vendor says: the pieces of its body come one by one, then its fault or its end; `hangs` waits for ever instead."""

    pieces: tuple[bytes, ...] = ()
    fault: str = ""
    status: int = 200
    kind: bytes = b"application/json"
    compressed: bool = False
    hangs: bool = False
    given: list[bytes] = field(default_factory=list)
    also: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return [(b"content-type", self.kind), *self.also]

    async def chunks(self) -> bytes:
        if len(self.given) < len(self.pieces):
            self.given.append(self.pieces[len(self.given)])
            return self.given[-1]
        if self.hangs:
            await asyncio.Event().wait()
        if self.fault:
            raise UpstreamFault(self.fault, "scripted", sent=True)
        return b""

    async def read(self, limit_bytes: int) -> bytes:
        while await self.chunks():
            pass
        return b"".join(self.given)

    def heard(self) -> tuple[bytes, int]:
        body = b"".join(self.given)
        return (b"" if self.compressed else body), len(body)

    def close(self) -> None:
        """Nothing to close."""


def sse(*pieces: bytes, fault: str = "", hangs: bool = False) -> Answer:
    """Return a stream."""
    return Answer(pieces, fault, kind=b"text/event-stream", hangs=hangs)


class Vendor:
    """Answers calls with one script after the other; a fault as text comes before any answer."""

    def __init__(self, *script: Answer | str) -> None:
        self.script, self.asked, self.heads = list(script), list[bytes](), list[bytes]()

    async def open(self, head: bytes, body: bytes, deadlines: Deadlines | None = None) -> Exchange:
        self.asked.append(body)
        self.heads.append(head)
        answer = self.script.pop(0)
        if isinstance(answer, str):
            raise UpstreamFault(answer, "scripted", sent=True)
        return answer

    async def aclose(self) -> None:
        """Nothing to close."""


class Records:
    """A journal in memory."""

    healthy = writable = True
    strict = False

    def __init__(self) -> None:
        self.all: list[Intent | Progress | Settle] = []

    def append(self, frame: bytes) -> None:
        record = decode(frame[8:])
        assert record is not None
        self.all.append(record)

    async def flushed(self) -> None:
        """Always stable."""


class Heard:
    """The caller's side."""

    def __init__(self) -> None:
        self.started, self.status, self.headers, self.body = False, 0, dict[bytes, bytes](), b""

    async def whole(self, status: int, head: bytes, body: bytes) -> None:
        await self.start(status, head)
        self.body = body

    async def start(self, status: int, head: bytes) -> None:
        self.started, self.status, self.headers = True, status, dict(headers(head))

    async def write(self, data: bytes) -> None:
        self.body += data

    async def end(self, data: bytes) -> None:
        self.body += data


class Scene:
    """One model with a deployment at each vendor, in their order, and budgets in a bank. Those named a... speak Anthropic's wire."""

    def __init__(self, rules: Rules | None = None, bank: Bank | None = None, **vendors: Vendor) -> None:
        self.now, self.vendors, self.records, self.figures = NOW_S, vendors, Records(), Figures()
        self.bank = bank or Bank()
        pools = Pools(SHELF, self._client, b"test")
        kinds = {slug: "anthropic" if slug[0] == "a" else "openai" for slug in vendors} | {slug: slug for slug in THEMSELVES}
        accounts = tuple(builders.sealed_account(slug, provider=kinds[slug], **THEMSELVES.get(slug, {})) for slug in vendors)
        deployments = tuple(builders.deployment(slug, order=order) for order, slug in enumerate(vendors))
        structure = builders.Structure(accounts=accounts, models=(builders.model("chat", *deployments),), projects=(builders.project(),))
        update = builders.Update(revision=9, structure=structure, keys=(), whole=True)
        found = builders.apply(None, update, SHELF, builders.opened)
        self.snapshot = structs.replace(found, rules=rules) if rules is not None else found
        pools.adopt(self.snapshot.accounts)
        sender = Sender(pools, Health(self.clock), self.clock, self.clock)
        self.corridor = Corridor(
            sender, self.records, self.figures, lambda line: None, self.clock, self.clock, random.Random(1), self.bank.holds, "w1"  # type: ignore[arg-type]
        )

    def clock(self) -> float:
        """Return a moment that never moves."""
        return self.now

    def _client(self, account: Account) -> Vendor:
        return self.vendors[account.slug]

    async def carry(self, call: Call, who: Caller) -> tuple[Heard, Refusal | None]:
        """Carry a call; return what the caller heard and the refusal raised, if one was."""
        reply = Heard()
        walk = Counting if call.endpoint in COUNTING else Served
        try:
            await walk(self.corridor, call, who, reply, self.now).go(self.snapshot)
        except Refusal as refusal:
            return reply, refusal
        return reply, None

    @property
    def receipt(self) -> Settle:
        """Return the one receipt."""
        (found,) = [record for record in self.records.all if isinstance(record, Settle)]
        return found

    @property
    def intents(self) -> list[Intent]:
        """Return the intents in order."""
        return [record for record in self.records.all if isinstance(record, Intent)]
