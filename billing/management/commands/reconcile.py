"""`manage.py reconcile`: compute open windows anew and show, or with --post repair, what differs."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.reconciliation import differences, repair


class Command(BaseCommand):
    """Changes nothing without --post."""

    help = "Compute what open windows spent from usage rows and what they hold from leases and disputes, and show the differences."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the way to repair."""
        parser.add_argument("--post", action="store_true", help="repair each difference by a posting")
        parser.add_argument("--reason", default="", help="why, kept with the postings; needed with --post")

    def handle(self, *_: Any, post: bool = False, reason: str = "", **__: Any) -> None:
        """Show or repair; raises CommandError for --post without a reason."""
        if post and not reason.strip():
            raise CommandError("Say why with --reason.")
        found = differences()
        for one in found:
            self.stdout.write(f"{one.window}: spent {one.spent}, by its calls {one.true_spent}; held {one.held}, by leases and disputes {one.true_held}")
            if post:
                repair(one.window, None, reason)
        self.stdout.write(f"{len(found)} windows {'repaired' if post else 'differ'}." if found else "Every open window is right.")
