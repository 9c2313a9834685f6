"""Budgets of projects and business units; those of single keys are made where the keys are."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from django.core.exceptions import ValidationError
from msgspec import UNSET, UnsetType, structs

from billing import budgets as actions
from billing.models import Budget, Unit
from gateway.governance import Entry, Hand, Kind, Name
from gateway.governance.amounts import nanousd_of, plain
from gateway.governance.amounts import shown as shown_usd
from gateway.governance.places import place_of, project_names, unit_names

TOKENS = re.compile(r"[0-9]{1,18}")


class BudgetEntry(Entry, frozen=True):
    """A budget. `amount` is dollars as text, or tokens as text where `unit` is tokens; moments are RFC 3339."""

    name: str
    amount: str
    project: tuple[str, ...] | None = None
    business_unit: tuple[str, ...] | None = None
    mode: Literal["hard", "soft"] | UnsetType = UNSET
    unit: Literal["usd", "tokens"] = "usd"
    period: Literal["daily", "weekly", "monthly", "fixed", "total"] | UnsetType = UNSET
    per: Literal["", "session", "end_user"] | UnsetType = UNSET
    starts_at: datetime | UnsetType = UNSET
    ends_at: datetime | UnsetType = UNSET
    thresholds: tuple[int, ...] | UnsetType = UNSET
    is_frozen: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Write the amount in one way, so that 1500 and 1500.00 are no difference."""
        structs.force_setattr(self, "amount", plain(self.amount))


SET = ("mode", "period", "per")


def read() -> Mapping[Name, tuple[BudgetEntry, Budget]]:
    """Return every budget in use that belongs to a project or a unit."""
    projects, units = project_names(), unit_names()
    found: dict[Name, tuple[BudgetEntry, Budget]] = {}
    for row in Budget.objects.filter(key=None, is_archived=False):
        place: dict[str, Any] = {"project": projects[row.project_id]} if row.project_id else {"business_unit": units[row.business_unit_id]}
        shown: dict[str, Any] = {field: getattr(row, field) for field in (*SET, "is_frozen")}
        is_money = row.unit == Unit.NANOUSD
        entry = BudgetEntry(
            name=row.name,
            amount=shown_usd(row.amount) if is_money else str(row.amount),
            unit="usd" if is_money else "tokens",
            starts_at=row.starts_at or UNSET,
            ends_at=row.ends_at or UNSET,
            thresholds=tuple(row.thresholds),
            **place,
            **shown,
        )
        found[name(entry)] = (entry, row)
    return found


def amount_of(entry: BudgetEntry) -> int:
    """Return the amount in nano-USD or tokens; raises ValidationError."""
    if entry.unit == "usd":
        return nanousd_of(entry.amount)
    if not TOKENS.fullmatch(entry.amount):
        raise ValidationError({"amount": 'Write whole tokens as text, such as "20000".'})
    return int(entry.amount)


def make(entry: BudgetEntry, hand: Hand) -> None:
    """Make a budget."""
    row = Budget(name=entry.name, unit=Unit.NANOUSD if entry.unit == "usd" else Unit.TOKENS, **place_of(entry))
    _store(row, entry, hand)
    if entry.is_frozen is True:
        actions.set_frozen(row, True, hand.actor, hand.reason)


def change(row: Budget, entry: BudgetEntry, names: frozenset[str], hand: Hand) -> None:
    """Change what is stated; freezing has an action of its own, and an unchanged amount is no change of money."""
    if "unit" in names:
        raise ValidationError({"unit": "A budget keeps its unit. Give the new one another name."})
    if names - {"is_frozen"}:
        _store(row, entry, hand)
    if "is_frozen" in names:
        actions.set_frozen(row, bool(entry.is_frozen), hand.actor, hand.reason)


def _store(row: Budget, entry: BudgetEntry, hand: Hand) -> None:
    row.amount = amount_of(entry)
    for field in (*SET, "starts_at", "ends_at"):
        if getattr(entry, field) is not UNSET:
            setattr(row, field, getattr(entry, field))
    if not isinstance(entry.thresholds, UnsetType):
        row.thresholds = list(entry.thresholds)
    actions.save_budget(row, hand.actor, hand.reason)


def remove(row: Budget, hand: Hand) -> None:
    """Archive: its windows and postings stay."""
    actions.archive(row, hand.actor, hand.reason)


def name(entry: Any) -> Name:
    """Return place and name."""
    return (*(("project", *entry.project) if entry.project is not None else ("business unit", *(entry.business_unit or ()))), entry.name)


KIND = Kind(section="budgets", order=70, entry=BudgetEntry, name=name, read=read, make=make, change=change, remove=remove)
