"""The supervisor, with small scripts for children: restart, order of stopping, force, and nobody left behind."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.supervisor import WORKER_WARNINGS, Child, backoff_s, celery_command, host_children, listen

WITHIN_S = 120.0  # only a bound: a busy machine may take long to start a process
ROOT = Path(__file__).resolve().parents[2]

# Runs a supervisor over dummy children: names, stages, and scripts are given as Python source.
HOST = """
import asyncio, sys
from gateway.supervisor import Child, Supervisor

async def run():
    children = [Child(name, (sys.executable, "-c", script), stage, stop_s) for name, script, stage, stop_s in {children!r}]
    return await Supervisor(children, log=lambda event, **facts: print(event, *facts.values(), flush=True)).run()

sys.exit(asyncio.run(run()))
"""
LASTING = """
import os, signal, sys
def stop(*_):
    os.write(1, b"{name} stops\\n")
    os._exit(0)
signal.signal(signal.SIGTERM, stop)
os.write(1, b"{name} %d\\n" % os.getpid())
while True:
    signal.pause()
"""
STUBBORN = """
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.write(1, b"stubborn %d\\n" % os.getpid())
while True:
    signal.pause()
"""


class Host:
    """A supervisor in a process of its own, whose output is read line by line."""

    def __init__(self, children: list[tuple[str, str, int, float]]) -> None:
        command = (sys.executable, "-c", HOST.format(children=children))
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, bufsize=0, start_new_session=True)
        self._rest = b""

    def line(self) -> str:
        """Return the next line, waiting for it; fails when none comes."""
        assert self.process.stdout is not None
        until = time.monotonic() + WITHIN_S
        while b"\n" not in self._rest:
            ready = select.select([self.process.stdout], [], [], max(0.0, until - time.monotonic()))[0]
            assert ready, f"no line within {WITHIN_S} s after {self._rest!r}"
            got = os.read(self.process.stdout.fileno(), 65536)
            assert got, f"the supervisor ended after {self._rest!r}"
            self._rest += got
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def rest(self) -> list[str]:
        """Return every further line until the supervisor and all who write to its output have ended."""
        assert self.process.stdout is not None
        return (self._rest + self.process.stdout.read()).decode().splitlines()

    def end(self) -> int:
        """Return the exit status."""
        return self.process.wait(WITHIN_S)


@pytest.fixture
def hosts() -> Iterator[list[Host]]:
    started: list[Host] = []
    yield started
    for host in started:
        host.process.kill()
        host.process.wait(WITHIN_S)
        assert host.process.stdout is not None
        host.process.stdout.close()


def start(hosts: list[Host], *children: tuple[str, str, int, float]) -> Host:
    hosts.append(Host(list(children)))
    return hosts[-1]


def lasting(name: str, stage: int = 0) -> tuple[str, str, int, float]:
    return (name, LASTING.format(name=name), stage, 10.0)


def test_a_killed_child_is_started_again_at_once(hosts: list[Host]) -> None:
    host = start(hosts, lasting("worker"))
    first = int(host.line().split()[1])
    os.kill(first, signal.SIGKILL)
    assert host.line() == "ended unexpectedly worker -9"
    name, second = host.line().split()
    assert (name, int(second) != first) == ("worker", True)


def test_children_stop_stage_by_stage_and_the_exit_is_clean(hosts: list[Host]) -> None:
    host = start(hosts, lasting("steward", 1), lasting("worker", 0), lasting("simulator", 2))
    assert sorted(host.line().split()[0] for _ in range(3)) == ["simulator", "steward", "worker"]
    host.process.terminate()
    assert host.rest() == ["stopping", "worker stops", "steward stops", "simulator stops", "stopped False"]
    assert host.end() == 0


def test_a_child_that_does_not_stop_in_time_is_killed(hosts: list[Host]) -> None:
    host = start(hosts, ("stubborn", STUBBORN, 0, 0.3), lasting("steward", 1))
    assert sorted(host.line().split()[0] for _ in range(2)) == ["steward", "stubborn"]
    host.process.send_signal(signal.SIGINT)
    assert host.rest() == ["stopping", "killed stubborn", "steward stops", "stopped False"]
    assert host.end() == 0


def test_a_second_interrupt_forces_the_end(hosts: list[Host]) -> None:
    host = start(hosts, ("stubborn", STUBBORN, 0, 600.0))
    assert host.line().split()[0] == "stubborn"
    host.process.send_signal(signal.SIGINT)
    assert host.line() == "stopping"
    host.process.send_signal(signal.SIGINT)
    assert host.rest() == ["killed stubborn", "stopped True"]
    assert host.end() == 1


def test_children_die_with_a_killed_supervisor(hosts: list[Host]) -> None:
    host = start(hosts, ("stubborn", STUBBORN, 0, 600.0))
    assert host.line().split()[0] == "stubborn"
    host.process.kill()
    # The pipe ends only when the child, which holds it too, is gone.
    assert host.rest() == []


def test_a_child_that_keeps_failing_is_restarted_more_and_more_slowly() -> None:
    assert [backoff_s(failures) for failures in (1, 2, 3, 4, 5, 6, 7, 50)] == [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_gateway_host_runs_workers_and_a_steward() -> None:
    env = {"SYMBIOSIS_ROLE": "gateway"}
    python = sys.executable
    worker = (python, *WORKER_WARNINGS, "-m", "gateway.worker", "--fd", "7", "--index")
    assert host_children("gateway", 2, 7, 30.0, data_dir=Path("/data")) == (
        Child("steward", (python, "manage.py", "steward"), 1, 15.0, env),
        Child("worker-0", (*worker, "0"), 0, 35.0, env, (7,)),
        Child("worker-1", (*worker, "1"), 0, 35.0, env, (7,)),
    )


@pytest.mark.parametrize(
    ("role", "simulator_fd", "names"),
    [
        ("all", -1, ["steward", "worker-0", "celery"]),
        ("all", 8, ["simulator", "steward", "worker-0", "celery"]),
        ("portal", -1, ["steward", "worker-0"]),
        ("worker", -1, ["celery"]),
    ],
)
def test_every_role_runs_its_processes(role: str, simulator_fd: int, names: list[str]) -> None:
    assert [child.name for child in host_children(role, 1, 7, 30.0, data_dir=Path("/data"), simulator_fd=simulator_fd)] == names


def test_beat_keeps_its_schedule_in_the_data_directory() -> None:
    assert celery_command(Path("/a b"))[-2:] == ("--schedule", "/a b/run/celerybeat-schedule")


def test_a_taken_address_is_an_error() -> None:
    with listen("127.0.0.1", 0) as first, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", first.getsockname()[1])
