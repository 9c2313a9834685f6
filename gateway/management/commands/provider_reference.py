"""provider_reference: writes docs/reference/providers.md from the shelf."""

import importlib
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from gateway import providers
from gateway.providers import Provider, shelf
from gateway.wire.kept import Collection

PATH = Path(settings.BASE_DIR) / "docs" / "reference" / "providers.md"
INTRODUCTION = """# Providers

What is on the shelf `gateway/providers/`; `manage.py provider_reference` writes this page from it. A server that merely speaks OpenAI's wire
needs no entry: add an account of the kind *OpenAI-compatible server* with its base URL ([how](../how-to/add-a-provider.md)). Where an
application's wire is not among a provider's, calls are translated to the first of its chat endpoints
([what becomes of each feature](translation.md)).
"""

# what is said of vendors without collections that are known, and of servers that keep nothing
NOTHING_KEPT: dict[tuple[Collection, ...] | None, str] = {
    (): "nothing; what could reach such things there is not passed on",
    None: "nothing: its servers keep nothing",
}


class Command(BaseCommand):
    """Writes the page of the documentation that lists the providers."""

    help = "Write docs/reference/providers.md from gateway/providers/."

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the page."""
        PATH.write_text(page(), encoding="utf-8")
        self.stdout.write(f"{PATH} is written.")


def page() -> str:
    """Return the whole page."""
    return INTRODUCTION + "".join(_section(slug, provider) for slug, provider in sorted(shelf().items()))


def _section(slug: str, provider: Provider) -> str:
    told = (importlib.import_module(f"{providers.__name__}.{slug}").__doc__ or "").strip()
    rows = [
        ("kind", f"`{slug}`"),
        ("base URL", f"`{provider.base_url}`" if provider.base_url else "the account's own"),
        ("credential", "required" if provider.needs_credential else "if the server wants one"),
        ("endpoints and wires", "; ".join(f"`{endpoint}` ({wire})" for endpoint, wire in provider.wires.items())),
        ("keeps", ", ".join(f"`{name}`" for name in sorted(provider.keeps))),
        ("kept for the project that made it", ", ".join(f"`{one.path}`" for one in provider.collections or ()) or NOTHING_KEPT[provider.collections]),
        ("account options", "; ".join(f"`{name}`: {hint}" for name, hint in provider.options.items())),
        ("options an account may have", "; ".join(f"`{name}`: {hint}" for name, hint in provider.may_have.items())),
        ("fields left out (`x-sgw-dropped`)", ", ".join(f"`{name}`" for name in sorted(provider.drop))),
        ("fields renamed", ", ".join(f"`{old}` → `{new}`" for old, new in sorted(provider.rename.items()))),
        ("usage of a stream", "asked for" if provider.asks_stream_usage else "not asked for"),
        ("lists its models", "yes" if provider.models_path else "no"),
        ("prices known", f"as `{provider.price_provider}`" if provider.price_provider else "enter them, or choose what happens without"),
    ]
    table = "\n".join(f"| {name} | {value.replace('|', chr(92) + '|')} |" for name, value in rows if value)
    return f"\n## {provider.title}\n\n{told}\n\n| | |\n|---|---|\n{table}\n"
