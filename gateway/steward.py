"""The steward of a host: compiles and announces snapshots, takes in this host's journals, adds up the workers' figures."""

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import structlog
from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from msgspec import structs
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from accounts.oidc import provider
from accounts.sealing import SealBroken
from billing.holds import Clock, GiveBack, Grant, Recall, Standing, Take
from billing.intake import Intake
from billing.leases import CHANNEL as RECALLS
from gateway import batches, objects, storing
from gateway.changes import CHANNEL
from gateway.leasing import Leasing
from gateway.plane.batch import LEASES, BatchQuestion, CloseBatch, OpenBatch, Opened, StartedBatch
from gateway.plane.figures import BOUNDS_S, FAMILIES, SEPARATOR, Family
from gateway.plane.link import Applied, Ask, Figures, Hello, Told, frame, reachable, receive
from gateway.plane.objects import Drop, Needs, Note, ObjectQuestion, Objects, Page, Search
from gateway.plane.snapshot import BadSnapshot, Update
from gateway.plane.stored import Fetch, Forget, Found, Keep, Question
from gateway.publish import Publisher

log = structlog.get_logger("gateway.steward")
T = TypeVar("T")
POLL_S = 0.2
INTAKE_S = 0.25
SAVE_S = 0.5
INTAKE_NICENESS = 10
LISTEN_AGAIN_S = 2.0
FIRST_POLL_S = 2.0
# A database that does not answer for so long counts as gone, although nothing failed: its server hangs, or the way to it.
HANGS_S = 2.0
IN_FORCE_S = 1.0
SIGNERS_S = 60.0
DATABASE_ERRORS = (DatabaseError, InterfaceError, OSError)


@dataclass
class Peer:
    """A connected worker and the revision it serves by, -1 for none."""

    name: str = ""
    revision: int = -1


class Steward:
    """Serves the workers of one host over a unix socket; the database may come and go."""

    def __init__(self, socket_path: Path, publisher: Publisher, intake: Intake) -> None:
        self._socket_path, self._publisher, self._intake = socket_path, publisher, intake
        self._peers: dict[asyncio.StreamWriter, Peer] = {}
        self._moved = asyncio.Condition()
        self._figures: dict[str, dict[str, float]] = {}
        self._buried: dict[str, float] = {}
        # one thread each, so that each keeps one database connection and a slow intake never delays a revocation
        self._polling = ThreadPoolExecutor(1, "publish")
        self._taking = ThreadPoolExecutor(1, "intake", initializer=stand_back)
        self._granting = ThreadPoolExecutor(1, "leases")
        self._fetching = ThreadPoolExecutor(1, "signers")
        self._storing = ThreadPoolExecutor(1, "responses")
        self._leasing = Leasing(intake.host, lambda work: self._in(self._granting, work))
        self._tasks: set[asyncio.Task[None]] = set()
        self._poll_lock = asyncio.Lock()
        self._unsaved = False
        self._database_up = True
        self._taken = {"rows": 0.0, "quarantined": 0.0, "orphans": 0.0, "lag_bytes": 0.0}

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT, then take in what is left."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        if self._publisher.load_last_good():
            log.info("the last good snapshot is loaded", revision=self._publisher.revision)
        first_poll = asyncio.create_task(self._poll())
        await asyncio.wait([first_poll], timeout=FIRST_POLL_S)  # who connects should hear what is in the database, not what was on disk
        self._socket_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._socket_path.unlink(missing_ok=True)
        with reachable(self._socket_path) as path:
            server = await asyncio.start_unix_server(self._welcome, path)
        os.chmod(self._socket_path, 0o600)
        works = (self._follow(), self._listen(), self._take_in(), self._keep(), self._leasing.run(), self._follow_signers())
        tasks = [asyncio.create_task(work) for work in works]
        await stopping.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        server.close()
        await self._last_intake()
        for writer in list(self._peers):
            writer.close()
        if self._unsaved:
            await loop.run_in_executor(self._polling, self._publisher.save)
        self._polling.shutdown()
        self._taking.shutdown()
        self._granting.shutdown()
        self._storing.shutdown()
        self._fetching.shutdown(wait=False, cancel_futures=True)

    # ---- configuration ----------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            await self._poll()
            await asyncio.sleep(POLL_S)

    async def _follow_signers(self) -> None:
        """Keep the OpenID provider's keys fresh, where its access tokens are taken, without any call waiting for it."""
        while provider.configuration().takes_bearers:
            await self._fetch_signers(provider.keep_fresh)
            await asyncio.sleep(SIGNERS_S)

    async def _fetch_signers(self, fetch: Callable[[], bool]) -> bool:
        try:
            return provider.configuration().takes_bearers and await self._in(self._fetching, fetch)
        except DATABASE_ERRORS:
            return False

    async def _listen(self) -> None:
        """Poll at once when Postgres says that a change was committed; the regular poll goes on whatever happens here."""
        while connection.vendor == "postgresql":
            with contextlib.suppress(psycopg.Error, OSError):
                async with await psycopg.AsyncConnection.connect(**psycopg_parameters(), autocommit=True) as listening:
                    await listening.execute(f"LISTEN {CHANNEL}")
                    await listening.execute(f"LISTEN {RECALLS}")
                    async for notice in listening.notifies():
                        if notice.channel == RECALLS:
                            self._leasing.heard()
                        else:
                            await self._poll()
            await asyncio.sleep(LISTEN_AGAIN_S)

    async def _poll(self) -> bool:
        """Poll once and announce; False when the database could not be asked."""
        async with self._poll_lock:
            asked = asyncio.ensure_future(self._in(self._polling, self._publisher.poll))
            await asyncio.wait([asked], timeout=HANGS_S)
            if not asked.done():
                self._went("it does not answer")
            try:
                update = await asked
            except BadSnapshot as error:
                log.error("the configuration would not serve and there is none before it", reason=str(error))
                return True
            except DATABASE_ERRORS as error:
                self._went(type(error).__name__)
                return False
            self._came_back()
            if update is not None:
                if self._publisher.refused:
                    log.error("a configuration was refused, the structure before stays", reason=self._publisher.refused)
                self._announce(update)
            return True

    def _went(self, reason: str) -> None:
        if self._database_up:
            log.error("the database cannot be asked, serving from the last good snapshot", reason=reason)
            self._database_up = False
            self._tell(Standing(up=False))

    def _came_back(self) -> None:
        if not self._database_up:
            log.info("the database is back")
            self._database_up = True
            self._tell(Standing(up=True))
            self._begin(self._leasing.tell_clock())

    def _announce(self, update: Update) -> None:
        self._unsaved = True
        self._tell(update)
        log.info("announced", revision=update.revision, structure=update.structure is not None, keys=len(update.keys), workers=len(self._peers))

    def _tell(self, message: Update | Standing) -> None:
        data = frame(message)
        for writer in self._peers:
            writer.write(data)

    async def _keep(self) -> None:
        """Seal the snapshot to disk when it changed, at most every half second."""
        while True:
            await asyncio.sleep(SAVE_S)
            if self._unsaved:
                self._unsaved = False
                try:
                    await self._in(self._polling, self._publisher.save)
                except OSError as error:
                    self._unsaved = True
                    log.error("the snapshot cannot be kept on disk", reason=str(error))

    # ---- journals ---------------------------------------------------------------------------------------------------

    async def _take_in(self) -> None:
        while True:
            if not await self._take_once():
                await asyncio.sleep(INTAKE_S)

    async def _take_once(self) -> bool:
        """Take in one round; True when there may be more at once."""
        ends = list(self._leasing.ends)
        try:
            taken = await self._in(self._taking, self._intake.run_once)
        except DATABASE_ERRORS as error:
            log.error("receipts wait on disk until the database is back", reason=type(error).__name__)
            await asyncio.sleep(1)
            return False
        self._taken["rows"] += taken.rows
        self._taken["quarantined"] += taken.quarantined
        self._taken["orphans"] += taken.orphans
        self._taken["lag_bytes"] = taken.lag_bytes
        if ends and not taken.lag_bytes:
            await self._leasing.end(ends)
        if taken.quarantined:
            log.error("receipts were quarantined; see the admin", count=taken.quarantined)
        return taken.rows > 0 and taken.lag_bytes > 0

    async def _last_intake(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                while await self._take_once():
                    pass

    async def _in(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        """Run database work in its thread, and drop a connection that broke."""

        def guarded() -> T:
            try:
                return work()
            except (DatabaseError, InterfaceError):
                connection.close()
                raise
            finally:
                close_old_connections()

        return await asyncio.get_running_loop().run_in_executor(threads, guarded)

    # ---- workers ----------------------------------------------------------------------------------------------------

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer()

        def send(message: Recall | Clock) -> None:
            writer.write(frame(message))

        try:
            whole = self._publisher.whole()
            if whole is not None:
                writer.write(frame(whole))
            self._peers[writer] = peer
            while True:
                message = await receive(reader)
                if isinstance(message, Hello):
                    peer.name = message.worker
                    writer.write(frame(Standing(up=self._database_up)))
                    self._begin(self._leasing.welcome(peer.name, send))
                elif isinstance(message, Figures):
                    self._figures[message.worker] = message.values
                elif isinstance(message, Applied):
                    peer.revision = message.revision
                    await self._someone_moved()
                elif isinstance(message, Ask):
                    # beside this loop, which must go on to hear what this very worker has applied
                    self._begin(self._answer(message, writer))
                elif isinstance(message, Take | GiveBack):
                    self._begin(self._lease(message, writer))
                elif isinstance(message, Keep | Fetch | Forget):
                    self._begin(self._store(message, writer))
                elif isinstance(message, Note | Search | Page | Drop | Needs):
                    self._begin(self._look_up(message, writer))
                elif isinstance(message, OpenBatch | StartedBatch | CloseBatch):
                    self._begin(self._batch(message, writer))
        except (asyncio.IncompleteReadError, ValueError, OSError):
            pass  # the worker is gone; its figures are kept below
        finally:
            self._peers.pop(writer, None)
            self._leasing.farewell(peer.name, send)
            if all(peer.name != other.name for other in self._peers.values()):
                self._bury(peer.name)
            writer.close()
            await self._someone_moved()

    async def _answer(self, ask: Ask, writer: asyncio.StreamWriter) -> None:
        if ask.what == "scrape":
            told = Told(number=ask.number, ok=True, text=self.page())
        elif ask.what == "signers":
            told = Told(number=ask.number, ok=await self._fetch_signers(provider.refresh) and await self._poll())
        else:
            told = Told(number=ask.number, ok=await self._poll() and (ask.what == "refresh" or await self._in_force()))
        if not writer.is_closing():
            writer.write(frame(told))

    async def _in_force(self) -> bool:
        """Wait until every worker serves by the revision in use; False when one does not in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IN_FORCE_S), self._moved:
                await self._moved.wait_for(lambda: not self._behind())
        return not self._behind()

    async def _someone_moved(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    def _behind(self) -> int:
        """Return how many connected workers do not serve by the revision in use."""
        return sum(peer.revision != self._publisher.revision for peer in self._peers.values())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        # kept, for the loop itself holds tasks only weakly
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lease(self, question: Take | GiveBack, writer: asyncio.StreamWriter) -> None:
        answer = await (self._leasing.take(question) if isinstance(question, Take) else self._leasing.give_back(question))
        if not writer.is_closing():
            writer.write(frame(answer))

    async def _store(self, question: Question, writer: asyncio.StreamWriter) -> None:
        try:
            found = await self._in(self._storing, lambda: storing.answer(question))
        except (*DATABASE_ERRORS, SealBroken) as error:
            log.error("a response could not be stored or read", reason=type(error).__name__)
            found = Found()
        if not writer.is_closing():
            writer.write(frame(structs.replace(found, number=question.number)))

    async def _look_up(self, question: ObjectQuestion, writer: asyncio.StreamWriter) -> None:
        try:
            known = await self._in(self._storing, lambda: objects.answer(question))
        except DATABASE_ERRORS as error:
            log.error("an object at a vendor could not be noted or looked up", reason=type(error).__name__)
            known = Objects()
        if not writer.is_closing():
            writer.write(frame(structs.replace(known, number=question.number)))

    async def _batch(self, question: BatchQuestion, writer: asyncio.StreamWriter) -> None:
        try:
            if isinstance(question, OpenBatch):
                told = Opened(ok=True, grants=await self._open_batch(question))
            elif isinstance(question, StartedBatch):
                told = Opened(ok=await self._in(self._storing, lambda: batches.start(question)))
            else:
                await self._in(self._storing, lambda: batches.close(question))
                told = Opened(ok=True)
        except (*DATABASE_ERRORS, ObjectDoesNotExist) as error:
            log.error("a batch could not be written down", reason=type(error).__name__)
            told = Opened()
        if not writer.is_closing():
            writer.write(frame(structs.replace(told, number=question.number)))

    async def _open_batch(self, question: OpenBatch) -> tuple[Grant, ...]:
        """Write a batch down and hold for it; what its budgets gave, all of them, or nothing is held."""
        await self._in(self._storing, lambda: batches.write_down(question))
        granted = await self._leasing.take(Take(1, LEASES + question.id, question.wants))
        if all(grant.amount for grant in granted.grants):
            await self._in(self._storing, lambda: batches.hold(question.id))
        else:
            await self._in(self._storing, lambda: batches.close(CloseBatch(question.id)))
        return granted.grants

    # ---- figures ----------------------------------------------------------------------------------------------------

    def _bury(self, worker: str) -> None:
        """Keep what a gone worker counted, so that counters never fall."""
        gauges = {family.name for family in FAMILIES if family.kind == "gauge"}
        for key, value in self._figures.pop(worker, {}).items():
            if key.split(SEPARATOR)[0] not in gauges:
                self._buried[key] = self._buried.get(key, 0) + value

    def page(self) -> bytes:
        """Return the metrics of all workers and of the steward in Prometheus' text format."""
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """Yield every family with the sum over workers."""
        totals = dict(self._buried)
        for values in self._figures.values():
            for key, value in values.items():
                totals[key] = totals.get(key, 0) + value
        samples: dict[str, list[tuple[list[str], float]]] = {}
        for key, value in totals.items():
            name, *labels = key.split(SEPARATOR)
            samples.setdefault(name, []).append((labels, value))
        for family in FAMILIES:
            yield exposed(family, samples.get(family.name, []))
        yield GaugeMetricFamily("sgw_workers", "Workers connected to the steward.", value=len(self._peers))
        yield GaugeMetricFamily("sgw_workers_behind", "Workers that do not serve by the configuration in use yet.", value=self._behind())
        yield GaugeMetricFamily("sgw_snapshot_revision", "Revision of the configuration in use.", value=self._publisher.revision)
        yield GaugeMetricFamily("sgw_snapshot_refused", "1 while the newest configuration is refused.", value=float(bool(self._publisher.refused)))
        yield GaugeMetricFamily("sgw_database_up", "1 while the steward reaches the database.", value=float(self._database_up))
        yield GaugeMetricFamily("sgw_journal_lag_bytes", "Journal bytes not yet taken into the database.", value=self._taken["lag_bytes"])
        yield CounterMetricFamily("sgw_receipts_taken", "Receipts taken into the database.", value=self._taken["rows"])
        yield CounterMetricFamily("sgw_receipts_quarantined", "Receipts the database would not take.", value=self._taken["quarantined"])
        yield CounterMetricFamily("sgw_orphans_settled", "Calls settled after their worker died.", value=self._taken["orphans"])
        yield GaugeMetricFamily("sgw_steward_time_seconds", "Unix time of this page.", value=time.time())


def stand_back() -> None:
    """Let calls go first on a busy machine: receipts are safe in the journal and may wait some milliseconds."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), INTAKE_NICENESS)


def psycopg_parameters() -> dict[str, Any]:
    """Return how Django reaches its Postgres, for a connection outside its pool."""
    return {name: value for name, value in connection.get_connection_params().items() if name not in ("cursor_factory", "context", "pool", "prepare_threshold")}


def exposed(family: Family, samples: list[tuple[list[str], float]]) -> Metric:
    """Return one family as the exposition library wants it."""
    if family.kind == "histogram":
        metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
        by_labels: dict[tuple[str, ...], dict[str, float]] = {}
        for labels, value in samples:
            by_labels.setdefault(tuple(labels[:-1]), {})[labels[-1]] = value
        for key, buckets in by_labels.items():
            total, rising = 0.0, []
            for bound in (*map(str, BOUNDS_S), "+Inf"):
                total += buckets.get(bound, 0)
                rising.append((bound, total))
            metric.add_metric(list(key), rising, buckets.get("sum", 0))
        return metric
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    plain = kind(family.name, family.help, labels=family.labels)
    for labels, value in samples or ([([], 0.0)] if not family.labels else []):
        plain.add_metric(labels, value)
    return plain
