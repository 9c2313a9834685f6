"""The two kinds of resource, each with its rows and its actions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from scim2_models import NotFoundException, Resource

from accounts.scim import groups, people
from accounts.scim.resources import Group, Person


@dataclass(frozen=True)
class Kind:
    """One kind of resource: its model in SCIM's words, what scopes call it, its rows, and what is done with them."""

    name: str
    model: type[Resource[Any]]
    rows: Callable[[], QuerySet[Any]]
    resource_of: Callable[[Any, str], Resource[Any]]
    create: Callable[[Any], Any]
    save: Callable[[Any, Any], Any]
    remove: Callable[[Any], None]
    look_ups: Mapping[str, str]

    def find(self, number: str, *, lock: bool = False) -> Any:
        """Return the row of an id, locked for a change on demand. Raises NotFoundException."""
        rows = self.rows().select_for_update(of=("self",)) if lock else self.rows()
        try:
            row = rows.filter(pk=number).first()
        except (ValidationError, ValueError):
            row = None
        if row is None:
            raise NotFoundException(detail="There is no such resource.")
        return row


PEOPLE = Kind("users", Person, people.rows, people.resource_of, people.create, people.save, people.remove, people.LOOK_UPS)
GROUPS = Kind("groups", Group, groups.rows, groups.resource_of, groups.create, groups.save, groups.remove, groups.LOOK_UPS)
