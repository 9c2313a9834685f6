"""Catalogue models by their public name."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import UNSET, UnsetType

from gateway import actions
from gateway.governance import Entry, Hand, Kind, Name
from gateway.governance.booked import booked, shown_price
from gateway.models import Model


class ModelEntry(Entry, frozen=True):
    """A model; `assumed_price` is the book's price of `[provider, upstream model]`."""

    name: str
    kind: Literal["chat", "embeddings", "moderation", "image", "speech", "transcription", "rerank", "realtime"] | UnsetType = UNSET
    owned_by: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET
    unknown_price: Literal["refuse", "assume", "free"] | UnsetType = UNSET
    lifecycle: Literal["requested", "approved", "deprecated", "retired"] | UnsetType = UNSET
    deprecated_at: datetime | UnsetType | None = UNSET
    retires_at: datetime | UnsetType | None = UNSET
    data_class: Literal["public", "internal", "confidential", "restricted"] | UnsetType = UNSET
    context_tokens: int | UnsetType | None = UNSET
    max_output_tokens: int | UnsetType | None = UNSET
    capabilities: list[str] | UnsetType = UNSET
    assumed_price: tuple[str, str] | UnsetType = UNSET


SET = (
    "kind",
    "owned_by",
    "description",
    "is_active",
    "unknown_price",
    "lifecycle",
    "deprecated_at",
    "retires_at",
    "data_class",
    "context_tokens",
    "max_output_tokens",
    "capabilities",
)


def read() -> Mapping[Name, tuple[ModelEntry, Model]]:
    """Return every model."""
    found: dict[Name, tuple[ModelEntry, Model]] = {}
    for row in Model.objects.select_related("assumed_price"):
        shown: dict[str, Any] = {field: getattr(row, field) for field in SET}
        found[(row.name,)] = (ModelEntry(name=row.name, assumed_price=shown_price(row.assumed_price), **shown), row)
    return found


def make(entry: ModelEntry, hand: Hand) -> None:
    """Make a model."""
    _store(Model(name=entry.name), entry)


def change(row: Model, entry: ModelEntry, names: frozenset[str], hand: Hand) -> None:
    """Change what is stated."""
    _store(row, entry)


def _store(row: Model, entry: ModelEntry) -> None:
    for field in SET:
        if getattr(entry, field) is not UNSET:
            setattr(row, field, getattr(entry, field))
    if not isinstance(entry.assumed_price, UnsetType):
        row.assumed_price = booked(entry.assumed_price, "assumed_price")
    actions.save_row(row)


def name(entry: Any) -> Name:
    """Return the public name."""
    return (entry.name,)


KIND = Kind(section="models", order=50, entry=ModelEntry, name=name, read=read, make=make, change=change)
