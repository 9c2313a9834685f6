"""Load the demo content."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from gateway import demo
from gateway.environment_keys import import_keys


class Command(BaseCommand):
    """Load demo content, or nothing when it is in place."""

    help = "Load the demo company, simulated providers, a ready key and past usage."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the ports and whether provider keys of the environment are used."""
        parser.add_argument("--port", type=int, default=8000, help="port of the portal and the data plane")
        parser.add_argument("--simulator-port", type=int, default=8001, help="port of the simulator")
        parser.add_argument(
            "--environment-keys",
            action="store_true",
            help="make provider accounts of OPENAI_API_KEY, ANTHROPIC_API_KEY, AZURE_OPENAI_API_KEY",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Load and say what was done."""
        for name in ("port", "simulator_port"):
            if not 1 <= options[name] <= 65535:
                raise CommandError(f"--{name.replace('_', '-')} must be between 1 and 65535.")
        facts, written = demo.load(f"http://localhost:{options['port']}", f"http://127.0.0.1:{options['simulator_port']}")
        self.stdout.write(f"Demo content {'loaded' if written else 'is in place'}: {facts['portal']}")
        for line in import_keys() if options["environment_keys"] else ():
            self.stdout.write(line)
