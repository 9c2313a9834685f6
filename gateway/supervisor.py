"""Keeps the processes of one host running: starts, restarts and stops them in order. Knows command lines and signals, not what they do."""

import argparse
import asyncio
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.lifeline import die_with_parent

ROOT = Path(__file__).resolve().parent.parent
STEADY_AFTER_S = 10.0
LONGEST_BACKOFF_S = 5.0
MARGIN_S = 5.0
STOP_S = 15.0
# Of WhiteNoise: it works without a staticfiles folder, and its small files may be read in a thread.
WORKER_WARNINGS = ("-W", "ignore:No directory at", "-W", "ignore:StreamingHttpResponse must consume synchronous iterators")
# Celery's fear of root is about pickled messages; ours are JSON.
ROOT_WARNING = "ignore:You're running the worker with superuser privileges"


@dataclass(frozen=True)
class Child:
    """One process to keep running. Those of a lower `stop_stage` are stopped first; `stop_s` is how long they get."""

    name: str
    command: tuple[str, ...]
    stop_stage: int
    stop_s: float
    environment: Mapping[str, str] = field(default_factory=dict)
    pass_fds: tuple[int, ...] = ()


@dataclass
class Running:
    """A child's present process. `failures` counts quick ends in a row; times are monotonic seconds."""

    child: Child
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    failures: int = 0
    restart: asyncio.TimerHandle | None = None


def backoff_s(failures: int) -> float:
    """Return how long to wait before the next start, in seconds: nothing after the first quick end, then doubling from 0.25 to 5."""
    return 0.0 if failures <= 1 else min(LONGEST_BACKOFF_S, 0.25 * 2.0 ** min(failures - 2, 8))


def say(event: str, **facts: object) -> None:
    """Write one structured log line to standard error."""
    print(
        json.dumps({"timestamp": time.time(), "level": "info", "logger": "supervisor", "event": event, **facts}),
        file=sys.stderr,
        flush=True,
    )


class Supervisor:
    """Runs children until told to stop, then ends them stage by stage. One per process, in the main thread (it owns SIGCHLD)."""

    def __init__(self, children: Sequence[Child], listening: socket.socket | None = None, log: Callable[..., None] = say) -> None:
        self.running = [Running(child) for child in children]
        self._listening = listening
        self._log = log
        self._stopping = asyncio.Event()
        self._forced = asyncio.Event()
        self._ended = asyncio.Event()

    async def run(self) -> int:
        """Keep the children running until a signal or `stop`; return 0 after an orderly stop, 1 after a forced one."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        try:
            for each in self.running:
                self._start(each)
            await self._stopping.wait()
            self._log("stopping")
            if self._listening is not None:
                self._listening.close()
            for stage in sorted({each.child.stop_stage for each in self.running}):
                await self._stop_stage([each for each in self.running if each.child.stop_stage == stage])
        finally:
            self._kill_all()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
                loop.remove_signal_handler(number)
        self._log("stopped", forced=self._forced.is_set())
        return 1 if self._forced.is_set() else 0

    def stop(self) -> None:
        """Begin an orderly stop; called again, force it."""
        if self._stopping.is_set():
            self._forced.set()
            self._ended.set()
        self._stopping.set()

    def _start(self, each: Running) -> None:
        child = each.child
        each.restart = None
        each.started_s = time.monotonic()
        try:
            each.process = subprocess.Popen(
                child.command,
                env={**os.environ, **child.environment},
                cwd=ROOT,
                pass_fds=child.pass_fds,
                stdin=subprocess.DEVNULL,
                # Its own session: a Ctrl-C at the terminal reaches the supervisor alone, which then stops the children in order.
                start_new_session=True,
                preexec_fn=functools.partial(die_with_parent, os.getpid()),
            )
        except OSError as error:
            self._log("could not start", child=child.name, error=str(error))
            self._restart_later(each)

    def _reap(self) -> None:
        for each in self.running:
            if each.process is None or each.process.poll() is None:
                continue
            status = each.process.returncode
            kill_group(each.process.pid)
            each.process = None
            if self._stopping.is_set():
                self._ended.set()
                continue
            self._log("ended unexpectedly", child=each.child.name, status=status)
            self._restart_later(each)

    def _restart_later(self, each: Running) -> None:
        each.failures = 1 if time.monotonic() - each.started_s >= STEADY_AFTER_S else each.failures + 1
        each.restart = asyncio.get_running_loop().call_later(backoff_s(each.failures), self._start, each)

    async def _stop_stage(self, stage: Sequence[Running]) -> None:
        for each in stage:
            if each.restart is not None:
                each.restart.cancel()
            if each.process is not None and not self._forced.is_set():
                each.process.send_signal(signal.SIGTERM)
        deadline_s = time.monotonic() + max(each.child.stop_s for each in stage)
        while any(each.process for each in stage) and not self._forced.is_set():
            self._ended.clear()
            try:
                async with asyncio.timeout(deadline_s - time.monotonic()):
                    await self._ended.wait()
            except TimeoutError:
                break
        for each in stage:
            if each.process is not None:
                self._log("killed", child=each.child.name)
                self._kill(each)

    def _kill_all(self) -> None:
        for each in self.running:
            if each.restart is not None:
                each.restart.cancel()
            self._kill(each)

    def _kill(self, each: Running) -> None:
        if each.process is not None:
            kill_group(each.process.pid)
            each.process.wait(MARGIN_S)
            each.process = None


def kill_group(leader: int) -> None:
    """Kill what is left of a child's process group, so that its own children do not outlive it."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def host_children(role: str, workers: int, fd: int, drain_s: float, *, data_dir: Path, simulator_fd: int = -1) -> tuple[Child, ...]:
    """Return the processes a role runs on one host; workers stop first, so that the steward takes in their last receipts."""
    manage = (sys.executable, "manage.py")
    env = {"SYMBIOSIS_ROLE": role}
    children = [Child("steward", (*manage, "steward"), 1, STOP_S, env)]
    for index in range(workers if role != "worker" else 0):
        command = (sys.executable, *WORKER_WARNINGS, "-m", "gateway.worker", "--fd", str(fd), "--index", str(index))
        children.append(Child(f"worker-{index}", command, 0, drain_s + MARGIN_S, env, (fd,)))
    if role in ("all", "worker"):
        children.append(Child("celery", celery_command(data_dir), 1, STOP_S, {**env, "C_FORCE_ROOT": "1"}))
    if simulator_fd >= 0:
        simulator = (sys.executable, "-m", "gateway.simulator", "--fd", str(simulator_fd))
        children.insert(0, Child("simulator", simulator, 2, MARGIN_S, env, (simulator_fd,)))
    return tuple(child for child in children if role != "worker" or child.name == "celery")


def celery_command(data_dir: Path) -> tuple[str, ...]:
    """Return the command line of the Celery worker with beat; its files stay in the data directory."""
    return (
        *(sys.executable, "-W", "ignore::RuntimeWarning", "-W", ROOT_WARNING, "-m", "celery", "--quiet", "-A", "gateway.celery", "worker", "-B"),
        *(
            "--pool",
            "threads",
            "--concurrency",
            "2",
            "--loglevel",
            "WARNING",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ),
        *("--pidfile", "", "--schedule", str(data_dir / "run" / "celerybeat-schedule")),
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket that worker processes can inherit; raises OSError when the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(2048)
    except OSError:
        listening.close()
        raise
    listening.setblocking(False)
    listening.set_inheritable(True)
    return listening


def main(arguments: Sequence[str]) -> int:
    """Run the processes of a host on a listening socket handed over by `manage.py serve`; return the exit status."""
    parser = argparse.ArgumentParser(description="Keep the gateway's processes running. Started by `manage.py serve`.")
    parser.add_argument("--role", choices=("all", "gateway", "portal", "worker"), required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--fd", type=int, default=-1)
    parser.add_argument("--drain-s", type=float, required=True)
    parser.add_argument("--data-dir", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    listening = socket.socket(fileno=chosen.fd) if chosen.fd >= 0 else None
    children = host_children(chosen.role, chosen.workers, chosen.fd, chosen.drain_s, data_dir=chosen.data_dir)
    return asyncio.run(_supervise(children, listening))


async def _supervise(children: Sequence[Child], listening: socket.socket | None) -> int:
    return await Supervisor(children, listening).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
