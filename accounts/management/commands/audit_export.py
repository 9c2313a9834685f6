"""Write the audit trail to a file or to standard output."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts import audit
from accounts.audit.export import FORMATS
from accounts.models import AuditEvent


class Command(BaseCommand):
    """Stream every event, oldest first; that it was done is an event too."""

    help = "Write the audit trail, oldest first, as JSON lines or CSV to standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the format and the first number."""
        parser.add_argument("--format", choices=sorted(FORMATS), default="jsonl")
        parser.add_argument("--after", type=int, default=0, help="only events with a number above this one")

    def handle(self, *args: Any, **options: Any) -> None:
        """Record that the trail leaves, then write it."""
        audit.record("audit.export", format=options["format"], after=options["after"])
        write, _ = FORMATS[options["format"]]
        for line in write(AuditEvent.objects.filter(seq__gt=options["after"]).order_by("seq").iterator(chunk_size=1000)):
            sys.stdout.write(line)
