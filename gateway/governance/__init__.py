"""Governance as code: the state of an installation as one YAML document, and what has to be done to make it so.

`kinds/` is a shelf: one file a kind of thing, which reads what there is and makes, changes or removes it by the actions that every other face
calls. `document` reads files, `carry` compares and carries out, `export` writes what there is. Keys, people and secrets are no part of a document.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from accounts.models import User
from gateway.governance import kinds as _kinds

# What names a thing in documents: the words of its path.
Name = tuple[str, ...]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing of a document. Fields left out stay as they are; a new thing gets their defaults."""


@dataclass(frozen=True)
class Hand:
    """Who carries a document out, and why; whether secrets are read where a document says they are, which only its host's operator may."""

    actor: User | None
    reason: str
    follows_references: bool = True


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of thing: its section, its place in the order of carrying out, and how it is read and written.

    `read` returns every thing by name with its entry (whole) and its row; `change` gets the row, the entry as it shall be, and the names of the
    fields that differ. The writing functions raise ValidationError. `remove` None: things of this kind are never removed by a document.
    """

    section: str
    order: int
    entry: type[Entry]
    name: Callable[[Any], Name]
    read: Callable[[], Mapping[Name, tuple[Any, Any]]]
    make: Callable[[Any, Hand], object]
    change: Callable[[Any, Any, frozenset[str], Hand], object]
    remove: Callable[[Any, Hand], object] | None = None
    # fields whose values are never shown, and how a stored one is told apart from the entry's
    secret: Mapping[str, Callable[[Any, Any], bool]] | None = None


@cache
def shelf() -> tuple[Kind, ...]:
    """Return every kind in the order of carrying out, found by looking, not by a list."""
    found: list[Kind] = [importlib.import_module(f"{_kinds.__name__}.{module.name}").KIND for module in pkgutil.iter_modules(_kinds.__path__)]
    return tuple(sorted(found, key=lambda kind: kind.order))
