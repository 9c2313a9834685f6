"""Write the state of governance as a document."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit
from gateway.governance.export import export


class Command(BaseCommand):
    """Write what `apply` reads; without secrets, keys and people's own data."""

    help = "Write the governance state as YAML, to standard output or a file. `apply` of it changes nothing here, and makes the same elsewhere."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file."""
        parser.add_argument("-o", "--output", default="", help="file to write, instead of standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write."""
        text = export()
        audit.record("config.export")
        if not options["output"]:
            self.stdout.write(text, ending="")
            return
        try:
            Path(options["output"]).write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{options['output']} cannot be written: {error.strerror}.") from None
