"""CPU of one call inside the worker alone, without sockets: `python -m bench.corridor`. For comparing two versions of the code on a busy machine.

The worker's own protocol, door, corridor, client, journal and holds run as in production; only the two sockets are replaced by memory, so
that no kernel and no load generator is in the figure. Rounds are short and the least is shown: noise only ever adds.
`--profile` prints where the time goes; `--calls N` makes N calls and prints nothing else, for `valgrind --tool=callgrind`.
"""

import argparse
import asyncio
import cProfile
import gc
import os
import pstats
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from uvicorn.server import ServerState

from accounts import keys
from accounts.addresses import AddressRules
from billing.holds import Grant, Want
from billing.money import Price, Rates
from gateway.consumers import GatewayConsumer
from gateway.plane.calllog import CallLog
from gateway.plane.client import Client, Connection, endpoint_of
from gateway.plane.hold import Holds
from gateway.plane.journal import Journal
from gateway.plane.pools import Pools
from gateway.plane.send import Sender
from gateway.plane.snapshot import SealedAccount, Structure, Update, apply
from gateway.plane.walk import Corridor
from gateway.plane.worker import Settings, Worker
from gateway.providers import shelf
from gateway.terms import Account, Budget, Deadlines, Deployment, Key, Limit, Model, Project
from gateway.worker import Protocol

LANES = 32
PEPPER = b"pepper"
NOW_S = 1_795_521_600.0
PROMPT = b"lorem ipsum dolor sit amet " * 37
BODY = b'{"model": "bench-mock", "messages": [{"role": "user", "content": "' + PROMPT[:1000] + b'"}], "temperature": 0.7}'
TEXT = b" benchmark words" * 34
ANSWER_BODY = (
    b'{"id": "chatcmpl-bench", "object": "chat.completion", "created": 1700000000, "model": "bench-mock", "choices": [{"index": 0, "message": '
    b'{"role": "assistant", "content": "' + TEXT + b'", "refusal": null}, "logprobs": null, "finish_reason": "stop"}], "usage": '
    b'{"prompt_tokens": 250, "completion_tokens": 120, "total_tokens": 370}, "system_fingerprint": "fp_bench"}'
)
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_bench\r\ncontent-length: %d\r\n\r\n" % len(ANSWER_BODY) + ANSWER_BODY


class Wire(asyncio.Transport):
    """A socket made of memory."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 50000), "sockname": ("127.0.0.1", 8000)})

    def is_closing(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Fail: nothing here may close."""
        raise RuntimeError("a connection was closed")

    def abort(self) -> None:
        """Fail: nothing here may close."""
        raise RuntimeError("a connection was aborted")

    def pause_reading(self) -> None:
        """Take no notice."""

    def resume_reading(self) -> None:
        """Take no notice."""


class Vendor(Wire):
    """The upstream's end: every request is answered in the next step of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: Connection) -> None:
        super().__init__()
        self._loop, self._connection = loop, connection

    def write(self, data: Any) -> None:
        """Answer."""
        self._loop.call_soon(self._connection.data_received, ANSWER)


class VendorClient(Client):
    """The worker's own client on wires of memory."""

    async def _connect_to(self, address: str) -> Connection:
        connection = Connection(self)
        connection.connection_made(Vendor(self.loop, connection))
        return connection


class Lane(Wire):
    """A caller's end: every answer is followed by the next request, until enough were made."""

    def __init__(self, bench: "Bench", protocol: Any) -> None:
        super().__init__()
        self._bench, self._protocol = bench, protocol

    def write(self, data: Any) -> None:
        """Take an answer and ask again."""
        if not data.startswith(b"HTTP/1.1 200 OK\r\n"):
            self._bench.fail(data)
        self._bench.answered(self)

    def ask(self) -> None:
        """Send a request."""
        self._protocol.data_received(self._bench.request)


class Bank:
    """An authority that gives whatever is wished."""

    reachable = True

    def __init__(self) -> None:
        self.holds: Holds

    def ask(self, wants: tuple[Want, ...]) -> None:
        """Answer in the next step of the loop."""
        grants = [Grant(want.window, want.wish, 1 << 60, 0, 0) for want in wants]
        asyncio.get_running_loop().call_soon(self.holds.granted, grants)

    def give_back(self, amounts: dict[str, int], ends: tuple[str, ...] = ()) -> None:
        """Take no notice."""

    def now_s(self) -> float:
        """Return a moment that stays."""
        return NOW_S


def update(key: Key, governed: bool) -> Update:
    """Return the configuration `bench.provision` makes."""
    price = Price(id="price-1", rates=Rates(input_nanousd=10**9, output_nanousd=4 * 10**9))
    account = SealedAccount(
        id="a-1", slug="bench-mock", provider="openai_compatible", base_url="http://127.0.0.1:9/v1", sealed_credential=b"sk-bench", binding=b"",
        options={}, deadlines=Deadlines(), ca_pem="", transport="own", max_parallel=0, allow_unknown_endpoints=False,
    )  # fmt: skip
    deployment = Deployment(
        id="d-1", slug="bench-mock/bench-mock", model="bench-mock", account="bench-mock", upstream_model="bench-mock", order=0, weight=1,
        region="", max_parallel=0, price=price,
    )  # fmt: skip
    model = Model(id="m-1", name="bench-mock", kind="chat", owned_by="bench", created_at_s=0, unknown_price="free", deployments=(deployment,))
    project = Project(id="p-1", name="Bench", environment="dev", suspended=False, business_units=("u-1",))
    scopes = (f"key:{key.id}", "daily"), (f"key:{key.id}", "monthly"), ("project:p-1", "monthly"), ("unit:u-1", "monthly")
    budgets = [
        Budget(id=f"b-{i}", scope=scope, name="bench", mode="hard", unit="nanousd", period=period, per="", starts_at_s=0, ends_at_s=0)
        for i, (scope, period) in enumerate(scopes)
    ]
    kinds = (f"key:{key.id}", "rpm", 10**7), (f"key:{key.id}", "tpm", 10**12), ("project:p-1", "parallel", 10**5)
    limits = [Limit(id=f"l-{i}", scope=scope, kind=kind, amount=amount) for i, (scope, kind, amount) in enumerate(kinds)]
    structure = Structure(
        accounts=(account,), models=(model,), projects=(project,), budgets=tuple(budgets) if governed else (), limits=tuple(limits) if governed else ()
    )
    return Update(revision=1, structure=structure, keys=(key,), whole=True)


def settings(folder: Path) -> Settings:
    """Return a worker's settings in a folder of its own."""
    return Settings(
        journal_dir=folder / "journal", journal_strict=False, snapshot_path=folder / "none", steward_socket=folder / "none.sock", steward_within_s=0,
        peppers={1: PEPPER}, body_limit_bytes=10**7, upload_limit_bytes=10**7, upload_dir=folder, body_timeout_s=30,
        private_upstreams="loopback", trusted_proxies=(), instance="bench",
    )  # fmt: skip


class Opened:
    """Credentials that were never sealed."""

    def open(self, sealed: bytes, bound_to: bytes) -> bytes:
        """Return them."""
        return sealed


def worker(folder: Path, key: Key, governed: bool) -> Worker:
    """Return a worker that serves from a fixed configuration and asks a generous bank."""
    made = Worker(settings(folder), Opened())
    made.snapshot = apply(None, update(key, governed), shelf(), Opened().open)
    made.journal = Journal(folder / "journal", made.name)
    made.pools = Pools(shelf(), client_of, made.via)
    made.pools.adopt(made.snapshot.accounts)
    made.calllog = CallLog(os.open("/dev/null", os.O_WRONLY))
    bank = Bank()
    made.holds = bank.holds = Holds(bank, time.monotonic)
    sender = Sender(made.pools, made.health, time.monotonic, time.time, None)
    made.corridor = Corridor(sender, made.journal, made.figures, made.calllog.note, time.monotonic, time.time, random.Random(1), made.holds, made.name)
    return made


def client_of(account: Account) -> Client:
    """Return an account's client on wires of memory."""
    return VendorClient(endpoint_of(account.base_url, rules=AddressRules("loopback"), deadlines=account.deadlines))


class Bench:
    """Lanes of callers that keep asking until a round's calls are made."""

    def __init__(self, made: Worker, text: str) -> None:
        head = (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\nauthorization: Bearer %b\r\n\r\n" % (len(BODY), text.encode())
        )
        self.request = head + BODY
        config = uvicorn.Config(GatewayConsumer(made), log_config=None, access_log=False, proxy_headers=False, interface="asgi3")  # type: ignore[arg-type]
        self._lanes = []
        state = ServerState()
        for _ in range(LANES):
            protocol = Protocol(config, state, {})
            lane = Lane(self, protocol)
            protocol.connection_made(lane)
            self._lanes.append(lane)
        self._left = 0
        self._resting = 0
        self._wrong = b""
        self._done = asyncio.Event()

    def answered(self, lane: Lane) -> None:
        """Ask again on a lane, or let it rest."""
        if self._left:
            self._left -= 1
            asyncio.get_running_loop().call_soon(lane.ask)
        else:
            self._resting += 1
            if self._resting == LANES:
                self._done.set()

    def fail(self, answer: bytes) -> None:
        """Stop at a wrong answer."""
        self._wrong = answer
        self._done.set()

    async def run(self, calls: int) -> float:
        """Make so many calls and return the CPU one took, in microseconds of this thread."""
        self._left, self._resting = calls - LANES, 0
        self._done.clear()
        begun_s = time.thread_time()
        for lane in self._lanes:
            lane.ask()
        await self._done.wait()
        if self._wrong:
            raise SystemExit(f"A wrong answer: {self._wrong!r}")
        return (time.thread_time() - begun_s) * 1e6 / calls


async def measure(folder: Path, asked: argparse.Namespace) -> None:
    """Warm up, then do what was asked."""
    made = keys.make()
    text = made.text
    key = Key(
        id=made.public_id, name="bench", digest=keys.digest(text.encode(), PEPPER), pepper_version=1, project="p-1", models=None, state="active",
        expires_at_s=1 << 40, environment="dev",
    )  # fmt: skip
    one = worker(folder, key, not asked.ungoverned)
    bench = Bench(one, text)
    await bench.run(1000 if asked.calls else 5000)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    if asked.calls:
        await bench.run(asked.calls)
    elif asked.profile:
        profile = cProfile.Profile()
        profile.enable()
        await bench.run(20_000)
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(60)
    else:
        found = sorted([await bench.run(2_000) for _ in range(asked.rounds)])
        print(f"CPU us per call: least {found[0]:.1f}, median {found[len(found) // 2]:.1f}")
    one.journal.close()


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m bench.corridor", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--calls", type=int, default=0)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--ungoverned", action="store_true", help="no budgets and limits above the key")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="symbiosis-bench-") as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure(Path(folder), asked))


if __name__ == "__main__":
    main()
