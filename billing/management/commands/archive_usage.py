"""`manage.py archive_usage`: writes months of usage records to the archive, reads them back, then removes them."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from billing import retention
from billing.models import ArchivedMonth
from billing.partitions import Month


class Command(BaseCommand):
    """Archive one month, or all that are older than the retention; an interrupted run goes on where it was."""

    help = "Archive and remove a month's usage records, or all months beyond SYMBIOSIS_USAGE_RETENTION_MONTHS."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the months."""
        parser.add_argument("months", nargs="*", metavar="YYYY-MM", help="these months, whatever their age; without any: what is due")
        parser.add_argument("--dry-run", action="store_true", help="only say which months would be archived")

    def handle(self, *args: Any, **options: Any) -> None:
        """Archive and say what each month adds up to. Raises CommandError with what to do."""
        try:
            months = [Month.parse(label) for label in options["months"]] or retention.due(timezone.now())
            for month in months:
                if options["dry_run"]:
                    self.stdout.write(f"{month.label} would be archived.")
                    continue
                retention.archive_month(month)
                done = ArchivedMonth.objects.get(month=month.label)
                self.stdout.write(f"{month.label}: {done.rows:,} calls archived in {done.bytes:,} bytes at {done.location}")
        except (ValidationError, ValueError, retention.ArchiveBroken, OSError) as error:
            raise CommandError(" ".join(error.messages) if isinstance(error, ValidationError) else str(error)) from error
        if not months:
            self.stdout.write("No month is due.")
