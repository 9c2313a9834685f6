"""The steward's leases: answers, recalls here and on other hosts, and a database that comes and goes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection

from billing import leases
from billing.holds import Clock, GiveBack, Granted, Recall, Take, Want
from billing.models import Lease
from gateway.leasing import Leasing
from tests.billing.budgets import budget, figures, numbers, outstanding, taking, want

pytestmark = pytest.mark.django_db(transaction=True)


class Database:
    """Runs work in its thread, or fails before or after it while it is away."""

    def __init__(self) -> None:
        self.away = ""
        self.thread = ThreadPoolExecutor(1)

    async def __call__(self, work: Callable[[], object]) -> object:
        if self.away == "before":
            raise OperationalError("gone")
        value = await asyncio.get_running_loop().run_in_executor(self.thread, work)
        if self.away == "after":
            raise OperationalError("gone in the commit")
        return value


class Holder:
    """A worker that gives back what is idle when it is asked to."""

    def __init__(self, leasing: Leasing, name: str, idle: dict[str, int]) -> None:
        self.leasing, self.name, self.idle = leasing, name, idle
        self.recalls: list[tuple[str, ...]] = []
        self.clocks = 0
        self.tasks: list[asyncio.Task[object]] = []

    def send(self, message: Recall | Clock) -> None:
        if isinstance(message, Clock):
            self.clocks += 1
            return
        self.recalls.append(message.windows)
        back, self.idle = {name: amount for name, amount in self.idle.items() if name in message.windows}, {}
        self.tasks.append(asyncio.create_task(self.leasing.give_back(GiveBack(next(numbers), self.name, back))))


@contextlib.asynccontextmanager
async def running(*hosts: str) -> AsyncIterator[list[Leasing]]:
    databases = [Database() for _ in hosts]
    places = [Leasing(host, database) for host, database in zip(hosts, databases, strict=True)]
    for host, database in zip(hosts, databases, strict=True):
        await database(lambda host=host: leases.heard_of(host))
    tasks = [asyncio.create_task(place.run()) for place in places]
    try:
        yield places
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for database in databases:
            database.away = ""
            await database(lambda: connection.close())  # noqa: PLW0108  # that thread's connection
            database.thread.shutdown()


def answered(answer: Granted) -> list[tuple[int, str]]:
    return [(grant.amount, grant.reason) for grant in answer.grants]


async def holding(leasing: Leasing, name: str, asked: Want, idle: int) -> Holder:
    holder = Holder(leasing, name, {asked.window: idle})
    await leasing.welcome(name, holder.send)
    assert answered(await leasing.take(taking(asked, worker=name))) == [(asked.least, "")]
    return holder


def test_questions_of_one_moment_are_answered_together() -> None:
    one = want(budget(100), 10)

    async def scenario() -> Any:
        async with running("h1") as (leasing,):
            return await asyncio.gather(*[leasing.take(taking(one, worker=f"w{n}")) for n in range(12)])

    answers = asyncio.run(scenario())
    assert sorted(answered(answer)[0] for answer in answers) == [(0, "held")] * 2 + [(10, "")] * 10


def test_idle_amounts_of_this_hosts_workers_come_back_before_anyone_is_refused() -> None:
    one = want(budget(100), 100)

    async def scenario() -> Any:
        async with running("h1") as (leasing,):
            holder = await holding(leasing, "w1", one, idle=60)
            small = Want(one.window, one.owner, "", one.opens_at_s, one.closes_at_s, 30, 30)
            return holder, await asyncio.gather(*[leasing.take(taking(small, worker=f"x{n}")) for n in range(3)])

    holder, answers = asyncio.run(scenario())
    assert sorted(answered(answer)[0] for answer in answers) == [(0, "held"), (30, ""), (30, "")]
    assert (holder.recalls, holder.clocks) == ([(one.window,)], 1)
    assert (outstanding(), figures(one.window)["held"]) == ({"w1": 40, "x0": 30, "x1": 30}, 100)


def test_a_lease_ends_after_the_journal_was_taken_in_and_is_answered_then() -> None:
    one = want(budget(100), 40)

    async def scenario() -> Any:
        async with running("h1") as (leasing,):
            assert answered(await leasing.take(taking(one))) == [(40, "")]
            ending = asyncio.create_task(leasing.give_back(GiveBack(next(numbers), "w1", {one.window: 10}, (one.window,))))
            async with asyncio.timeout(10):
                while not leasing.ends:
                    await asyncio.sleep(0)
            before = await leasing._database(outstanding)
            await leasing.end(list(leasing.ends))
            await ending
            return before, leasing.ends

    assert asyncio.run(scenario()) == ({"w1": 30}, [])
    assert (outstanding(), figures(one.window)["held"]) == ({"w1": 0}, 0)


def test_idle_amounts_of_another_host_come_back_too() -> None:
    one = want(budget(100), 100)

    async def scenario() -> Any:
        async with running("h1", "h2") as (here, there):
            holder = await holding(there, "w1", one, idle=100)
            assert answered(await here.take(taking(one, worker="x"))) == [(100, "")]
            return holder

    holder = asyncio.run(scenario())
    assert (holder.recalls, outstanding()) == ([(one.window,)], {"w1": 0, "x": 100})


def test_without_the_database_nobody_gets_a_lease_and_what_is_returned_waits() -> None:
    one = want(budget(100), 40)

    async def scenario() -> Any:
        async with running("h1") as (leasing,):
            await holding(leasing, "w1", one, idle=0)
            database = leasing._in_thread
            assert isinstance(database, Database)
            database.away = "before"
            assert answered(await leasing.take(taking(one))) == [(0, "unreachable")]
            returning = asyncio.create_task(leasing.give_back(GiveBack(next(numbers), "w1", {one.window: 40})))
            assert answered(await leasing.take(taking(one))) == [(0, "unreachable")]
            assert not returning.done()
            database.away = ""
            async with asyncio.timeout(5):
                await returning

    asyncio.run(scenario())
    assert outstanding() == {"w1": 0}


def test_a_lease_whose_commit_nobody_heard_of_is_taken_back() -> None:
    one = want(budget(100), 40)

    async def scenario() -> Any:
        async with running("h1") as (leasing,):
            database = leasing._in_thread
            assert isinstance(database, Database)
            database.away = "after"
            assert answered(await leasing.take(Take(next(numbers), "w1", (one,)))) == [(0, "unreachable")]
            database.away = ""
            assert await database(outstanding) == {"w1": 40}
            assert answered(await leasing.take(taking(one, worker="w2"))) == [(40, "")]

    asyncio.run(scenario())
    assert outstanding() == {"w1": 0, "w2": 40}


def test_a_worker_that_keeps_everything_delays_a_refusal_only_briefly() -> None:
    one = want(budget(100), 100)

    async def scenario() -> Any:
        async with running("h1", "h2") as (here, there):
            await holding(here, "w1", one, idle=0)
            there.farewell("w2", print)
            async with asyncio.timeout(2):
                assert answered(await here.take(taking(one, worker="x"))) == [(0, "held")]

    asyncio.run(scenario())
    assert Lease.objects.count() == 1
