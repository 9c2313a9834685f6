"""Prove the audit trail."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit.verify import verify


class Command(BaseCommand):
    """Check every event, the chain, and the checkpoints outside the database; exit 1 at the first fault."""

    help = "Check the audit trail: every event, the chain, its end, and the signed checkpoints kept outside the database."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take another file of checkpoints, such as one brought from elsewhere."""
        parser.add_argument("--checkpoints", default="", help="file of checkpoints, or URL of an anchor (file:, s3:); the installation's own file if left out")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check and tell."""
        verdict = verify(options["checkpoints"])
        if not verdict.valid:
            where = f"event {verdict.first_bad}: " if verdict.first_bad is not None else ""
            raise CommandError(f"The audit trail is NOT whole. {where}{verdict.reason} {verdict.checked} events before it are good.")
        self.stdout.write(f"The audit trail is whole: {verdict.checked} events, {verdict.erased} texts erased on record.")
