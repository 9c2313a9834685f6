"""Let a person in as an administrator for one hour."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit
from accounts.models import User
from accounts.signin import break_glass


class Command(BaseCommand):
    """Open or end break-glass; for the operator of the host, when nobody else can let an administrator in."""

    help = "Make a user an IT administrator for one hour and print a link that signs in once; administrators and channels are told, and it ends by itself."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the user and the reason."""
        parser.add_argument("--user", required=True, help="e-mail address")
        parser.add_argument("--reason", default="", help="why, in a sentence; goes to administrators, channels and the audit trail")
        parser.add_argument("--end", action="store_true", help="end it before its time")

    def handle(self, *args: Any, **options: Any) -> None:
        """Open or end, and say what happens next."""
        user = User.objects.filter(email=str(options["user"]).strip().lower()).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']}. Make one with: python manage.py create_admin {options['user']}")
        try:
            with audit.from_here("command"):
                if options["end"]:
                    break_glass.end(user)
                    self.stdout.write(f"Break-glass of {user} has ended.")
                    return
                path = break_glass.break_glass(user, str(options["reason"]))
        except ValidationError as refusal:
            raise CommandError(" ".join(refusal.messages)) from refusal
        self.stdout.write(
            f"{user} is an IT administrator until {user.break_glass_until:%H:%M} UTC and cannot approve anything.\n"
            "Every administrator and security officer and the platform's channels are told.\n"
            f"Sign in once within 15 minutes: {settings.PUBLIC_URL}{path}"
        )
