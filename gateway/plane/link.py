"""A worker's line to the steward of its host: configuration and answers come in, figures go out. The steward may be gone at any time."""

import asyncio
import contextlib
import os
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from billing.holds import Clock, GaveBack, GiveBack, Grant, Granted, Recall, Standing, Take, Want
from gateway.plane.batch import BatchQuestion, CloseBatch, OpenBatch, Opened, StartedBatch
from gateway.plane.objects import Drop, Needs, Note, ObjectQuestion, Objects, Page, Search
from gateway.plane.snapshot import Update
from gateway.plane.stored import Fetch, Forget, Found, Keep
from gateway.plane.stored import Question as StoreQuestion

FRAME = struct.Struct("<I")
LIMIT_BYTES = 1 << 30
RECONNECT_S = 0.1
SUN_PATH_BYTES = 100
REFRESH_GAP_S = 0.1
# A clock that moved by less has drifted; by more it was not right before.
JUMP_S = 1.0
QUESTION_S = 2.0
# Nobody waits longer for a response to be stored or read; the answer itself goes on.
STORE_S = 3.0
# To hold what a whole batch may cost, other hosts may be asked for what they do not need.
BATCH_S = 10.0
# The steward asks another machine: longer than for what is at hand, and not again for every token of a stranger.
SIGNERS_S, SIGNERS_GAP_S = 12.0, 10.0


class Hello(msgspec.Struct, tag="hello", frozen=True):
    """A worker introduces itself."""

    worker: str


class Figures(msgspec.Struct, tag="figures", frozen=True):
    """All counters of a worker since its start."""

    worker: str
    values: dict[str, float]


class Applied(msgspec.Struct, tag="applied", frozen=True):
    """A worker serves by this revision of the configuration from now on."""

    revision: int


class Ask(msgspec.Struct, tag="ask", frozen=True):
    """A question with a number: `refresh` polls the configuration now, `in_force` also waits for all workers, `scrape` wants the metrics page,
    `signers` fetches the OpenID provider's keys."""

    number: int
    what: str


class Told(msgspec.Struct, tag="told", frozen=True):
    """The answer to a question; `ok` is False when the database could not be asked."""

    number: int
    ok: bool
    text: bytes = b""


Message = (
    Hello | Figures | Applied | Ask | Told | Update | Take | Granted | GiveBack | GaveBack | Recall | Clock | Standing
    | Keep | Fetch | Forget | Found | Note | Search | Page | Drop | Needs | Objects | OpenBatch | StartedBatch | CloseBatch | Opened
)  # fmt: skip
# what is known of stored things: questions, and what answers them
Inquiry = StoreQuestion | ObjectQuestion | BatchQuestion
Finding = Found | Objects | Opened
F = TypeVar("F", Found, Objects, Opened)
encoder = msgspec.msgpack.Encoder()
decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def frame(message: Message) -> bytes:
    """Return a message as it travels: length (u32, little endian), then msgpack."""
    payload = encoder.encode(message)
    return FRAME.pack(len(payload)) + payload


async def receive(reader: asyncio.StreamReader) -> Message:
    """Return the next message; raises IncompleteReadError at the end and ValueError on an absurd length."""
    (length,) = FRAME.unpack(await reader.readexactly(FRAME.size))
    if length > LIMIT_BYTES:
        raise ValueError(f"a message of {length} bytes")
    return decoder.decode(await reader.readexactly(length))


@contextlib.contextmanager
def reachable(path: Path) -> Iterator[str]:
    """Give a unix socket's path in a form that fits the 108 bytes of sun_path (unix(7)), however deep the directory is."""
    if len(os.fsencode(path)) < SUN_PATH_BYTES:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def ignore(*_: object) -> None:
    """Do nothing with an answer nobody is there for yet."""


class Link:
    """Keeps the line open, hands every Update to `on_update`, and asks questions with a deadline."""

    def __init__(self, path: Path, worker: str, on_update: Callable[[Update], None], figures: Callable[[], dict[str, float]]) -> None:
        self._path, self._worker, self._on_update, self._figures = path, worker, on_update, figures
        self.on_granted: Callable[[tuple[Grant, ...]], None] = ignore
        self.on_recall: Callable[[tuple[str, ...]], None] = ignore
        self.on_jump: Callable[[], None] = ignore
        # leases asked for and given back, until they are answered: whatever happens to the line, each is answered once
        self._questions: dict[int, Take | GiveBack] = {}
        self._is_up = True
        self._offset_s = time.time() - time.monotonic()
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[int, asyncio.Future[Told]] = {}
        self._searches: dict[int, asyncio.Future[Finding]] = {}
        self._number = 0
        self._refreshing: asyncio.Task[bool] | None = None
        self.heard = asyncio.Event()
        # the database's clock was told, or that nobody can ask for it
        self.timed = asyncio.Event()
        self._refreshed_at = -1.0
        self._fetching: asyncio.Task[bool] | None = None
        self._fetched_at = float("-inf")

    async def run(self) -> None:
        """Stay connected until cancelled."""
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError, msgspec.DecodeError):
                await self._connected()
            self._lose()
            await asyncio.sleep(RECONNECT_S)

    async def _connected(self) -> None:
        with reachable(self._path) as path:
            reader, writer = await asyncio.open_unix_connection(path)
        self._writer = writer
        try:
            writer.write(frame(Hello(worker=self._worker)))
            for question in self._questions.values():
                writer.write(frame(question))
            self.push()
            while True:
                message = await receive(reader)
                if isinstance(message, Update):
                    self._on_update(message)
                    self.heard.set()
                elif isinstance(message, Granted):
                    if self._questions.pop(message.number, None) is not None:
                        self.on_granted(message.grants)
                elif isinstance(message, GaveBack):
                    self._questions.pop(message.number, None)
                elif isinstance(message, Recall):
                    self.on_recall(message.windows)
                elif isinstance(message, Standing):
                    self._is_up = message.up
                    if not message.up:
                        self.timed.set()
                elif isinstance(message, Clock):
                    self._set_clock(message.now_s - time.monotonic())
                elif isinstance(message, Told):
                    waiter = self._waiting.pop(message.number, None)
                    if waiter is not None and not waiter.done():
                        waiter.set_result(message)
                elif isinstance(message, Finding):
                    search = self._searches.pop(message.number, None)
                    if search is not None and not search.done():
                        search.set_result(message)
        finally:
            writer.close()

    def _set_clock(self, offset_s: float) -> None:
        jump_s, self._offset_s = abs(offset_s - self._offset_s), offset_s
        self.timed.set()
        if jump_s > JUMP_S:
            self.on_jump()

    def _lose(self) -> None:
        self._writer = None
        for waiter in self._waiting.values():
            if not waiter.done():
                waiter.set_result(Told(number=0, ok=False))
        self._waiting.clear()
        for search in self._searches.values():
            search.cancel()
        self._searches.clear()

    async def flush(self) -> None:
        """Wait a moment until what was said has left."""
        if self._writer is not None:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await self._writer.drain()

    def push(self) -> None:
        """Send this worker's figures, if the steward is there."""
        if self._writer is not None:
            self._writer.write(frame(Figures(worker=self._worker, values=self._figures())))

    def applied(self, revision: int) -> None:
        """Say by which revision this worker serves, if the steward is there."""
        if self._writer is not None:
            self._writer.write(frame(Applied(revision)))

    # ---- the authority over budgets ---------------------------------------------------------------------------------

    @property
    def reachable(self) -> bool:
        """Whether the steward is there and reaches the database, as far as it said."""
        return self._writer is not None and self._is_up

    def now_s(self) -> float:
        """Return the database's clock in Unix seconds, this host's until it was told."""
        return time.monotonic() + self._offset_s

    def ask(self, wants: tuple[Want, ...]) -> None:
        """Ask for leases; the answer goes to `on_granted`."""
        self._question(Take(self._next(), self._worker, wants))

    def give_back(self, amounts: dict[str, int], ends: tuple[str, ...] = ()) -> None:
        """Return unused amounts by window; of those in `ends` nothing more is held here."""
        self._question(GiveBack(self._next(), self._worker, amounts, ends))

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _question(self, question: Take | GiveBack) -> None:
        self._questions[question.number] = question
        if self._writer is not None:
            self._writer.write(frame(question))

    # ---- what is stored ---------------------------------------------------------------------------------------------

    async def store(self, question: StoreQuestion) -> Found:
        """Ask the store of responses; not `ok` where it is not there or does not answer in time."""
        return await self._inquire(question, Found(), STORE_S)

    async def objects(self, question: ObjectQuestion) -> Objects:
        """Ask whose the objects at vendors are; not `ok` where nobody answers in time."""
        return await self._inquire(question, Objects(), STORE_S)

    async def batch(self, question: BatchQuestion) -> Opened:
        """Have a batch written down, begun or given up; not `ok` where nobody answers in time."""
        return await self._inquire(question, Opened(), BATCH_S)

    async def _inquire(self, question: Inquiry, nothing: F, within_s: float) -> F:
        """Return what the steward finds, `nothing` where it does not answer in time."""
        if self._writer is None or not self._is_up:
            return nothing
        number = self._next()
        search: asyncio.Future[Finding] = asyncio.get_running_loop().create_future()
        self._searches[number] = search
        self._writer.write(frame(msgspec.structs.replace(question, number=number)))
        try:
            await asyncio.wait([search], timeout=within_s)
            found = search.result() if search.done() and not search.cancelled() else nothing
            return found if isinstance(found, type(nothing)) else nothing
        finally:
            self._searches.pop(number, None)

    # ---- questions with a deadline ----------------------------------------------------------------------------------

    async def _ask(self, what: str, timeout_s: float) -> Told:
        if self._writer is None:
            return Told(number=0, ok=False)
        number = self._number = self._number + 1
        waiter: asyncio.Future[Told] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiter
        self._writer.write(frame(Ask(number=number, what=what)))
        try:
            async with asyncio.timeout(timeout_s):
                return await waiter
        except TimeoutError:
            return Told(number=0, ok=False)
        finally:
            self._waiting.pop(number, None)

    async def refresh(self) -> bool:
        """Have the configuration polled now; one poll serves all who wait, at most ten a second. False: the database could not be asked."""
        if self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh())
        return await asyncio.shield(self._refreshing)

    async def _refresh(self) -> bool:
        loop = asyncio.get_running_loop()
        wait_s = self._refreshed_at + REFRESH_GAP_S - loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        self._refreshed_at = loop.time()
        # whoever comes after this moment needs a poll that starts after this moment
        self._refreshing = None
        return (await self._ask("refresh", QUESTION_S)).ok

    async def signers(self) -> bool:
        """Have the OpenID provider's keys fetched again; one question serves all who wait, and none is asked soon after another. False: nobody can say."""
        if self._fetching is None:
            if self._fetched_at + SIGNERS_GAP_S > time.monotonic():
                return True
            self._fetched_at = time.monotonic()
            self._fetching = asyncio.create_task(self._fetch())
        return await asyncio.shield(self._fetching)

    async def _fetch(self) -> bool:
        try:
            return (await self._ask("signers", SIGNERS_S)).ok
        finally:
            self._fetching = None

    async def in_force(self) -> bool:
        """Wait until all workers of this host serve by what is in the database now. False: that is not so yet, or nobody can say."""
        return (await self._ask("in_force", QUESTION_S)).ok

    async def scrape(self) -> bytes | None:
        """Return the metrics page of all workers, or None when the steward does not answer."""
        self.push()
        told = await self._ask("scrape", QUESTION_S)
        return told.text if told.ok else None
