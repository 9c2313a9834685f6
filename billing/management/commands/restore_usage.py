"""`manage.py restore_usage`: brings an archived month of usage records back into the database."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing import retention
from billing.partitions import Month


class Command(BaseCommand):
    """Restore one month; it stays until `archive_usage` of that month removes it again."""

    help = "Bring an archived month's usage records back. They stay until archive_usage is run for that month."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the month, whether it is to take late calls, and where the files are."""
        parser.add_argument("month", metavar="YYYY-MM")
        parser.add_argument("--open", action="store_true", help="let it take late calls again; the next archive_usage writes it anew")
        parser.add_argument("--from", dest="url", default="", help="where the files are now, if they were moved: file:///... or s3://...")

    def handle(self, *args: Any, **options: Any) -> None:
        """Restore and say how many calls are back. Raises CommandError with what to do."""
        try:
            month = Month.parse(options["month"])
            rows = retention.restore_month(month, is_open=options["open"], url=options["url"])
        except (ValidationError, ValueError, retention.ArchiveBroken, OSError) as error:
            raise CommandError(" ".join(error.messages) if isinstance(error, ValidationError) else str(error)) from error
        self.stdout.write(f"{month.label}: {rows:,} calls are back, until archive_usage {month.label} removes them again.")
