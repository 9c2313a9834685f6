"""Erase what names a person from the audit trail."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import from_here
from accounts.audit.erasure import erase


class Command(BaseCommand):
    """Erase a person's texts; the events and the chain stay, and the erasure is an event itself."""

    help = "Erase a person's name, address and program from every audit event. The trail stays valid; this cannot be undone."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the person, the reason and the word that it is meant."""
        parser.add_argument("person", help="the person's id: usr_ and 32 hexadecimal digits")
        parser.add_argument("--reason", required=True, help="why, such as the number of the erasure request")
        parser.add_argument("--yes", action="store_true", help="do it; without this nothing is changed")

    def handle(self, *args: Any, **options: Any) -> None:
        """Erase and tell."""
        if not options["yes"]:
            raise CommandError("This cannot be undone. Say --yes to erase.")
        try:
            with from_here("command"):
                count = erase(options["person"], options["reason"])
        except ValidationError as refusal:
            raise CommandError(" ".join(refusal.messages)) from None
        self.stdout.write(f"Erased from {count} events.")
