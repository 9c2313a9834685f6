"""`manage.py import_prices`: how the installed genai-prices differs from the price book; with --apply, the book follows."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from billing.money import to_usd
from billing.prices import Difference, add_differences, differences
from gateway.changes import publish_change
from gateway.models import Change


class Command(BaseCommand):
    """Compare the price book with the installed release."""

    help = "Show models whose published prices are new, changed or gone; --apply adds the new and changed ones. Entered prices stay in force."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take whether to apply, and to what."""
        parser.add_argument("--apply", action="store_true", help="Add what is new or changed; it holds without another approval.")
        parser.add_argument("--model", action="append", default=[], help="Only this one, as provider/model; may be given several times.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the differences and add them if asked to. Raises CommandError when a named model has none."""
        found = differences(timezone.now())
        wanted = set(options["model"])
        if wanted:
            found = [difference for difference in found if "/".join(difference.name) in wanted]
            unknown = wanted - {"/".join(difference.name) for difference in found}
            if unknown:
                raise CommandError(f"No difference for {', '.join(sorted(unknown))}.")
        for difference in found:
            self.stdout.write(told(difference))
        if not options["apply"]:
            self.stdout.write(f"{len(found)} differences. Add --apply to take over what is new or changed.")
            return
        with transaction.atomic():
            added = add_differences(found)
            if added:
                publish_change(Change.Kind.STRUCTURE)
        self.stdout.write(f"{added} prices added.")


def told(difference: Difference) -> str:
    """Return a difference as one line, rates in USD per million tokens."""
    since = f" from {difference.row.valid_from:%Y-%m-%d}" if difference.row is not None else ""
    notes = ", an entered price stays in force" if difference.is_overridden else ""
    figures = "; ".join(f"{figure.name} {usd(figure.old)} → {usd(figure.new)}" for figure in difference.figures)
    return f"{difference.kind:8} {'/'.join(difference.name)}{since}{notes}: {figures}"


def usd(nanousd: int | None) -> str:
    """Return an amount in USD without trailing zeros."""
    return "-" if nanousd is None else f"{to_usd(nanousd).normalize():f}"
