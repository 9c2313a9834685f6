"""Limits of projects and business units; those of single keys are made where the keys are."""

from collections.abc import Mapping
from typing import Any, Literal

from billing import budgets as actions
from billing.models import Limit
from gateway.governance import Entry, Hand, Kind, Name
from gateway.governance.places import place_of, project_names, unit_names


class LimitEntry(Entry, frozen=True):
    """A limit: calls or tokens per minute, nano-USD per minute (spend), or calls at once (parallel)."""

    kind: Literal["rpm", "tpm", "spend", "parallel"]
    amount: int
    project: tuple[str, ...] | None = None
    business_unit: tuple[str, ...] | None = None


def read() -> Mapping[Name, tuple[LimitEntry, Limit]]:
    """Return every limit that belongs to a project or a unit."""
    projects, units = project_names(), unit_names()
    found: dict[Name, tuple[LimitEntry, Limit]] = {}
    for row in Limit.objects.filter(key=None):
        place: dict[str, Any] = {"project": projects[row.project_id]} if row.project_id else {"business_unit": units[row.business_unit_id]}
        kind: Any = row.kind
        entry = LimitEntry(kind=kind, amount=row.amount, **place)
        found[name(entry)] = (entry, row)
    return found


def make(entry: LimitEntry, hand: Hand) -> None:
    """Make a limit."""
    actions.save_limit(Limit(kind=entry.kind, amount=entry.amount, **place_of(entry)), hand.actor, hand.reason)


def change(row: Limit, entry: LimitEntry, names: frozenset[str], hand: Hand) -> None:
    """Change the amount."""
    row.amount = entry.amount
    actions.save_limit(row, hand.actor, hand.reason)


def remove(row: Limit, hand: Hand) -> None:
    """Delete a limit."""
    actions.delete_limit(row, hand.actor, hand.reason)


def name(entry: Any) -> Name:
    """Return place and kind."""
    return (*(("project", *entry.project) if entry.project is not None else ("business unit", *(entry.business_unit or ()))), entry.kind)


KIND = Kind(section="limits", order=80, entry=LimitEntry, name=name, read=read, make=make, change=change, remove=remove)
