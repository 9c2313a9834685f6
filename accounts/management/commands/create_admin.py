"""Make the first administrator; further ones are made by administrators."""

import getpass
import os
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import audit
from accounts.actions import save_user
from accounts.models import User


class Command(BaseCommand):
    """Make a user an IT administrator, creating the user when there is none."""

    help = "Create an IT administrator; the password is asked for, or read from SYMBIOSIS_ADMIN_PASSWORD."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the e-mail address."""
        parser.add_argument("email")
        parser.add_argument("--full-name", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        """Create or promote the user."""
        email = str(options["email"]).strip().lower()
        others = User.objects.filter(role=User.PlatformRole.IT_ADMIN, is_active=True, is_demo=False).exclude(email=email)
        if others.exists():
            raise CommandError(
                f"There is an administrator already ({others[0]}), who gives the role in the admin. "
                f"When no administrator can sign in: python manage.py break_glass --user {email} --reason ..."
            )
        password = os.environ.get("SYMBIOSIS_ADMIN_PASSWORD") or getpass.getpass("Password: ")
        user = User.objects.filter(email=email).first() or User(email=email, full_name=options["full_name"])
        user.role, user.is_active = User.PlatformRole.IT_ADMIN, True
        try:
            validate_password(password, user)
            with audit.from_here("command"):
                save_user(user, password)
        except ValidationError as refusal:
            raise CommandError(" ".join(refusal.messages)) from refusal
        self.stdout.write(f"{email} is an IT administrator, who sets up a second factor at the first sign-in.")
