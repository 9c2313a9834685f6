"""How many receipts a second intake takes into the database: `python -m bench.intake [--receipts N] [--windows N] [--database-url URL]`.

Writes a journal as one dead worker leaves it, whose calls are held against some windows, and takes it in with one process.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Measure once and print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--receipts", type=int, default=100_000)
    parser.add_argument("--windows", type=int, default=4, help="budget windows each call is held against; 0 for none")
    parser.add_argument("--database-url", default="", help="an empty database; SQLite in a temporary directory if left out")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sgw-intake-") as place:
        os.environ["SYMBIOSIS_TEST_DATABASE_URL"] = chosen.database_url or f"sqlite:///{place}/intake.sqlite3"
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        import django  # the environment had to come first

        django.setup()
        from django.core.management import call_command
        from django.db import connection

        from billing.intake import Intake
        from billing.leases import take
        from billing.verification import verify
        from tests.billing.budgets import budget, taking, want
        from tests.billing.receipts import settle, write_segment

        call_command("migrate", verbosity=0)
        intake = Intake(Path(place) / "journal")
        wants = [want(budget(10**15, name=f"b{n}"), 10**13) for n in range(chosen.windows)]
        if wants:
            take(intake.host, taking(*wants))
        names = " ".join(one.window for one in wants)
        month = int(time.time() * 1000)
        calls = [settle(f"call_{month:011x}{n:010x}", worker="w1", windows=names) for n in range(chosen.receipts)]
        write_segment(intake.directory, *calls, worker="w1")
        start = time.perf_counter()
        taken = intake.run_once()
        elapsed_s = time.perf_counter() - start
        assert (taken.rows, verify().first_bad) == (chosen.receipts, "")
        sys.stdout.write(f"{connection.vendor}: {taken.rows / elapsed_s:,.0f} receipts/s, {chosen.windows} windows each, {elapsed_s:.1f} s\n")


if __name__ == "__main__":
    main()
