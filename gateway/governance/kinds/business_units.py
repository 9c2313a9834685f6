"""Business units by the words of their path; a unit above is stated, or there, before a unit below."""

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType

from accounts import actions
from accounts.models import BusinessUnit
from gateway.governance import Entry, Hand, Kind, Name
from gateway.governance.places import unit_at, unit_names

Path = Annotated[tuple[str, ...], Meta(min_length=1, max_length=32)]


class UnitEntry(Entry, frozen=True):
    """A business unit."""

    path: Path
    code: str | UnsetType = UNSET


def read() -> Mapping[Name, tuple[UnitEntry, BusinessUnit]]:
    """Return every unit."""
    names = unit_names()
    return {names[unit.pk]: (UnitEntry(path=names[unit.pk], code=unit.code), unit) for unit in BusinessUnit.objects.all()}


def make(entry: UnitEntry, hand: Hand) -> BusinessUnit:
    """Make a unit."""
    above = unit_at(entry.path[:-1], "path") if len(entry.path) > 1 else None
    return actions.save_business_unit(BusinessUnit(name=entry.path[-1], parent=above, code=entry.code or ""))


def change(row: BusinessUnit, entry: UnitEntry, names: frozenset[str], hand: Hand) -> BusinessUnit:
    """Give a unit another code."""
    row.code = entry.code or ""
    return actions.save_business_unit(row)


def name(entry: Any) -> Name:
    """Return the path."""
    return tuple(entry.path)


KIND = Kind(section="business_units", order=10, entry=UnitEntry, name=name, read=read, make=make, change=change)
