"""A worker's line to its steward."""

import asyncio
import time
from pathlib import Path

from billing.holds import Clock, Standing
from gateway.plane.link import Applied, Ask, Figures, Hello, Link, Message, Told, frame, reachable, receive
from gateway.plane.snapshot import Update


class FakeSteward:
    """A steward that answers refreshes when told and remembers what it heard."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.asked = asyncio.Event()
        self.release = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(Update(revision=7, whole=True)))
        try:
            while True:
                message = await receive(reader)
                self.heard.append(message)
                if isinstance(message, Ask):
                    self.asked.set()
                    await self.release.wait()
                    writer.write(frame(Told(number=message.number, ok=True, text=message.what.encode())))
        except asyncio.IncompleteReadError:
            writer.close()


async def test_updates_arrive_and_questions_are_answered(tmp_path: Path) -> None:
    steward, got = FakeSteward(), asyncio.Queue[Update]()
    steward.release.set()
    server = await asyncio.start_unix_server(steward.serve, str(tmp_path / "s"))
    link = Link(tmp_path / "s", "w1", got.put_nowait, lambda: {"x": 1.0})
    running = asyncio.create_task(link.run())
    async with asyncio.timeout(5):
        assert await got.get() == Update(revision=7, whole=True)
        assert await link.scrape() == b"scrape"
        assert await link.refresh() is True
        link.applied(7)
        assert await link.in_force() is True
    running.cancel()
    server.close()
    assert link.heard.is_set()
    assert steward.heard[:2] == [Hello(worker="w1"), Figures(worker="w1", values={"x": 1.0})]
    assert steward.heard[-2:] == [Applied(7), Ask(number=3, what="in_force")]


async def test_many_who_wait_share_one_poll_but_never_one_that_began_before_them(tmp_path: Path) -> None:
    steward, got = FakeSteward(), asyncio.Queue[Update]()
    server = await asyncio.start_unix_server(steward.serve, str(tmp_path / "s"))
    link = Link(tmp_path / "s", "w1", got.put_nowait, dict)
    running = asyncio.create_task(link.run())
    async with asyncio.timeout(5):
        await got.get()
        early = asyncio.gather(*(link.refresh() for _ in range(20)))
        await steward.asked.wait()
        late = asyncio.gather(*(link.refresh() for _ in range(20)))
        steward.release.set()
        assert await early == [True] * 20
        assert await late == [True] * 20
    running.cancel()
    server.close()
    assert sum(isinstance(message, Ask) for message in steward.heard) == 2


async def test_without_a_steward_a_question_is_answered_no_at_once(tmp_path: Path) -> None:
    link = Link(tmp_path / "nobody", "w1", lambda update: None, dict)
    async with asyncio.timeout(1):
        assert await link.refresh() is False
        assert await link.scrape() is None
        assert await link.in_force() is False
    assert not link.heard.is_set()


async def test_a_deep_directory_does_not_cut_the_line(tmp_path: Path) -> None:
    steward, got = FakeSteward(), asyncio.Queue[Update]()
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    with reachable(deep / "s") as path:
        server = await asyncio.start_unix_server(steward.serve, path)
    running = asyncio.create_task(Link(deep / "s", "w1", got.put_nowait, dict).run())
    async with asyncio.timeout(5):
        assert await got.get() == Update(revision=7, whole=True)
    running.cancel()
    server.close()


async def told(tmp_path: Path, *moments_s: float | None) -> tuple[Link, list[float]]:
    """Return a line that was told the time at each moment (None: that nobody can ask for it), and when it jumped."""
    jumps: list[float] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for moment_s in moments_s:
            writer.write(frame(Standing(up=False) if moment_s is None else Clock(moment_s)))

    server = await asyncio.start_unix_server(serve, str(tmp_path / "s"))
    link = Link(tmp_path / "s", "w1", lambda update: None, dict)
    link.on_jump = lambda: jumps.append(round(link.now_s(), -1))
    running = asyncio.create_task(link.run())
    async with asyncio.timeout(5):
        await link.timed.wait()
        while moments_s[-1] is not None and abs(link.now_s() - moments_s[-1]) > 5:
            await asyncio.sleep(0)
    running.cancel()
    server.close()
    return link, jumps


async def test_the_time_is_the_databases_and_a_jump_is_told(tmp_path: Path) -> None:
    noon_s = 1_795_521_600.0
    link, jumps = await told(tmp_path, noon_s, noon_s + 0.5, noon_s + 7200)
    assert (abs(link.now_s() - noon_s - 7200) < 5, jumps) == (True, [noon_s, noon_s + 7200])


async def test_without_a_database_this_hosts_clock_is_good_enough_to_begin(tmp_path: Path) -> None:
    link, jumps = await told(tmp_path, None)
    assert (abs(link.now_s() - time.time()) < 5, jumps) == (True, [])
