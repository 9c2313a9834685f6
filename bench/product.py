"""A private copy of the product for the bench: its own data directory, one worker, gateway role, one key and one model at the mock."""

import asyncio
import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bench import processes
from bench.load import Target

ROOT = Path(__file__).resolve().parent.parent
READY_S, TAKEN_S, STOP_S = 60.0, 120.0, 40.0
ROWS = "SELECT count(*) FROM billing_usagerecord"


@dataclass(frozen=True)
class Product:
    """The running copy: what to call, its steward, and its database."""

    name: str
    target: Target
    steward: tuple[int, ...]
    database: Path

    def rows(self) -> int:
        """Return how many usage records the database holds."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=20)) as connection:
            return int(connection.execute(ROWS).fetchone()[0])

    def steward_clock(self) -> Callable[[], float]:
        """Return a clock of the steward's CPU from now on, in microseconds, less what it used while idle (measured over one second)."""
        begun_us = processes.cpu_us(self.steward)
        time.sleep(1.0)
        idle_us_per_s = processes.cpu_us(self.steward) - begun_us
        start_us, start_s = processes.cpu_us(self.steward), time.monotonic()
        return lambda: processes.cpu_us(self.steward) - start_us - idle_us_per_s * (time.monotonic() - start_s)

    async def taken(self, expected: int) -> int:
        """Wait until intake has taken so many records, at most TAKEN_S seconds; return how many there are."""
        until_s = time.monotonic() + TAKEN_S
        while (found := self.rows()) < expected and time.monotonic() < until_s:
            await asyncio.sleep(0.2)
        return found


def command(environment: dict[str, str], *words: str) -> str:
    """Run one command of the product to its end and return what it printed; raises SystemExit with its errors."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def wait_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the URL answers 200, at most READY_S seconds; raises SystemExit with the end of the log."""
    until_s = time.monotonic() + READY_S
    while time.monotonic() < until_s and process.poll() is None:
        with (
            suppress(OSError, urllib.error.URLError),
            urllib.request.urlopen(url, timeout=2) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise SystemExit(f"The gateway did not become ready at {url}:\n{log.read_text(errors='replace')[-3000:]}")


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(folder: Path, upstream_url: str, gateway_core: int, load_core: int) -> Iterator[Product]:
    """Set up and start a copy of the product in a folder, worker on one core, everything else on the other; stop it in the end."""
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SYMBIOSIS_")}
    environment = kept | {
        "SYMBIOSIS_DATA_DIR": str(folder),
        "SYMBIOSIS_PRIVATE_UPSTREAMS": "loopback",
        "SYMBIOSIS_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "SYMBIOSIS_WORKERS": "1",
    }
    command(environment, "manage.py", "init_secrets")
    command(environment, "manage.py", "migrate", "--verbosity", "0")
    key = command(environment, "-m", "bench.provision", upstream_url).split()[-1]
    log = folder / "serve.log"
    words = [
        sys.executable,
        "manage.py",
        "serve",
        "--role",
        "gateway",
        "--bind",
        f"127.0.0.1:{port}",
    ]
    with (
        log.open("wb") as out,
        subprocess.Popen(words, cwd=ROOT, env=environment, stdout=out, stderr=out) as process,
    ):
        try:
            wait_ready(f"http://127.0.0.1:{port}/readyz", process, log)
            family = processes.children(process.pid)
            workers = tuple(pid for pid, words in family.items() if "gateway.worker" in words)
            steward = tuple(pid for pid, words in family.items() if "manage.py steward" in words)
            if not workers or not steward:
                raise SystemExit(f"No worker or no steward among the processes of serve: {sorted(family.values())}")
            processes.pin(
                (process.pid, *(pid for pid in family if pid not in workers)),
                load_core,
                nice=10,
            )
            processes.pin(workers, gateway_core)
            url = f"http://127.0.0.1:{port}/v1/chat/completions"
            target = Target(
                "symbiosis",
                url,
                (f"authorization: Bearer {key}",),
                "bench-mock",
                workers,
            )
            yield Product(target.name, target, steward, folder / "symbiosis.sqlite3")
        finally:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
            process.kill()
