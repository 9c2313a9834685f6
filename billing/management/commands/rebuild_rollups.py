"""`manage.py rebuild_rollups`: add all usage up anew."""

from typing import Any

from django.core.management.base import BaseCommand

from billing.rollups import rebuild


class Command(BaseCommand):
    """Rebuilds hour, day and label rollups from usage rows."""

    help = "Add all usage rows up anew by hour, day, end user and tag. Two runs give identical rows."

    def handle(self, *args: Any, **options: Any) -> None:
        """Rebuild, then say how many rows were added up."""
        self.stdout.write(f"{rebuild()} usage rows added up.")
