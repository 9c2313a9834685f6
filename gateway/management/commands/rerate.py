"""`manage.py rerate`: what settled calls would cost under the prices that hold for them now; with --post, the difference is posted."""

from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from billing.money import to_usd
from billing.rerate import Rerated, post_rerate, rerate
from gateway.pricing import PricesOfCalls


class Command(BaseCommand):
    """Price settled calls anew."""

    help = "Show per project and model what calls would cost under the prices that hold for them now; --post adds the difference."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the span, the model and whether to post."""
        parser.add_argument("--since", required=True, help="Day or moment (UTC) of the first call, such as 2026-11-01.")
        parser.add_argument("--until", default="", help="Day or moment (UTC) before which calls began; now when left out.")
        parser.add_argument("--model", default="", help="Only calls of this catalogue model.")
        parser.add_argument("--post", action="store_true", help="Post the difference to usage, windows and ledger.")
        parser.add_argument("--reason", default="", help="Why, as it stands in the ledger; needed with --post.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print one line per project and model. Raises CommandError on a bad span or a missing reason."""
        since = moment(options["since"])
        until = moment(options["until"]) if options["until"] else timezone.now()
        try:
            if options["post"]:
                found = post_rerate(since, until, PricesOfCalls(), options["reason"], options["model"])
            else:
                found = rerate(since, until, PricesOfCalls(), options["model"])
        except ValidationError as refusal:
            raise CommandError(" ".join(refusal.messages)) from refusal
        for line in told(found, is_posted=options["post"]):
            self.stdout.write(line)


def moment(text: str) -> datetime:
    """Return a day or moment as an aware one, UTC where it names no zone. Raises CommandError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text!r} is no day or moment: write it as 2026-11-01 or 2026-11-01T12:00.") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def told(found: Rerated, *, is_posted: bool) -> list[str]:
    """Return what was found, line by line, amounts in USD."""
    rows: list[tuple[str, ...]] = [("project", "model", "calls", "before", "after", "difference")]
    for line in found.lines:
        signed = line.after_nanousd - line.before_nanousd
        rows.append(
            (line.project, line.model, str(line.calls), *(f"{to_usd(n):.6f}" for n in (line.before_nanousd, line.after_nanousd)), f"{to_usd(signed):+.6f}")
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(w) if column < 2 else cell.rjust(w) for column, (cell, w) in enumerate(zip(row, widths, strict=True))) for row in rows]
    total = sum(line.after_nanousd - line.before_nanousd for line in found.lines)
    changed = sum(line.calls for line in found.lines)
    lines.append(f"{found.calls} calls, {changed} of another price, {found.unpriced} without a known price; difference {to_usd(total):+.9f} USD.")
    lines.append(f"{found.posted} corrections posted." if is_posted else 'Nothing is posted. Add --post --reason "..." to post it.')
    return lines if found.lines else lines[1:]
