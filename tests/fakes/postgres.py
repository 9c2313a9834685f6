"""A real Postgres of the suite's own, from a wheel: started on demand, stopped and started again when a test takes the database away."""

import signal
import tempfile
from pathlib import Path
from typing import Any

import pgserver
import psycopg

from tests.fakes.processes import family, tell, wait_gone


class Postgres:
    """One cluster on a unix socket of its own."""

    def __init__(self) -> None:
        # not under pytest's own directory: run by root, the server works as another user who must get there
        self.place = Path(tempfile.mkdtemp(prefix="sgw-pg-"))
        self.place.chmod(0o755)
        self.start()

    def start(self) -> None:
        """Start the server, the first time with a new cluster."""
        self._server = pgserver.get_server(self.place / "data", cleanup_mode="stop")
        # also one that was killed, of which the library thinks it runs
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop the server; its data stay."""
        self._server.cleanup()

    def kill(self) -> None:
        """End every process of the server at once, as a crash of its machine does; its data stay as they are."""
        pids = family(self.pid)
        tell(pids, signal.SIGKILL)
        wait_gone(pids)
        # who collects the dead differs between machines: one that is not collected yet looks alive to the next server
        for left in (self.place / "data" / "postmaster.pid", *(self.place / "data").glob(".s.PGSQL.*")):
            left.unlink()

    @property
    def pid(self) -> int:
        """Return the server's first process."""
        return int((self.place / "data" / "postmaster.pid").read_text().split()[0])

    @property
    def url(self) -> str:
        """Return the address in the form of SYMBIOSIS_DATABASE_URL."""
        return str(self._server.get_uri()).replace("postgresql://postgres:@/", "postgresql://postgres@/")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(query).fetchall()
