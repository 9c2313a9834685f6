"""Makes the virtual environment and installs locked requirements with the pip wheel kept beside this file. Standard library only."""

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# MIT licence (its text is inside the wheel). Debian's Python has no ensurepip, so pip travels with the source.
PIP_WHEEL = HERE / "pip-26.3-py3-none-any.whl"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
NEEDED_BYTES = 1_500_000_000
REQUIREMENT = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*==", re.MULTILINE)

Say = Callable[[str], None]


class BootstrapFailed(Exception):
    """The environment could not be made; the message says what to do."""


class Environment:
    """One virtual environment. Its `installing` file stands while it is being changed, so one left half-way is seen and remade."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self._installing = folder / "installing"
        self._stamp = folder / "installed.json"

    def is_usable(self) -> bool:
        """Tell whether its Python runs and no installation was broken off."""
        if self._installing.exists() or not self.python.exists():
            return False
        found = subprocess.run([self.python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=False)
        return found.returncode == 0 and found.stdout.split() == [str(part) for part in sys.version_info[:2]]

    def has(self, requirements: Path) -> bool:
        """Tell whether exactly these requirements are installed; needs no child process."""
        if self._installing.exists() or not self.python.exists():
            return False
        return self._stamps().get(requirements.name) == digest(requirements)

    def make(self) -> None:
        """Make the environment anew, without pip."""
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)
        self._installing.touch()
        venv.EnvBuilder(with_pip=False, symlinks=True).create(self.folder)

    def install(self, requirements: Path, say: Say) -> None:
        """Install locked requirements and stamp them. Raises BootstrapFailed with pip's own last words."""
        self._installing.touch()
        run_pip(self.python, requirements, say)
        stamps = self._stamps() | {requirements.name: digest(requirements)}
        self._stamp.write_text(json.dumps(stamps))
        self._installing.unlink()

    def _stamps(self) -> dict[str, str]:
        try:
            stamps: dict[str, str] = json.loads(self._stamp.read_text())
        except (OSError, ValueError):
            return {}
        return stamps


def digest(file: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def check_wheel(wheel: Path, sha256: str) -> None:
    """Refuse a pip wheel that is missing or not the one this source was released with. Raises BootstrapFailed."""
    if not wheel.exists():
        raise BootstrapFailed(f"{wheel} is missing: fetch the whole source again.")
    if digest(wheel) != sha256:
        raise BootstrapFailed(f"{wheel} is damaged (its checksum is wrong): fetch the whole source again.")


def check_disk(folder: Path, needed_bytes: int) -> None:
    """Refuse to start on a disk that is too full. Raises BootstrapFailed."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise BootstrapFailed(
            f"The disk of {folder} has {free_bytes // 10**6} MB free; {needed_bytes // 10**6} MB are needed. Make room and start again."
        )


def run_pip(python: Path, requirements: Path, say: Say) -> None:
    """Install locked requirements into the environment of `python`; the user's own pip configuration says from where."""
    check_wheel(PIP_WHEEL, PIP_SHA256)
    total = len(REQUIREMENT.findall(requirements.read_text()))
    command: list[str | Path] = [
        *(python, PIP_WHEEL / "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"),
        *("--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-warn-script-location", "--root-user-action", "ignore"),
        *("-r", requirements),
    ]
    with tempfile.TemporaryFile("w+") as complaints:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True, env=pip_environment(), cwd=ROOT) as pip:
            assert pip.stdout is not None
            show_progress(pip.stdout, total, say)
        if pip.returncode != 0:
            complaints.seek(0)
            raise BootstrapFailed(pip_advice(complaints.read()))


def pip_environment() -> dict[str, str]:
    """Return the environment pip runs in: the user's, less what would send packages elsewhere or write beside the source."""
    env = {**os.environ, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PYTHONNOUSERSITE": "1"}
    env.pop("PIP_TARGET", None)
    env.pop("PYTHONPATH", None)
    if not env.get("HOME") or not os.access(env["HOME"], os.W_OK):
        env["PIP_NO_CACHE_DIR"] = "1"
    return env


def show_progress(lines: Iterable[str], total: int, say: Say) -> None:
    """Turn pip's output into a few lines of progress."""
    seen = 0
    for line in lines:
        if line.startswith(("Collecting ", "Requirement already satisfied")):
            seen += 1
            if seen % 10 == 0 or seen == total:
                say(f"  fetched {seen} of {total} packages")
        elif line.startswith("Installing collected packages"):
            say("  installing them")


def pip_advice(complaints: str) -> str:
    """Return what a person should do about a failed installation, with pip's last lines."""
    told = [line for line in complaints.splitlines() if line.strip() and not line.startswith("WARNING: Location")]
    tail = "\n".join("  " + line for line in told[-8:])
    text = complaints.lower()
    if "no space left" in text:
        hint = "The disk is full: make room and start again."
    elif "do not match the hashes" in text:
        hint = "A package is not the one this release was locked with: check your package index or mirror, then start again."
    elif any(
        word in text
        for word in ("connection", "resolve", "timed out", "network", "no matching distribution", "could not find a version", "proxy")
    ):
        hint = "The packages could not be fetched: check the network (and pip's own settings for a proxy or mirror), then start again."
    else:
        hint = "The packages could not be installed."
    return f"{hint}\n{tail}"


@contextmanager
def alone(folder: Path, say: Say) -> Iterator[None]:
    """Let one bootstrap at a time work on the environments of a source tree."""
    with PIP_WHEEL.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Waiting: another start is preparing {folder} ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ensure(folder: Path, requirements: Path, say: Say) -> None:
    """Bring the environment to the locked requirements; does nothing when it is there. Raises BootstrapFailed."""
    environment = Environment(folder)
    if environment.has(requirements):
        return
    check_wheel(PIP_WHEEL, PIP_SHA256)
    with alone(folder, say):
        if environment.has(requirements):
            return
        if not environment.is_usable():
            check_disk(ROOT, NEEDED_BYTES)
            say(f"Making the virtual environment {folder} (Python {sys.version_info.major}.{sys.version_info.minor}) ...")
            environment.make()
        say(f"Installing {requirements.name}: pinned versions, checked against their hashes. The first time takes about a minute ...")
        environment.install(requirements, say)


def main(arguments: Sequence[str]) -> int:
    """Bring one environment up to date; returns the exit status."""
    parser = argparse.ArgumentParser(description="Make or update a virtual environment from locked requirements.")
    parser.add_argument("requirements", type=Path)
    parser.add_argument("--environment", type=Path, default=ROOT / ".venv")
    chosen = parser.parse_args(arguments)
    try:
        ensure(chosen.environment.absolute(), chosen.requirements.absolute(), lambda line: print(line, flush=True))
    except BootstrapFailed as failed:
        print(f"\n{failed}", file=sys.stderr)
        return 1
    except OSError as failed:
        print(f"\nThe virtual environment could not be made: {failed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped. The next start begins this step anew.", file=sys.stderr)
        return 130
    return 0
