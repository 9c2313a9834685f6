"""A migrated database and a prepared demo, made once for a run of the suite and copied wherever one is needed: to make them takes seconds of CPU each time."""

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

ROOT = Path(__file__).resolve().parents[2]
# the folder of one run or of several, made by the first process and inherited by the others
SHARED = "SYMBIOSIS_TEST_SHARED"
# what a copy of the product must not hear of the tests' own settings
STRIPPED = ("SYMBIOSIS_", "OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_", "DJANGO_")
TEMPLATE = "symbiosis_migrated"
# as `make run` does it; whoever starts on a copy has other ports
PREPARE = """
import os, sys
from pathlib import Path
from gateway import demo_start, secretfile
place = Path(sys.argv[1])
secretfile.initialise(place)
os.environ.update(demo_start.demo_environment(os.environ, place, 8000))
demo_start.prepare(place, 8000, 8001)
"""


def copy_sqlite(target: Path) -> None:
    """Put a migrated SQLite database in a place where none is."""
    shutil.copyfile(_migrated_sqlite(), target)


def restore_sqlite(target: Path) -> None:
    """Make a SQLite database a migrated one again, also for those who have it open."""
    with closing(sqlite3.connect(_migrated_sqlite())) as made, closing(sqlite3.connect(target, timeout=20)) as used:
        used.execute("PRAGMA synchronous = OFF")
        made.backup(used)


def copy_demo(target: Path) -> None:
    """Make a data directory with the demo content in it."""
    shutil.copytree(_demo(), target)


def copy_postgres(url: str, name: str) -> None:
    """Make a migrated database of this name on the server of a URL, in place of one that is there."""
    with _locked("postgres") as folder, psycopg.connect(url, autocommit=True) as server:
        _make_template(folder, server, url)
        server.execute(f'DROP DATABASE IF EXISTS "{name}"')
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}"')


def make_all(url: str) -> None:
    """Make everything there is to copy before it is asked for, with a Postgres at a URL."""
    _demo()
    with _locked("postgres") as folder, psycopg.connect(url, autocommit=True) as server:
        _make_template(folder, server, url)


def _make_template(folder: Path, server: psycopg.Connection, url: str) -> None:
    stamp = folder / "migrated.postgres"
    if stamp.exists() and stamp.read_text() == url:
        return
    server.execute(f'DROP DATABASE IF EXISTS "{TEMPLATE}"')
    server.execute(f'CREATE DATABASE "{TEMPLATE}"')
    _migrate(urlunsplit(urlsplit(url)._replace(path=f"/{TEMPLATE}")))
    stamp.write_text(url)


def _demo() -> Path:
    with _locked("demo") as folder:
        made = folder / "demo"
        if not made.exists():
            draft = folder / "demo-draft"
            draft.mkdir(mode=0o700, exist_ok=True)
            shutil.copyfile(_migrated_sqlite(), draft / "symbiosis.sqlite3")
            given = {name: value for name, value in os.environ.items() if not name.startswith(STRIPPED)}
            subprocess.run([sys.executable, "-c", PREPARE, draft], cwd=ROOT, env=given, stdout=subprocess.DEVNULL, check=True)
            draft.rename(made)
    return made


def _migrated_sqlite() -> Path:
    with _locked("sqlite") as folder:
        made = folder / "migrated.sqlite3"
        if not made.exists():
            draft = folder / "draft.sqlite3"
            _migrate(f"sqlite:///{draft}")
            draft.rename(made)
    return made


@contextmanager
def _locked(what: str) -> Iterator[Path]:
    folder = Path(os.environ[SHARED])
    with (folder / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _migrate(url: str) -> None:
    environment = {**os.environ, "SYMBIOSIS_TEST_DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "django", "migrate", "--verbosity", "0"], cwd=ROOT, env=environment, check=True)


if __name__ == "__main__":
    make_all(os.environ["SYMBIOSIS_TEST_DATABASE_URL"])
