"""Management commands of one copy of the product, each in a process forked from one that has loaded Django, so that a command costs its own work alone."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
LOADED = "loaded"


class Commands:
    """Runs commands with one environment; the process that forks them is started with the first."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = dict(environment)
        self._process: subprocess.Popen[str] | None = None
        # one at a time: what a command prints is told apart by its files, and its end by the line that follows
        self._turn = threading.Lock()

    def run(self, command: Sequence[str], within_s: float) -> subprocess.CompletedProcess[str]:
        """Run a command as `manage.py` would; raises AssertionError when it takes too long."""
        with self._turn, TemporaryDirectory(prefix="symbiosis-command-") as folder:
            out, err = Path(folder) / "out", Path(folder) / "err"
            process = self._started()
            assert process.stdin is not None
            process.stdin.write(json.dumps([str(out), str(err), *command]) + "\n")
            process.stdin.flush()
            told = self._line(process, within_s)
            assert told, f"not within {within_s} s: {command}"
            return subprocess.CompletedProcess(list(command), int(told), out.read_text(), err.read_text())

    def close(self) -> None:
        """End the process that forks."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fakes.commands"], cwd=ROOT, env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                start_new_session=True,
            )  # fmt: skip
            told = self._line(self._process, 120)
            assert told == LOADED, f"Django did not load: {told!r}"
        return self._process

    def _line(self, process: subprocess.Popen[str], within_s: float) -> str:
        """Return what the process says next, "" when it says nothing in time and is ended."""
        assert process.stdout is not None
        if select.select([process.stdout], [], [], within_s)[0]:
            return process.stdout.readline().strip()
        self.close()
        return ""


def asked() -> Iterator[list[str]]:
    """Yield what is asked for, a line each, until nobody asks any more."""
    for line in iter(sys.stdin.readline, ""):
        yield json.loads(line)


def perform(out: str, err: str, command: Sequence[str]) -> int:
    """Run a command in this process, with what it prints in files, and return its status; raises what the command raises."""
    for target, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), target)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(["manage.py", *command])
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def main() -> None:
    """Load Django, then fork for every command that is asked for on standard input, and say its status."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway.settings")
    import django

    django.setup()
    print(LOADED, flush=True)
    for out, err, *command in asked():
        child = os.fork()
        if not child:
            # what the command raises ends the interpreter as it always does; all else ends at once, for tidying up takes longer than most commands
            os._exit(perform(out, err, command))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
