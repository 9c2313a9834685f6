"""`manage.py prepare_demo`: database, price book and demo content in one process, because every start of Django costs a second."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from billing.prices import seed_prices
from gateway.settings import settings


class Command(BaseCommand):
    """Bring the database of a demo up to date; used by `make run`."""

    help = "Migrate, seed prices and load the demo content; used by `make run`."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the ports."""
        parser.add_argument("--port", type=int, required=True)
        parser.add_argument("--simulator-port", type=int, required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare, saying each step. Raises CommandError outside a demo and when the database does not answer."""
        if not settings.demo:
            raise CommandError("This is for `make run`. In production use: python manage.py migrate")
        try:
            self.stdout.write("Preparing the database ...")
            call_command("migrate", verbosity=0, interactive=False)
            self.stdout.write("Loading the price book ...")
            seed_prices()
            self.stdout.write("Loading demo content ...")
            call_command(
                "demo_load", port=options["port"], simulator_port=options["simulator_port"], environment_keys=True, stdout=self.stdout
            )
        except DatabaseError as error:
            raise CommandError(f"The database cannot be used: {error}. Check SYMBIOSIS_DATABASE_URL, rights and free space.") from error
