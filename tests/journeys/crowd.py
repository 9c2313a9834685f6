"""Very many callers at the same moment, each on a connection of its own, and what a budget's window says meanwhile, read from the database itself."""

import asyncio
import contextlib
import json
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import psycopg

from tests.fakes.service import Service

WITHIN_S = 120.0
LOOK_S = 0.01
FIGURES = "SELECT base + credit, spent, held FROM billing_window WHERE budget_id = '{0}'"
# Every account movement of one window in the order it was written, as what it adds to what is still free.
FREE = """
SELECT SUM(CASE WHEN credit = '{0}' THEN amount_nanousd ELSE -amount_nanousd END) FROM billing_entry
WHERE credit = '{0}' OR debit = '{0}' GROUP BY posting_id ORDER BY posting_id
"""


class Answer(NamedTuple):
    """What one caller heard; `body` is the decoded JSON."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def call_id(self) -> str:
        """Return the gateway's name of the call."""
        return self.headers["x-request-id"]


def all_at_once(origins: Sequence[str], key: str, bodies: Sequence[dict[str, Any]]) -> list[Answer]:
    """Connect as many callers as there are bodies, spread over the origins, then let all of them ask in the same moment."""

    async def ask(number: int, ready: asyncio.Semaphore, go: asyncio.Event) -> Answer:
        place = urlsplit(origins[number % len(origins)])
        data = json.dumps(bodies[number]).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {place.netloc}\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        ready.release()
        await go.wait()
        if reader.at_eof():
            # shown out for waiting too long with nothing said, as on a machine that is busy with other things
            reader, writer = await asyncio.open_connection(place.hostname, place.port)
        writer.write(f"{head}content-length: {len(data)}\r\nconnection: close\r\n\r\n".encode() + data)
        answer = await reader.read()
        writer.close()
        top, _, body = answer.partition(b"\r\n\r\n")
        status, *lines = top.decode().split("\r\n")
        return Answer(int(status.split()[1]), {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}, json.loads(body))

    async def everybody() -> list[Answer]:
        ready, go = asyncio.Semaphore(0), asyncio.Event()
        async with asyncio.timeout(WITHIN_S):
            callers = [asyncio.create_task(ask(number, ready, go)) for number in range(len(bodies))]
            for _ in callers:
                await ready.acquire()
            go.set()
            return await asyncio.gather(*callers)

    return asyncio.run(everybody())


def counted(answers: Sequence[Answer]) -> dict[int, int]:
    """Return how often each status came."""
    return dict(Counter(answer.status for answer in answers))


class Sample(NamedTuple):
    """A window's figures at one moment, in nano-USD."""

    limit: int
    spent: int
    held: int


class Database:
    """A reader's own line to a service's database, which may be gone now and then."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @contextlib.contextmanager
    def line(self) -> Iterator[Callable[[str], list[Any]]]:
        """Give a function that runs one query and returns its rows."""
        url = self._service.environment["SYMBIOSIS_DATABASE_URL"]
        if url:
            with psycopg.connect(url, autocommit=True, connect_timeout=5) as line:
                yield lambda query: line.execute(query).fetchall()
            return
        with contextlib.closing(sqlite3.connect(f"file:{self._service.data_dir}/symbiosis.sqlite3?mode=ro", uri=True, timeout=20)) as embedded:
            yield lambda query: embedded.execute(query).fetchall()

    def rows(self, query: str) -> list[Any]:
        """Run one query."""
        with self.line() as ask:
            return ask(query)


@dataclass
class Watch:
    """Reads a budget's window from the database again and again until the block ends; a database that is away is asked again."""

    service: Service
    budget: str

    def __enter__(self) -> Self:
        self.samples: list[Sample] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(30)

    def _look(self) -> None:
        database = Database(self.service)
        while not self._done.is_set():
            with contextlib.suppress(psycopg.Error, sqlite3.Error), database.line() as ask:
                while not self._done.wait(LOOK_S):
                    self.samples += [Sample(*map(int, row)) for row in ask(FIGURES.format(self.budget.removeprefix("bud_")))]

    @property
    def over(self) -> list[Sample]:
        """Return the samples beyond the limit."""
        return [sample for sample in self.samples if sample.spent + sample.held > sample.limit]


def least_free(service: Service, budget: str) -> int:
    """Return the least that was ever free of a budget's only window by the ledger, posting after posting, in nano-USD."""
    with Database(service).line() as ask:
        ((window,),) = ask(f"SELECT id FROM billing_window WHERE budget_id = '{budget.removeprefix('bud_')}'")
        free = lowest = 0
        for (moved,) in ask(FREE.format(f"window:{window}:free")):
            free += int(moved)
            lowest = min(lowest, free)
    return lowest


def nanousd(text: str) -> int:
    """Return a decimal number of dollars in nano-USD."""
    return int(Decimal(text) * 1_000_000_000)
