"""Carry out a document of governance, or show what that would do."""

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.audit import from_here
from accounts.models import User
from gateway.governance import Hand
from gateway.governance import carry as governance
from gateway.governance.document import MOST_BYTES, Refused, read


class Command(BaseCommand):
    """All or nothing; the same document twice changes nothing the second time."""

    help = "Make the installation what a YAML document says. All or nothing; --plan only shows the difference, and drift with it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the file and how it is meant."""
        parser.add_argument("-f", "--file", required=True, help="the document; - for standard input")
        parser.add_argument("--plan", action="store_true", help="show what would be done and do nothing; exit 3 if there is anything")
        parser.add_argument("--prune", action="store_true", help="also remove what is not stated (docs/how-to/governance-as-code.md says of which kinds)")
        parser.add_argument("--by", default="", help="e-mail address of the IT administrator who does this; needed without --plan")
        parser.add_argument("--reason", default="", help="why, kept with every change; needed without --plan")
        parser.add_argument("--json", action="store_true", help="tell the steps as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read, carry out, tell."""
        text = self._text(options["file"])
        person = self._person(options)
        hand = Hand(person, options["reason"].strip() or "plan")
        try:
            stated = read(text)
            with from_here("command", actor=person):
                run = governance.plan if options["plan"] else governance.apply
                steps = run(stated, hand, prune=options["prune"])
        except Refused as refused:
            raise CommandError(f"Nothing was changed.\n{refused}") from None
        self._tell(steps, options)
        if options["plan"] and any(step.verb != "keep" for step in steps):
            sys.exit(3)

    def _text(self, name: str) -> str:
        try:
            if name == "-":
                return sys.stdin.read(MOST_BYTES + 1)
            with Path(name).open(encoding="utf-8") as file:
                return file.read(MOST_BYTES + 1)
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{name} cannot be read as UTF-8 text: {error}") from None

    def _person(self, options: dict[str, Any]) -> User | None:
        found = User.objects.filter(email=options["by"].strip().lower(), is_active=True, role=User.PlatformRole.IT_ADMIN).first()
        if options["by"] and found is None:
            raise CommandError(f"{options['by']} is no active IT administrator.")
        if not options["plan"] and (found is None or not options["reason"].strip()):
            raise CommandError("Say who does this and why: --by ADDRESS --reason TEXT.")
        return found

    def _tell(self, steps: list[governance.Step], options: dict[str, Any]) -> None:
        if options["json"]:
            told = [{"verb": s.verb, "section": s.section, "name": list(s.name), "fields": sorted(s.changes)} for s in steps]
            self.stdout.write(json.dumps(told))
            return
        for step in steps:
            self.stdout.write(str(step))
        done = [step for step in steps if step.verb != "keep"]
        kept = len(steps) - len(done)
        word = "to do" if options["plan"] else "done"
        self.stdout.write(f"{len(done)} {word}." + (f" {kept} not in the document stay as they are." if kept else "") if steps else "No difference.")
