"""The whole product as `make run` starts it, on a free port with a data directory of its own, for tests that need the real thing."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.fakes import migrated
from tests.fakes.commands import Commands
from tests.fakes.ports import free_port
from tests.fakes.processes import family

ROOT = Path(__file__).resolve().parents[2]
START_S = 240.0

# Runs inside the copy's own Django: one account for every deployment, so that no deployment shares a pool or a breaker with another.
ADD_MODELS = """
import json, sys
from datetime import UTC, datetime
from django.db import transaction
from billing.models import Price
from gateway import actions
from gateway.models import Deployment, Model, ProviderAccount
from gateway.simulator import signatures
simulators = dict(ProviderAccount.objects.filter(is_demo=True).values_list("provider", "base_url"))
simulators |= dict.fromkeys(("simulator_responses", "openai_compatible", "groq", "mistral", "together", "ollama"), simulators["simulator"])
simulators["azure"] = simulators["cohere"] = simulators["simulator"].removesuffix("/v1")
credentials = {"simulator_bedrock": signatures.CREDENTIAL}
with transaction.atomic():
    price = Price.objects.get_or_create(provider="tests", upstream_model="any", valid_from=datetime(2026, 1, 1, tzinfo=UTC),
        defaults={"input_nanousd": 1_000_000_000, "output_nanousd": 2_000_000_000, "source": "simulated"})[0]
    for name, deployments in json.loads(%r).items():
        model = Model(name=name)
        actions.save_row(model)
        for order, wish in enumerate(deployments):
            provider, upstream_model = wish.pop("provider", "simulator"), wish.pop("upstream_model", "sim-chat")
            base_url, credential = wish.pop("base_url", "") or simulators[provider], wish.pop("credential", credentials.get(provider, "a-credential"))
            account = ProviderAccount(slug=f"t-{name}-{order}", name=name, provider=provider, base_url=base_url, **wish)
            actions.save_provider_account(account, credential)
            actions.save_row(Deployment(model=model, account=account, upstream_model=upstream_model, order=order, price=price))
"""


def wait_for(true: Callable[[], Any], within_s: float, what: str) -> Any:
    """Return the first true value of a condition; fails when it does not come true in time."""
    until = time.monotonic() + within_s
    while True:
        value = true()
        if value:
            return value
        assert time.monotonic() < until, f"not within {within_s} s: {what}"
        time.sleep(0.02)  # a poll of another process, bounded above


class Service:
    """One running copy of the product."""

    def __init__(
        self, data_dir: Path, *, workers: int = 1, database_url: str = "", environment: dict[str, str] | None = None, is_prepared: bool = True
    ) -> None:
        """`is_prepared` gives it the demo content that another copy was given before."""
        self.is_prepared = is_prepared
        self.data_dir, self.workers, self.port = data_dir, workers, free_port()
        given = {name: value for name, value in os.environ.items() if not name.startswith(migrated.STRIPPED)}
        self.environment = {
            **given,
            "SYMBIOSIS_DATA_DIR": str(data_dir),
            "SYMBIOSIS_WORKERS": str(workers),
            "SYMBIOSIS_DATABASE_URL": database_url,
            **(environment or {}),
        }
        self._commands: Commands | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.log_path = data_dir.parent / f"{data_dir.name}.log"

    def start(self) -> "Service":
        """Start everything and wait until it is ready."""
        self.log_path.touch()
        before = self._stamp()
        if self.is_prepared and not self.environment["SYMBIOSIS_DATABASE_URL"] and not self.data_dir.exists():
            migrated.copy_demo(self.data_dir)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gateway.demo_start", "--port", str(self.port)],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

        def ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log()[-4000:]
            return self._stamp() not in (0, before) and self.status("/readyz") == 200

        wait_for(ready, START_S, "the service is ready")
        self.demo: dict[str, Any] = json.loads((self.data_dir / "demo.json").read_text())
        return self

    def _stamp(self) -> float:
        try:
            return (self.data_dir / "demo.json").stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    @property
    def origin(self) -> str:
        """Return the address without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """Return what clients use as base URL."""
        return f"{self.origin}/v1"

    @property
    def key(self) -> str:
        """Return the demo key."""
        return str(self.demo["key"])

    def status(self, path: str) -> int:
        """Return the status of a GET, 0 when nobody answers."""
        return self.get(path)[0]

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of a GET."""
        try:
            with urllib.request.urlopen(self.origin + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def post(
        self, path: str, body: Any, key: str | None = None, headers: dict[str, str] | None = None, timeout_s: float = 30
    ) -> tuple[int, dict[str, str], Any]:
        """Return status, headers and decoded JSON of a POST with the demo key or another."""
        request = urllib.request.Request(self.origin + path, json.dumps(body).encode(), method="POST")
        request.add_header("content-type", "application/json")
        request.add_header("authorization", f"Bearer {self.key if key is None else key}")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return answer.status, dict(answer.headers), json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), json.loads(error.read())

    def log(self) -> str:
        """Return everything the service printed."""
        return self.log_path.read_text(errors="replace")

    def manage(self, *command: str) -> str:
        """Run a management command against this copy and return what it printed."""
        environment = {"SYMBIOSIS_PRIVATE_UPSTREAMS": "loopback", **self.environment}
        if self._commands is None or self._commands.environment != environment:
            self._end_commands()
            self._commands = Commands(environment)
        done = self._commands.run(command, 120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _end_commands(self) -> None:
        if self._commands is not None:
            self._commands.close()

    def figure(self, sample: str) -> float:
        """Return one sample of the metrics page, 0 when it is not there."""
        found = re.search(rf"^{re.escape(sample)} (\S+)$", self.get("/metrics")[1], re.MULTILINE)
        return float(found[1]) if found else 0.0

    def in_force(self, revision: float) -> None:
        """Wait until every worker serves by this revision of the configuration or a later one."""
        wait_for(lambda: self.figure("sgw_snapshot_revision") >= revision and self.figure("sgw_workers_behind") == 0, 10, f"revision {revision} is in force")

    def change(self, code: str) -> None:
        """Run code in this copy's Django that changes the configuration, and wait until every worker serves by it."""
        told = self.manage("shell", "-v", "0", "-c", f"{code}\nfrom gateway.models import Revision\nprint(Revision.objects.get().number)")
        self.in_force(float(told.split()[-1]))

    def add_models(self, models: dict[str, list[dict[str, Any]]]) -> None:
        """Add chat models by name, each with deployments in order, and wait until they are in force.

        A deployment names `provider` (default simulator), `base_url` (default the simulator's), `upstream_model`, `credential` and
        fields of its account, which is its own and called t-<model>-<order>.
        """
        self.change(ADD_MODELS % json.dumps(models))

    def rows(self, where: str = "is_demo = 0", columns: str = "*") -> list[dict[str, Any]]:
        """Return usage records of the embedded database."""
        return self.query(f"SELECT {columns} FROM billing_usagerecord WHERE {where} ORDER BY id")

    def query(self, statement: str) -> list[dict[str, Any]]:
        """Return what a query finds in the embedded database."""
        import sqlite3

        # closed at once: to read the file otherwise, as some tests do, ends the locks of whatever this process has open there, and the index may then be old
        with contextlib.closing(sqlite3.connect(f"file:{self.data_dir}/symbiosis.sqlite3?mode=ro", uri=True, timeout=20)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(statement)]

    def row_of(self, call_id: str, within_s: float = 10) -> dict[str, Any]:
        """Return the one row of a call, waiting for intake."""
        rows: list[dict[str, Any]] = wait_for(lambda: self.rows(f"call_id = '{call_id}'"), within_s, f"a row of {call_id}")
        assert len(rows) == 1
        return rows[0]

    def pids(self) -> list[int]:
        """Return every process of this copy."""
        assert self.process is not None
        return family(self.process.pid)

    def _workers(self) -> list[Path]:
        """Return the entries of all processes that serve calls."""
        return [entry for pid in self.pids() if b"gateway.worker" in ((entry := Path(f"/proc/{pid}")) / "cmdline").read_bytes()]

    def worker_rss_bytes(self) -> int:
        """Return the resident memory of all processes that serve calls."""
        return sum(int((entry / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") for entry in self._workers())

    def worker_growth_bytes(self, act: Callable[[], object]) -> int:
        """Return how much more memory the processes that serve calls held at a time while something was done than before."""
        before = self.worker_rss_bytes()
        for entry in self._workers():
            (entry / "clear_refs").write_text("5")  # forget the most there was, see proc(5)
        act()
        found = [re.search(r"VmHWM:\s+(\d+) kB", (entry / "status").read_text()) for entry in self._workers()]
        return sum(int(most[1]) * 1024 for most in found if most is not None) - before

    def kill(self) -> None:
        """Kill every process at once, as a power switch would."""
        assert self.process is not None
        self._end_commands()
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self, within_s: float = 60) -> int:
        """Ask the service to stop and return its exit status."""
        assert self.process is not None
        self._end_commands()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(within_s)

    @contextlib.contextmanager
    def running(self) -> Iterator["Service"]:
        """Start this copy and stop it in good order in the end; its log is shown when anything inside fails."""
        try:
            yield self.start()
            assert self.stop() == 0, "not stopped in good order"
        except BaseException:
            print(self.log()[-8_000:])
            raise
        finally:
            self._end_commands()
            if self.process is not None and self.process.poll() is None:
                self.kill()

    def copy_secrets(self, to: Path) -> Path:
        """Copy what a further instance of the same installation shares, besides the database."""
        to.mkdir(parents=True)
        for name in ("secrets.json", "demo-facts.json"):
            shutil.copy(self.data_dir / name, to / name)
        return to

    def copy_data(self, to: Path) -> Path:
        """Copy the data of a stopped service and return the new place."""
        shutil.copytree(self.data_dir, to, ignore=shutil.ignore_patterns("run", "*.sock"))
        return to
