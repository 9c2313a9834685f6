"""openapi: writes docs/reference/openapi.yaml from the management API."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from gateway.api.openapi import document


class Command(BaseCommand):
    """Writes the OpenAPI document into the documentation."""

    help = "Write docs/reference/openapi.yaml from the management API."

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the document; raises CommandError when the generator had doubts about it, which it names."""
        text, is_sure = document()
        if not is_sure:
            raise CommandError("The document is not written: the generator had the doubts named above.")
        path = Path(settings.BASE_DIR) / "docs" / "reference" / "openapi.yaml"
        path.write_text(text)
        self.stdout.write(f"{path} is written.")
