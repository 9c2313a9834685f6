"""A migrated database, made once for a run of the suite and copied wherever one is needed: to migrate takes seconds of CPU each time."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

ROOT = Path(__file__).resolve().parents[2]
# the run's own folder, made by the first process and inherited by the others
SHARED = "SYMBIOSIS_TEST_SHARED"
TEMPLATE = "symbiosis_migrated"


def copy_sqlite(target: Path) -> None:
    """Put a migrated SQLite database in a place where none is."""
    with _locked() as folder:
        made = folder / "migrated.sqlite3"
        if not made.exists():
            draft = folder / "draft.sqlite3"
            _migrate(f"sqlite:///{draft}")
            draft.rename(made)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copyfile(made, target)


def copy_postgres(url: str, name: str) -> None:
    """Make a migrated database of this name on the server of a URL, in place of one that is there."""
    with _locked() as folder, psycopg.connect(url, autocommit=True) as server:
        stamp = folder / "migrated.postgres"
        if not stamp.exists() or stamp.read_text() != url:
            server.execute(f'DROP DATABASE IF EXISTS "{TEMPLATE}"')
            server.execute(f'CREATE DATABASE "{TEMPLATE}"')
            _migrate(urlunsplit(urlsplit(url)._replace(path=f"/{TEMPLATE}")))
            stamp.write_text(url)
        server.execute(f'DROP DATABASE IF EXISTS "{name}"')
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}"')


@contextmanager
def _locked() -> Iterator[Path]:
    folder = Path(os.environ[SHARED])
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _migrate(url: str) -> None:
    environment = {**os.environ, "SYMBIOSIS_TEST_DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-m", "django", "migrate", "--verbosity", "0"], cwd=ROOT, env=environment, check=True)
