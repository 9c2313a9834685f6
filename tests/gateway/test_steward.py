"""A steward and the workers connected to it."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway import steward as stewards
from gateway.plane.link import Link
from gateway.plane.snapshot import Update
from gateway.steward import Steward


class Published:
    """Stands for the database: one more revision with every `change`."""

    def __init__(self) -> None:
        self.revision, self.committed, self.refused = 1, 1, ""
        self.answers = threading.Event()
        self.answers.set()

    def poll(self) -> Update | None:
        """Return what changed since the last poll, once the database answers."""
        self.answers.wait(10)
        if self.committed == self.revision:
            return None
        self.revision = self.committed
        return Update(revision=self.revision)

    def whole(self) -> Update:
        """Return what a new worker gets."""
        return Update(revision=self.revision, whole=True)


class Connected:
    """A worker's line that takes updates over at once, or when told to."""

    def __init__(self, path: Path, name: str, *, prompt: bool = True) -> None:
        self.prompt, self.seen = prompt, 0
        self.link = Link(path, name, self.update, dict)

    def update(self, update: Update) -> None:
        """Take an update over."""
        self.seen = update.revision
        if self.prompt or update.whole:
            self.link.applied(update.revision)


@asynccontextmanager
async def connected(tmp_path: Path, published: Published, **workers: bool) -> AsyncIterator[tuple[Steward, list[Connected]]]:
    """Give a steward with workers (name: takes updates over at once) that have heard it."""
    steward = Steward(tmp_path / "s", cast(Any, published), cast(Any, SimpleNamespace(host="here")))
    server = await asyncio.start_unix_server(steward._welcome, str(tmp_path / "s"))
    lines = [Connected(tmp_path / "s", name, prompt=prompt) for name, prompt in workers.items()]
    running = [asyncio.create_task(line.link.run()) for line in lines]
    async with asyncio.timeout(10):
        for line in lines:
            await line.link.heard.wait()
            assert await line.link.in_force() is True
        yield steward, lines
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    server.close()


async def test_a_change_is_in_force_once_every_worker_serves_by_it(tmp_path: Path) -> None:
    published = Published()
    async with connected(tmp_path, published, one=True, two=False) as (steward, (one, two)):
        published.committed = 2
        asked = asyncio.create_task(one.link.in_force())
        while two.seen != 2 or b"sgw_workers_behind 1.0" not in steward.page():
            await asyncio.sleep(0)
        two.link.applied(2)
        assert await asked is True
        assert b"sgw_workers_behind 0.0" in steward.page()
        assert (one.seen, two.seen) == (2, 2)


async def test_a_worker_that_takes_nothing_over_is_not_waited_for_without_end(tmp_path: Path) -> None:
    published = Published()
    async with connected(tmp_path, published, one=True, two=False) as (_, (one, two)):
        published.committed = 2
        assert await one.link.in_force() is False
        assert await one.link.refresh() is True
        two.link.applied(2)
        assert await one.link.in_force() is True


async def test_a_worker_that_leaves_is_not_waited_for(tmp_path: Path) -> None:
    published = Published()
    async with connected(tmp_path, published, one=True, two=False) as (_, (one, two)):
        published.committed = 2
        asked = asyncio.create_task(one.link.in_force())
        while two.seen != 2:
            await asyncio.sleep(0)
        cast(Any, two.link)._writer.close()
        two.prompt = True
        assert await asked is True


async def test_a_database_that_hangs_counts_as_gone_until_it_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stewards, "HANGS_S", 0.05)
    published = Published()
    async with connected(tmp_path, published, one=True) as (steward, (one,)):
        assert one.link.reachable
        published.answers.clear()
        polling = asyncio.create_task(steward._poll())
        async with asyncio.timeout(5):
            while one.link.reachable:
                await asyncio.sleep(0)
        assert b"sgw_database_up 0.0" in steward.page()
        published.answers.set()
        assert await polling is True
        async with asyncio.timeout(5):
            while not one.link.reachable:
                await asyncio.sleep(0)
