"""One worker of the data plane: holds the snapshot, the corridor and the line to the steward; starts and stops them together."""

import asyncio
import contextlib
import os
import random
import time
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network
from operator import attrgetter
from pathlib import Path
from typing import Protocol

import structlog

from accounts.addresses import AddressRules
from gateway.errors import DependencyUnavailable
from gateway.plane import snapshot as snapshots
from gateway.plane.bearer import Bearers, UnknownSigner
from gateway.plane.calllog import CallLog
from gateway.plane.client import Client, endpoint_of
from gateway.plane.client_httpx import HttpxClient
from gateway.plane.figures import Figures
from gateway.plane.health import Health
from gateway.plane.hold import Holds
from gateway.plane.identify import Verified, identify
from gateway.plane.journal import Journal
from gateway.plane.link import Link
from gateway.plane.objects import Ownership
from gateway.plane.pools import Client as AnyClient
from gateway.plane.pools import Pools
from gateway.plane.send import Sender
from gateway.plane.snapshot import BadSnapshot, Snapshot, Update
from gateway.plane.sockets import Sockets
from gateway.plane.stored import Stored
from gateway.plane.walk import Corridor
from gateway.providers import shelf
from gateway.terms import Account, Caller, Frozen

log = structlog.get_logger("gateway.worker")
TICK_S = 1.0


class Settings(Frozen, frozen=True):
    """What a worker is told at its start."""

    journal_dir: Path
    journal_strict: bool
    snapshot_path: Path
    steward_socket: Path
    steward_within_s: float
    peppers: Mapping[int, bytes]
    body_limit_bytes: int
    upload_limit_bytes: int
    upload_dir: Path
    body_timeout_s: float
    private_upstreams: str
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    instance: str
    public_url: str = ""


class Opener(Protocol):
    """What opens sealed bytes; raises ValueError when they were not sealed for this place."""

    def open(self, sealed: bytes, bound_to: bytes) -> bytes:
        """Return the plaintext."""
        ...


SNAPSHOT_BINDING = b"snapshot"


class Worker:
    """Serves from the last good snapshot, whatever is gone."""

    def __init__(self, settings: Settings, opener: Opener) -> None:
        self.settings = settings
        self.name = f"{os.getpid()}-{os.urandom(4).hex()}"
        self.snapshot: Snapshot | None = None
        self.figures = Figures()
        self.health = Health(time.monotonic)
        self.draining = False
        self.deadlines: dict[asyncio.Task[object], float] = {}
        # ends the running calls of keys revoked as compromised and returns how many there were; the door knows them
        self.on_compromised: Callable[[frozenset[str]], int] = lambda _: 0
        # told of every new configuration: sessions last long enough to see several
        self.on_adopted: Callable[[], None] = lambda: None
        self.via = b"symbiosis-" + settings.instance.encode()
        self._opener = opener
        self._verified = Verified()
        self._bearers = Bearers()
        self._rules = AddressRules(settings.private_upstreams)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open the journal, load the last good snapshot, hear the steward if it is there in time. Raises JournalBroken."""
        settings = self.settings
        self.journal = Journal(settings.journal_dir, self.name, strict=settings.journal_strict)
        self.pools = Pools(shelf(), self._make_client, self.via, self._make_token_client, make_sockets=self._make_sockets)
        self.calllog = CallLog(os.dup(1))
        stable = self.journal.flushed if self.journal.strict else None
        sender = Sender(self.pools, self.health, time.monotonic, time.time, stable)
        self.socket_sender = Sender(self.pools, self.health, time.monotonic, time.time, stable, attrgetter("sockets"))
        self.link = Link(settings.steward_socket, self.name, self._adopt, self._flat)
        self.holds = Holds(self.link, time.monotonic)
        self.link.on_granted, self.link.on_recall, self.link.on_jump = self.holds.granted, self.holds.recalled, self.holds.retime
        stored = Stored(self.link.store, settings.body_limit_bytes)
        self.corridor = Corridor(
            sender, self.journal, self.figures, self.calllog.note, time.monotonic, time.time, random.Random(), self.holds, self.name, stored,  # noqa: S311 (shares load, guards nothing)
            Ownership(self.link.objects),
        )
        self._load_last_good()
        self._tasks = [asyncio.create_task(self.link.run()), asyncio.create_task(self._tick())]
        # what is on disk may be older than the last change; whoever has no steward serves by it all the same
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.steward_within_s):
                await self.link.heard.wait()
                # this host's clock may be wrong, and windows of budgets are chosen by the database's
                await self.link.timed.wait()

    async def stop(self) -> None:
        """Tell the last figures, close upstream connections and the journal."""
        self.holds.drain()
        self.link.push()
        await self.link.flush()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.pools.aclose()
        self.calllog.close()
        self.journal.close()

    @property
    def ready(self) -> bool:
        """Say whether calls can be served: a snapshot is loaded, the journal takes records, no drain is under way."""
        return self.snapshot is not None and self.journal.writable and not self.draining

    def caller_now(self, credential: bytes) -> Caller:
        """Return the caller from the snapshot in use. Raises BadKey and its kin, DependencyUnavailable before the first snapshot."""
        if self.snapshot is None:
            raise DependencyUnavailable("The gateway is starting and has no configuration yet. Try again in a moment.", retry_after_s=1)
        return identify(credential, self.snapshot, self.settings.peppers, time.time(), self._verified)

    async def caller_fresh(self, credential: bytes) -> Caller:
        """Return the caller after one fresh poll of the configuration. Raises DependencyUnavailable when it could not be polled."""
        if not await self.link.refresh():
            raise DependencyUnavailable("This key is not known here yet, and the database cannot be asked at the moment. Try again.", retry_after_s=2)
        return self.caller_now(credential)

    async def caller_of_token(self, token: bytes, project: bytes) -> Caller:
        """Return the person behind an access token; keys of the provider that are unknown are fetched once.

        Raises what `Bearers.caller` raises, and DependencyUnavailable when an unknown key's owner could not be asked.
        """
        assert self.snapshot is not None  # told before a credential's form is looked at
        try:
            return self._bearers.caller(token, project, self.snapshot, time.time())
        except UnknownSigner:
            if not await self.link.signers():
                raise DependencyUnavailable("Your access token cannot be checked at the moment. Try again.", retry_after_s=2) from None
            return self._bearers.caller(token, project, self.snapshot, time.time())

    def _make_client(self, account: Account) -> AnyClient:
        endpoint = endpoint_of(account.base_url, ca_pem=account.ca_pem, rules=self._rules, deadlines=account.deadlines)
        make: Callable[..., AnyClient] = HttpxClient if account.transport == "httpx" else Client
        return make(endpoint)

    def _make_sockets(self, account: Account) -> Sockets:
        return Sockets(endpoint_of(account.base_url, ca_pem=account.ca_pem, rules=self._rules, deadlines=account.deadlines))

    def _make_token_client(self, account: Account, url: str) -> Client:
        return Client(endpoint_of(url, ca_pem=account.ca_pem, rules=self._rules, deadlines=account.deadlines))

    def _load_last_good(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            sealed = self.settings.snapshot_path.read_bytes()
            try:
                self._adopt(snapshots.decode(self._opener.open(sealed, SNAPSHOT_BINDING)))
            except ValueError as error:
                log.error("the last good snapshot cannot be read; waiting for the steward", reason=str(error))

    def _adopt(self, update: Update) -> None:
        """Swap to the snapshot an update leads to; a bad one is refused and the old one stays."""
        try:
            new = snapshots.apply(self.snapshot, update, shelf(), self._opener.open)
            self.pools.adopt(new.accounts)
        except (BadSnapshot, ValueError) as error:
            self.figures.add("sgw_bad_snapshots")
            log.error("a configuration was refused, the one before stays", revision=update.revision, reason=str(error))
            return
        self.snapshot = new
        self.on_adopted()
        compromised = frozenset(key.id for key in update.keys if key.is_compromised)
        cut = self.on_compromised(compromised) if compromised else 0
        if cut:
            self.figures.add("sgw_cut_calls", by=cut)
        self.link.applied(new.revision)

    def _flat(self) -> dict[str, float]:
        return self.figures.flat(self.health.open_count())

    async def _tick(self) -> None:
        """Once a second: send figures, and end what is over its deadline."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK_S)
            self.link.push()
            self.calllog.flush()
            self.corridor.settle_again()
            self.holds.tick(is_journalled=not self.corridor.unsettled)
            now = loop.time()
            for task, due in list(self.deadlines.items()):
                if due < now:
                    self.deadlines.pop(task, None)
                    task.cancel()
