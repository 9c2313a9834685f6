"""Remove the demo content."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from gateway import demo


class Command(BaseCommand):
    """Remove everything `demo_load` made."""

    help = "Remove demo users, keys, projects, simulated providers and demo usage."

    def handle(self, *args: Any, **options: Any) -> None:
        """Remove, or say what stands in the way."""
        try:
            demo.remove()
        except demo.NotRemovable as obstacle:
            raise CommandError(str(obstacle)) from obstacle
        self.stdout.write("Demo content removed.")
