"""Approval rules by name, with their steps; people are named by e-mail address, channels by name."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from django.core.exceptions import ValidationError
from msgspec import UNSET, UnsetType, structs

from accounts.models import ApprovalRule, NotificationChannel, User
from accounts.requests import rules
from gateway.governance import Entry, Hand, Kind, Name
from gateway.governance.amounts import nanousd_of, plain, shown
from gateway.governance.places import unit_at, unit_names


class StepEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One step: whom it asks, and how many must approve."""

    approver: Literal["manager", "owner", "role", "people", "external"]
    roles: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    channel: str = ""
    quorum: int = 1


class RuleEntry(Entry, frozen=True):
    """A rule; amounts are dollars as text, "none" for no bound, days are working days."""

    name: str
    position: int | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    kinds: tuple[str, ...] | UnsetType = UNSET
    business_unit: tuple[str, ...] = ()
    environment: Literal["", "dev", "test", "prod"] | UnsetType = UNSET
    up_to: str | UnsetType = UNSET
    is_automatic: bool | UnsetType = UNSET
    cap: str | UnsetType = UNSET
    cap_days: int | UnsetType = UNSET
    remind_days: int | UnsetType = UNSET
    escalate_days: int | UnsetType = UNSET
    expire_days: int | UnsetType = UNSET
    steps: tuple[StepEntry, ...] | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Write amounts in one way."""
        for field in AMOUNTS:
            text = getattr(self, field)
            if isinstance(text, str):
                structs.force_setattr(self, field, plain(text))


AMOUNTS = {"up_to": "up_to_nanousd", "cap": "cap_nanousd"}
NONE = "none"
SET = ("position", "is_active", "environment", "is_automatic", "cap_days", "remind_days", "escalate_days", "expire_days")


def read() -> Mapping[Name, tuple[RuleEntry, ApprovalRule]]:
    """Return every rule."""
    units = unit_names()
    found: dict[Name, tuple[RuleEntry, ApprovalRule]] = {}
    for row in ApprovalRule.objects.prefetch_related("steps__people", "steps__channel"):
        plainly: dict[str, Any] = {field: getattr(row, field) for field in SET}
        for field, column in AMOUNTS.items():
            amount = getattr(row, column)
            plainly[field] = NONE if amount is None else shown(amount)
        steps = tuple(_step(step) for step in sorted(row.steps.all(), key=lambda step: step.position))
        unit = units[row.business_unit_id] if row.business_unit_id else ()
        found[(row.name,)] = (RuleEntry(name=row.name, kinds=tuple(row.kinds), business_unit=unit, steps=steps, **plainly), row)
    return found


def _step(step: Any) -> StepEntry:
    people = tuple(sorted(person.email for person in step.people.all()))
    return StepEntry(step.approver, tuple(step.roles), people, step.channel.name if step.channel else "", step.quorum)


def make(entry: RuleEntry, hand: Hand) -> None:
    """Make a rule."""
    _store(ApprovalRule(name=entry.name), entry)


def change(row: ApprovalRule, entry: RuleEntry, names: frozenset[str], hand: Hand) -> None:
    """Change what is stated; requests under way keep their steps."""
    _store(row, entry)


def _store(row: ApprovalRule, entry: RuleEntry) -> None:
    for field in SET:
        if getattr(entry, field) is not UNSET:
            setattr(row, field, getattr(entry, field))
    for field, column in AMOUNTS.items():
        text = getattr(entry, field)
        if isinstance(text, str):
            setattr(row, column, None if text == NONE else nanousd_of(text, field))
    if not isinstance(entry.kinds, UnsetType):
        row.kinds = list(entry.kinds)
    row.business_unit = unit_at(entry.business_unit) if entry.business_unit else None
    rules.save_rule(row, None if isinstance(entry.steps, UnsetType) else [_given(step) for step in entry.steps])


def _given(step: StepEntry) -> rules.Step:
    people = list(User.objects.filter(email__in=[address.strip().lower() for address in step.people]))
    if len(people) != len(step.people):
        missing = sorted({address.strip().lower() for address in step.people} - {person.email for person in people})
        raise ValidationError({"steps": f"Nobody has the address {', '.join(missing) or step.people[0]} (or it is named twice)."})
    channel = NotificationChannel.objects.filter(name=step.channel).first() if step.channel else None
    if step.channel and channel is None:
        raise ValidationError({"steps": f"There is no channel {step.channel}."})
    return rules.Step(step.approver, step.roles, people, channel, step.quorum)


def remove(row: ApprovalRule, hand: Hand) -> None:
    """Delete a rule; requests under way keep their steps."""
    rules.delete_rule(row)


def name(entry: Any) -> Name:
    """Return the name."""
    return (entry.name,)


KIND = Kind(section="approval_rules", order=100, entry=RuleEntry, name=name, read=read, make=make, change=change, remove=remove)
