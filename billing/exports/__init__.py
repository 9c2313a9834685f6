"""The shelf of exports: every module here exports EXPORTER, which writes one kind of file line by line and knows nothing of jobs."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from accounts.access import Actor
from billing.reports.periods import Period

MEDIA = {"csv": "text/csv", "jsonl": "application/jsonl"}


@dataclass(frozen=True)
class Exporter:
    """A kind of file.

    `route` is the route of the API that shows the same: who may not take it gets no file. `lines(actor, period, project, format)` yields
    text, in CSV the header first, of what the actor sees of one project or, with None, of all.
    """

    slug: str
    title: str
    formats: tuple[str, ...]
    route: str
    lines: Callable[[Actor, Period, UUID | None, str], Iterator[str]]


@cache
def shelf() -> Mapping[str, Exporter]:
    """Return every exporter on the shelf by slug, found by looking, not by a list."""
    found = {}
    for module in pkgutil.iter_modules(__path__):
        exporter: Exporter = importlib.import_module(f"{__name__}.{module.name}").EXPORTER
        found[exporter.slug] = exporter
    return found
