"""access_matrix: writes docs/reference/access.md from the declaration."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from accounts.access.document import page


class Command(BaseCommand):
    """Writes the page of the documentation that says who may do what."""

    help = "Write docs/reference/access.md from accounts/access/matrix.py."

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the page."""
        path = Path(settings.BASE_DIR) / "docs" / "reference" / "access.md"
        path.write_text(page())
        self.stdout.write(f"{path} is written.")
