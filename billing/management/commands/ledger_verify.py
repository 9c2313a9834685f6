"""`manage.py ledger_verify`: recompute everything and say the first thing that does not add up."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing import leases
from billing.money import to_usd
from billing.verification import verify


class Command(BaseCommand):
    """Ends with 1 when something does not add up."""

    help = "Recompute windows, credit and consumption from usage rows and ledger entries, and print the first difference."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the way to end leases nobody will give back."""
        parser.add_argument(
            "--release-worker", default="", metavar="WORKER", help="end the leases of a worker whose host is gone and whose journal will not come back"
        )

    def handle(self, *_: Any, release_worker: str = "", **__: Any) -> None:
        """Verify; raises CommandError at the first difference."""
        abandoned = leases.abandoned()
        if release_worker:
            if release_worker not in {lease.worker for lease in abandoned}:
                raise CommandError(f"No silent host has a worker named {release_worker}. Leases of a living host come back by themselves.")
            for name, amount in leases.reclaim(release_worker).items():
                self.stdout.write(f"Released {amount} of window {name}.")
            abandoned = leases.abandoned()
        for lease in abandoned:
            silent = f"its host {lease.host} has been silent for 10 minutes and its journal may still come back"
            why = silent if lease.host else "a batch that was never settled"
            self.stdout.write(f"{lease}; {why}.")
        if abandoned:
            self.stdout.write("When a journal is lost for good, end its worker's leases with --release-worker.")
        found = verify()
        self.stdout.write(f"{found.checked} figures compared, {found.explained_ratio:.2%} of what was consumed is explained by calls.")
        if found.attempts_nanousd:
            self.stdout.write(f"{to_usd(found.attempts_nanousd):f} USD of it went to attempts that broke before another one served, or none did.")
        if found.first_bad:
            raise CommandError(found.first_bad)
