"""Leases for the workers of one host: answers what they ask, many at once, and calls idle amounts back before anyone is refused."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import TypeVar

import msgspec
import structlog
from django.db import DatabaseError, InterfaceError

from billing import leases
from billing.holds import Clock, GaveBack, GiveBack, Grant, Granted, Recall, Take
from billing.windows import database_now

log = structlog.get_logger("gateway.leasing")
T = TypeVar("T")
MOST_AT_ONCE = 64
# How long a worker of this host has to give back what is idle, and other hosts.
OWN_S = 0.15
OTHERS_S = 1.0
LOOK_S = 0.05
POLL_S = 0.2
HEARTBEAT_S = 3.0
CLOCK_S = 30.0
AGAIN_S = 0.5
DATABASE_ERRORS = (DatabaseError, InterfaceError, OSError)

Send = Callable[[Recall | Clock], None]


class Leasing:
    """Answers Take and GiveBack of this host's workers; `in_thread` runs database work in one thread, in the order given."""

    def __init__(self, host: str, in_thread: Callable[[Callable[[], object]], Awaitable[object]]) -> None:
        self.host = host
        self._in_thread = in_thread
        self._workers: dict[str, Send] = {}
        self._waiting: list[tuple[leases.Question, asyncio.Future[leases.Answer]]] = []
        self._wake = asyncio.Event()
        self._look = asyncio.Event()
        self._recalls: dict[str, asyncio.Task[None]] = {}
        self._returns: dict[str, list[asyncio.Event]] = defaultdict(list)
        # Returns by which a worker ended its leases, until intake has taken in what it journalled before.
        self.ends: list[tuple[GiveBack, asyncio.Future[None]]] = []
        # Takes whose transaction may have been committed although nobody heard so.
        self._unsure: list[Take] = []

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for work in (self._pump(), self._follow(), self._heartbeat(), self._keep_time()):
                tasks.create_task(work)

    # ---- workers ----------------------------------------------------------------------------------------------------

    async def welcome(self, worker: str, send: Send) -> None:
        """Note how a worker is reached and tell it the time."""
        self._workers[worker] = send
        with contextlib.suppress(*DATABASE_ERRORS):
            send(await self._clock())

    def farewell(self, worker: str, send: Send) -> None:
        """Forget a worker whose line is closed, unless it has opened another."""
        if self._workers.get(worker) is send:
            del self._workers[worker]

    async def take(self, question: Take) -> Granted:
        """Answer a worker: wants that others hold are asked once more after a recall; `unreachable` while the database is."""
        answer = await self._ask(question)
        held = {grant.window for grant in answer.grants if not grant.amount and grant.reason == "held"}
        wants = tuple(want for want in question.wants if want.window in held and want.least)
        if not wants:
            return answer
        await self._recall([want.window for want in wants])
        again = await self._ask(msgspec.structs.replace(question, wants=wants))
        better = {grant.window: grant for grant in again.grants}
        return Granted(question.number, tuple(better.get(grant.window, grant) for grant in answer.grants))

    async def give_back(self, question: GiveBack) -> GaveBack:
        """Take back what a worker does not need, as soon as the database is there."""
        try:
            answer = await self._put(question) if question.amounts else GaveBack(question.number)
        finally:
            for returned in self._returns.pop(question.worker, []):
                returned.set()
        assert isinstance(answer, GaveBack)
        if question.ends:
            ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.ends.append((question, ended))
            await ended
        return answer

    async def end(self, ends: Sequence[tuple[GiveBack, asyncio.Future[None]]]) -> None:
        """End leases whose workers' journals were taken in after they said so."""
        with contextlib.suppress(*DATABASE_ERRORS):
            for question, ended in ends:
                await self._database(lambda question=question: leases.end(self.host, question))  # type: ignore[misc]  # bound now
                self.ends.remove((question, ended))
                if not ended.done():
                    ended.set_result(None)

    def heard(self) -> None:
        """Another host has recalled something: look at once."""
        self._look.set()

    # ---- the database -----------------------------------------------------------------------------------------------

    async def _ask(self, question: Take) -> Granted:
        try:
            answer = await self._put(question)
        except DATABASE_ERRORS as error:
            log.error("no lease can be given without the database", reason=type(error).__name__)
            return Granted(question.number, tuple(Grant(want.window, 0, 0, 0, 0, "unreachable") for want in question.wants))
        assert isinstance(answer, Granted)
        return answer

    def _put(self, question: leases.Question) -> asyncio.Future[leases.Answer]:
        answer: asyncio.Future[leases.Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        self._wake.set()
        return answer

    async def _pump(self) -> None:
        """Answer what has come in since the last transaction in the next one, in its order."""
        while True:
            await self._wake.wait()
            batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            if not self._waiting:
                self._wake.clear()
            if batch:
                await self._answer(batch)

    async def _answer(self, batch: list[tuple[leases.Question, asyncio.Future[leases.Answer]]]) -> None:
        try:
            unsure = list(self._unsure)
            answers = await self._database(lambda: self._settle(unsure, [question for question, _ in batch]))
            del self._unsure[: len(unsure)]
        except DATABASE_ERRORS as error:
            returns = []
            for question, answer in batch:
                if isinstance(question, GiveBack):
                    returns.append((question, answer))
                    continue
                self._unsure.append(question)
                if not answer.done():
                    answer.set_exception(error)
            # what is returned waits for the database, in front of what comes later
            self._waiting[:0] = returns
            asyncio.get_running_loop().call_later(AGAIN_S, self._wake.set)
            return
        for (_, answer), value in zip(batch, answers, strict=True):
            if not answer.done():
                answer.set_result(value)

    def _settle(self, unsure: Iterable[Take], questions: list[leases.Question]) -> list[leases.Answer]:
        for question in unsure:
            leases.undo(self.host, question)
        return leases.answer_all(self.host, questions)

    async def _database(self, work: Callable[[], T]) -> T:
        return await self._in_thread(work)  # type: ignore[return-value]  # the thread returns what the work returns

    # ---- recalls ----------------------------------------------------------------------------------------------------

    async def _recall(self, names: Collection[str]) -> None:
        """Call idle amounts of these windows back, here and on other hosts; one recall of a window serves all who wait for it."""
        fresh = [name for name in names if name not in self._recalls]
        if fresh:
            task = asyncio.create_task(self._recall_now(fresh))
            for name in fresh:
                self._recalls[name] = task
            task.add_done_callback(lambda _: [self._recalls.pop(name) for name in fresh])
        await asyncio.gather(*{self._recalls[name] for name in names})

    async def _recall_now(self, names: list[str]) -> None:
        with contextlib.suppress(*DATABASE_ERRORS):
            await self._recall_own(names)
            elsewhere = await self._database(lambda: leases.held_elsewhere(self.host, names))
            if not elsewhere:
                return
            await self._database(lambda: leases.recall(self.host, elsewhere))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(OTHERS_S):
                    while await self._database(lambda: leases.held_elsewhere(self.host, elsewhere, unanswered=True)):
                        await asyncio.sleep(LOOK_S)

    async def _recall_own(self, names: Collection[str]) -> None:
        """Send a recall to each worker of this host that holds something, and wait a little for what comes back."""
        found = await self._database(lambda: leases.holders(self.host, names))
        by_worker: dict[str, list[str]] = defaultdict(list)
        for name, workers in sorted(found.items()):
            for worker in workers & self._workers.keys():
                by_worker[worker].append(name)
        answers = []
        for worker, windows in by_worker.items():
            returned = asyncio.Event()
            self._returns[worker].append(returned)
            answers.append(returned.wait())
            self._workers[worker](Recall(tuple(windows)))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OWN_S):
                await asyncio.gather(*answers)

    async def _follow(self) -> None:
        """Follow the recalls of other hosts and of the admin."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._look.wait()
            self._look.clear()
            try:
                numbers = await self._database(lambda: leases.recalled(self.host))
                if numbers:
                    await self._recall_own(numbers)
                    await self._database(lambda numbers=numbers: leases.follow(self.host, numbers))  # type: ignore[misc]  # bound now
            except DATABASE_ERRORS:
                await asyncio.sleep(AGAIN_S)

    # ---- time -------------------------------------------------------------------------------------------------------

    async def _heartbeat(self) -> None:
        while True:
            with contextlib.suppress(*DATABASE_ERRORS):
                await self._database(lambda: leases.heard_of(self.host))
            await asyncio.sleep(HEARTBEAT_S)

    async def tell_clock(self) -> None:
        """Tell every worker the database's clock, if it can be asked."""
        with contextlib.suppress(*DATABASE_ERRORS):
            clock = await self._clock()
            for send in list(self._workers.values()):
                send(clock)

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(CLOCK_S)
            await self.tell_clock()

    async def _clock(self) -> Clock:
        return Clock((await self._database(database_now)).timestamp())
