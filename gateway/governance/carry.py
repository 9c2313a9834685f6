"""Compares a document with what there is and carries the difference out, all or nothing. A plan is the same, rolled back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import ProtectedError

from accounts import audit
from gateway.governance import Entry, Hand, Kind, Name
from gateway.governance.document import Mistake, Refused, Stated

HIDDEN = "(secret)"


@dataclass(frozen=True)
class Step:
    """One difference: `verb` is make, change, remove, or keep for what is not in the document and stays; values are before and after."""

    verb: str
    section: str
    name: Name
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    def __str__(self) -> str:
        sign = {"make": "+", "change": "~", "remove": "-", "keep": "?"}[self.verb]
        lines = [f"{sign} {self.section}: {' / '.join(self.name)}"]
        lines += [f"    {name}: {before!r} → {after!r}" for name, (before, after) in self.changes.items()]
        return "\n".join(lines)


class _RolledBack(Exception):
    """Ends a plan."""


def plan(stated: Mapping[Kind, Mapping[Name, Stated]], hand: Hand, *, prune: bool = False) -> list[Step]:
    """Return what carrying the document out would do, having done it all and taken it back. Raises Refused with every mistake."""
    steps: list[Step] = []
    try:
        with audit.act("config.plan"), transaction.atomic():
            steps = _carry(stated, hand, prune)
            raise _RolledBack
    except _RolledBack:
        return steps


def apply(stated: Mapping[Kind, Mapping[Name, Stated]], hand: Hand, *, prune: bool = False) -> list[Step]:
    """Carry the document out in one transaction and return what was done. Raises Refused with every mistake, and then nothing was."""
    with audit.act("config.apply", reason=hand.reason):
        steps = _carry(stated, hand, prune)
        audit.record("config.apply", steps=[f"{step.verb} {step.section} {' / '.join(step.name)}"[:200] for step in steps if step.verb != "keep"][:500])
        return steps


def _carry(stated: Mapping[Kind, Mapping[Name, Stated]], hand: Hand, prune: bool) -> list[Step]:
    steps: list[Step] = []
    mistakes: list[Mistake] = []
    for kind, wanted in sorted(stated.items(), key=lambda item: item[0].order):
        present = kind.read()
        for name, one in wanted.items():
            _settle(kind, name, one, present.get(name), hand, steps, mistakes)
    for kind, wanted in sorted(stated.items(), key=lambda item: -item[0].order):
        for name, (_, row) in kind.read().items():
            if name not in wanted:
                _spare(kind, name, row, hand, prune, steps, mistakes)
    if mistakes:
        raise Refused(mistakes)
    return steps


def _settle(
    kind: Kind, name: Name, one: Stated, present: tuple[Entry, Any] | None, hand: Hand, steps: list[Step], mistakes: list[Mistake]
) -> None:
    """Make or change one thing as it is stated."""
    secrets = [field for field in kind.secret or () if getattr(one.entry, field) is not msgspec.UNSET]
    if secrets and not hand.follows_references:
        said = f"{secrets[0]} is read on the gateway's host: carry this document out there, with `manage.py apply`, or leave {secrets[0]} out."
        mistakes.append(Mistake(one.line, f"{kind.section}: {' / '.join(name)}: {said}"))
        return
    try:
        with transaction.atomic():
            if present is None:
                kind.make(one.entry, hand)
                steps.append(Step("make", kind.section, name))
                return
            changes = _differences(kind, *present, one.entry)
            if changes:
                kind.change(present[1], one.entry, frozenset(changes), hand)
                steps.append(Step("change", kind.section, name, changes))
    except (ValidationError, PermissionDenied) as refusal:
        mistakes.append(Mistake(one.line, f"{kind.section}: {' / '.join(name)}: {_said(refusal)}"))


def _spare(kind: Kind, name: Name, row: Any, hand: Hand, prune: bool, steps: list[Step], mistakes: list[Mistake]) -> None:
    """Remove what the document does not state, or say that it stays."""
    if not prune or kind.remove is None:
        steps.append(Step("keep", kind.section, name))
        return
    try:
        with transaction.atomic():
            kind.remove(row, hand)
            steps.append(Step("remove", kind.section, name))
    except (ValidationError, PermissionDenied) as refusal:
        mistakes.append(Mistake(0, f"{kind.section}: {' / '.join(name)} cannot be removed: {_said(refusal)}"))
    except ProtectedError:
        mistakes.append(Mistake(0, f"{kind.section}: {' / '.join(name)} cannot be removed while other things need it."))


def _differences(kind: Kind, before: Entry, row: Any, after: Entry) -> dict[str, tuple[Any, Any]]:
    found: dict[str, tuple[Any, Any]] = {}
    for name in after.__struct_fields__:
        wanted, held = getattr(after, name), getattr(before, name)
        if wanted is msgspec.UNSET:
            continue
        if kind.secret and name in kind.secret:
            if not kind.secret[name](row, wanted):
                found[name] = (HIDDEN, HIDDEN)
        elif wanted != held:
            found[name] = (held, wanted)
    return found


def _said(refusal: ValidationError | PermissionDenied) -> str:
    if isinstance(refusal, PermissionDenied):
        return str(refusal) or "This is not allowed."
    if hasattr(refusal, "error_dict"):
        return " ".join(f"{'' if name == '__all__' else f'{name}: '}{' '.join(words)}" for name, words in refusal.message_dict.items())
    return " ".join(refusal.messages)
