"""The load generator: closed loop, open loop and many slow streams over kept connections. Knows HTTP and the mock's mark, no gateway."""

import asyncio
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httptools

from bench.mock import MARK

DRAIN_S = 15.0
DIGITS = 19


@dataclass(frozen=True)
class Target:
    """A gateway to measure. `pids` are the processes whose CPU and memory count as its own."""

    name: str
    url: str
    headers: tuple[str, ...] = ()
    model: str = "bench-mock"
    pids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Shape:
    """What one call asks for: `chunks` 0 is a whole answer; `prompt_chars` is the size of the user message."""

    chunks: int = 0
    pace_ms: int = 0
    prompt_chars: int = 1000
    broken: bool = False

    def request(self, target: Target) -> bytes:
        """Return the complete HTTP request."""
        plan = f"[[bench chunks={self.chunks} pace_ms={self.pace_ms}{' broken=1' if self.broken else ''}]] "
        words = (plan + "lorem ipsum dolor sit amet " * (self.prompt_chars // 27 + 1))[: max(self.prompt_chars, len(plan))]
        fields: dict[str, object] = {
            "model": target.model,
            "messages": [{"role": "user", "content": words}],
            "temperature": 0.7,
        }
        if self.chunks:
            fields |= {"stream": True, "stream_options": {"include_usage": True}}
        body, url = json.dumps(fields).encode(), urlsplit(target.url)
        lines = (
            f"POST {url.path} HTTP/1.1",
            f"host: {url.netloc}",
            "content-type: application/json",
            f"content-length: {len(body)}",
        )
        return "\r\n".join((*lines, *target.headers, "", "")).encode() + body


@dataclass
class Sample:
    """What one load saw inside its window; times in microseconds. `bad` counts every wrong answer by reason, warm-up and drain included."""

    window_s: float = 0.0
    cpu_us: float = 0.0
    load_cpu_us: float = 0.0
    done: int = 0
    chunks: int = 0
    peak_open: int = 0
    asked: int = 0
    latency_us: list[float] = field(default_factory=list)
    first_us: list[float] = field(default_factory=list)
    travel_us: list[float] = field(default_factory=list)
    bad: Counter[str] = field(default_factory=Counter)


class Line(asyncio.Protocol):
    """One keep-alive connection of the generator."""

    def __init__(self, load: "Load") -> None:
        self.load = load
        self.transport: asyncio.Transport | None = None
        self.parser = httptools.HttpResponseParser(self)
        self.busy = self.keep = False
        self.status = self.seen = 0
        self.sent_s = 0.0
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment]

    def send(self, due_s: float) -> None:
        """Send the request; latency counts from `due_s`, the moment it should have left."""
        self.busy, self.seen, self.rest, self.sent_s = True, 0, b"", due_s
        self.load.sample.asked += 1
        if self.transport is None:
            self.ended("not connected")
            return
        self.transport.write(self.load.request)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what is not HTTP is a bad answer."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.keep = False
            self.ended("not HTTP")

    def on_headers_complete(self) -> None:
        """Read the status, and whether the connection may be used again (the parser knows it only now)."""
        self.status, self.keep = (
            self.parser.get_status_code(),
            self.parser.should_keep_alive(),
        )

    def on_body(self, data: bytes) -> None:
        """Count the marks, also those split over two reads (19 bytes kept are too few to count a mark twice)."""
        text = self.rest + data
        found = text.count(MARK)
        self.rest = text[-(len(MARK) - 1) :]
        if not found:
            return
        now_ns = time.monotonic_ns()
        load = self.load
        if load.counting:
            load.sample.chunks += found
            if not self.seen:
                load.sample.first_us.append(now_ns / 1000 - self.sent_s * 1e6)
            at = text.rfind(MARK) + len(MARK)
            if load.shape.chunks and text[at : at + DIGITS].isdigit() and len(text) >= at + DIGITS:
                load.sample.travel_us.append((now_ns - int(text[at : at + DIGITS])) / 1000)
        self.seen += found

    def on_message_complete(self) -> None:
        """Judge the answer."""
        expected, ended = (
            self.load.shape.chunks,
            self.rest.rstrip().endswith(b"data: [DONE]"),
        )
        if self.status != 200:
            self.ended(f"status {self.status}")
        elif self.seen != (expected or 1):
            self.ended("short answer")
        elif expected and not ended:
            self.ended("no terminal event")
        else:
            self.ended("")

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that ends inside an answer is a bad answer."""
        self.transport = None
        self.ended("connection lost")

    def ended(self, problem: str) -> None:
        """Settle the running call, if there is one, and hand the line back."""
        if not self.busy:
            return
        self.busy = False
        if (problem or not self.keep) and self.transport is not None:
            self.transport.abort()
            self.transport = None
        self.load.settle(self, problem)
        self.parser = self.parser if self.transport else httptools.HttpResponseParser(self)


class Load:
    """Calls of one shape on one target. `cpu_us` reads the target's CPU clock, in microseconds."""

    def __init__(self, target: Target, shape: Shape, cpu_us: Callable[[], float] = lambda: 0.0) -> None:
        self.target, self.shape, self.cpu_us = target, shape, cpu_us
        self.request = shape.request(target)
        self.sample = Sample()
        self.counting = self.closing = False
        self.open_now = 0
        self.idle: list[Line] = []
        self.lines: set[Line] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.again = False

    def settle(self, line: Line, problem: str) -> None:
        """Count one finished call; a closed loop sends the next one on the same line."""
        self.open_now -= 1
        if problem:
            self.sample.bad[problem] += 1
        elif self.counting:
            self.sample.done += 1
            self.sample.latency_us.append((time.monotonic() - line.sent_s) * 1e6)
        if line.transport is None:
            self.lines.discard(line)
        elif not self.again:
            self.idle.append(line)
        if self.again and not self.closing:
            self.start(time.monotonic(), line if line.transport else None)

    def start(self, due_s: float, line: Line | None = None) -> None:
        """Start one call on the line given, an idle one or a new one."""
        self.open_now += 1
        self.sample.peak_open = max(self.sample.peak_open, self.open_now)
        while line is None and self.idle:
            line = self.idle.pop()
            line = line if line.transport else None
        if line is not None:
            line.send(due_s)
            return
        task = asyncio.ensure_future(self.connect(due_s))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def connect(self, due_s: float | None) -> None:
        """Open a line; with a due moment also send the call on it."""
        url = urlsplit(self.target.url)
        try:
            _, line = await asyncio.get_running_loop().create_connection(lambda: Line(self), url.hostname or "", url.port or 80)
        except OSError:
            self.sample.bad["connect"] += 1
            self.open_now -= due_s is not None
            return
        self.lines.add(line)
        if due_s is None:
            self.idle.append(line)
        else:
            line.send(due_s)

    async def window(self, warm_s: float, measure_s: float) -> None:
        """Count for `measure_s` seconds after `warm_s` of warm-up."""
        await asyncio.sleep(warm_s)
        begun_s, cpu_us, own_s, self.counting = (
            time.monotonic(),
            self.cpu_us(),
            time.process_time(),
            True,
        )
        await asyncio.sleep(measure_s)
        self.counting = False
        self.sample.window_s = time.monotonic() - begun_s
        self.sample.cpu_us = self.cpu_us() - cpu_us
        self.sample.load_cpu_us = (time.process_time() - own_s) * 1e6

    async def finish(self) -> Sample:
        """Let running calls end within DRAIN_S; those that do not are bad."""
        self.closing = True
        until_s = time.monotonic() + DRAIN_S
        while self.open_now > 0 and time.monotonic() < until_s:
            await asyncio.sleep(0.01)
        if self.open_now > 0:
            self.sample.bad["unfinished"] += self.open_now
        for line in tuple(self.lines):
            line.busy = False
            if line.transport is not None:
                line.transport.abort()
        return self.sample

    async def closed(self, lines: int, warm_s: float, measure_s: float, ramp_s: float = 0.0) -> Sample:
        """Keep `lines` calls running; with `ramp_s` they start spread over so many seconds of the warm-up."""
        self.again = True
        loop = asyncio.get_running_loop()
        for number in range(lines):
            loop.call_later(ramp_s * number / lines, lambda: self.start(time.monotonic()))
        await self.window(warm_s, measure_s)
        return await self.finish()

    async def arriving(self, per_s: float, warm_s: float, measure_s: float) -> Sample:
        """Send calls at random moments, `per_s` on average, whether or not earlier ones were answered."""
        for _ in range(32):
            await self.connect(None)
        due_s, at_s, chance = [], time.monotonic() + 0.02, random.Random(1)
        end_s = at_s + warm_s + measure_s
        while (at_s := at_s + chance.expovariate(per_s)) < end_s:
            due_s.append(at_s)
        coming = iter(due_s)
        reader, writer = os.pipe()
        loop = asyncio.get_running_loop()

        def arrive() -> None:
            for _ in os.read(reader, 4096):
                self.start(next(coming))

        loop.add_reader(reader, arrive)
        ticker = threading.Thread(target=tick, args=(due_s, writer), daemon=True)
        ticker.start()
        try:
            await self.window(warm_s, measure_s)
            await loop.run_in_executor(None, ticker.join, 5.0)
            await asyncio.sleep(0.01)
            return await self.finish()
        finally:
            loop.remove_reader(reader)
            os.close(reader)
            os.close(writer)


def tick(due_s: Sequence[float], writer: int) -> None:
    """Write one byte at each moment; a thread, because loop timers are only good to a millisecond."""
    for at_s in due_s:
        time.sleep(max(0.0, at_s - time.monotonic()))
        os.write(writer, b".")
