"""Records every change of a governed row by whatever road it came, with what it was before and is after."""

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Model
from django.db.models.signals import post_save, pre_delete, pre_save

from accounts.audit.record import Subject, named, record
from accounts.models import BusinessUnit, Project

CHANGED = "(changed)"


@dataclass(frozen=True)
class Watched:
    """How a model appears in the trail: kind, id prefix, fields whose values are secret, and fields that change by themselves."""

    kind: str
    prefix: str
    secret: frozenset[str]
    ignored: frozenset[str]
    number: str


_watched: dict[type[Model], Watched] = {}


def watch(model: type[Model], kind: str, prefix: str, *, secret: Collection[str] = (), ignored: Collection[str] = (), number: str = "pk") -> None:
    """Record every save and deletion of a model's rows from now on; `number` is what its public id is made of, with the prefix unless that is empty."""
    _watched[model] = Watched(kind, prefix, frozenset(secret), frozenset(ignored), number)
    for signal, receiver in ((pre_save, _before_save), (post_save, _after_save), (pre_delete, _before_delete)):
        signal.connect(receiver, model, dispatch_uid=f"audit-{model._meta.label}-{receiver.__name__}")


def is_watched(model: type[Model]) -> bool:
    """Say whether changes of a model's rows are recorded."""
    return model in _watched


def subject_of(row: Model) -> Subject:
    """Return how a watched row is named in the trail."""
    how = _watched[row.__class__]  # the user of a request is a proxy, whose type is another
    number = getattr(row, how.number)
    unit = row.pk if isinstance(row, BusinessUnit) else getattr(row, "business_unit_id", None)
    project: Any = row.pk if isinstance(row, Project) else getattr(row, "project_id", None)
    bare = number.hex if isinstance(number, uuid.UUID) else number
    return Subject(how.kind, f"{how.prefix}_{bare}" if how.prefix else bare, str(row)[:200], unit, project)


def _concerns_nobody(sender: type[Model], update_fields: frozenset[str] | None) -> bool:
    return update_fields is not None and update_fields <= _watched[sender].ignored


def _state(row: Model) -> dict[str, Any]:
    """Return what the database holds of a row, none when it holds none."""
    how = _watched[type(row)]
    names = [field.attname for field in row._meta.concrete_fields if field.attname not in how.ignored]
    found = type(row)._base_manager.filter(pk=row.pk).values(*names).first()
    return found or {}


def _before_save(sender: type[Model], instance: Any, raw: bool = False, update_fields: frozenset[str] | None = None, **_: Any) -> None:
    if not raw and not _concerns_nobody(sender, update_fields):
        instance.__dict__["_audit_before"] = _state(instance)


def _after_save(sender: type[Model], instance: Any, created: bool, raw: bool = False, update_fields: frozenset[str] | None = None, **_: Any) -> None:
    if raw or _concerns_nobody(sender, update_fields):
        return
    before, after = instance.__dict__.pop("_audit_before", {}), _state(instance)
    _note(sender, instance, "create" if created else "update", {} if created else before, after)


def _before_delete(sender: type[Model], instance: Any, **_: Any) -> None:
    how = _watched[sender]
    before = {field.attname: getattr(instance, field.attname) for field in instance._meta.concrete_fields if field.attname not in how.ignored}
    _note(sender, instance, "delete", before, {})


def _note(sender: type[Model], instance: Model, verb: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    how = _watched[sender]
    changes = {
        name: [_shown(how, name, before.get(name)), _shown(how, name, after.get(name))] for name in {**before, **after} if before.get(name) != after.get(name)
    }
    if changes or verb != "update":
        record(named(f"{how.kind}.{verb}"), subject_of(instance), changes=changes)


def _shown(how: Watched, name: str, value: Any) -> Any:
    if value is None or value == "" or isinstance(value, bool | int):
        return value
    if name in how.secret or isinstance(value, bytes | memoryview):
        return CHANGED
    return _CONVERTED.get(type(value), _same)(value)


def _same(value: Any) -> Any:
    return value if isinstance(value, str | list | dict) else str(value)


_CONVERTED: dict[type, Callable[[Any], Any]] = {
    uuid.UUID: lambda value: value.hex,
    datetime: lambda value: value.isoformat(),
    date: lambda value: value.isoformat(),
    Decimal: str,
}
