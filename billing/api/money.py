"""What the resources of money have in common: their ids, and lists narrowed by what they are for."""

from typing import Any

from django.db.models import QuerySet

from accounts import access
from accounts.api.fields import look_up
from accounts.api.resource import Resource

SCOPE_FILTERS = {
    "project": "Those of this project (`prj_...`).",
    "key": "Those of this key (`key_...`).",
    "business_unit": "Those of this unit (`bu_...`).",
}


class MoneyResource(Resource):
    """A resource of one project, key or business unit each."""

    prefix = ""
    filters = SCOPE_FILTERS

    def find(self, rows: QuerySet[Any], text: str) -> Any:
        """Return the row of a prefixed id, or None."""
        bare = text.removeprefix(self.prefix)
        return rows.filter(pk=bare).first() if bare != text and bare.isascii() and bare.isalnum() else None

    def place_in(self, given: dict[str, Any]) -> access.Place:
        """Return what a new row would be for."""
        (place,) = given["scope"].values()
        found: access.Place = place
        return found

    def narrowed(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the rows of one project, key or unit."""
        visible: dict[str, QuerySet[Any]] = {
            "project": access.visible_projects(self.actor),
            "key": access.visible_keys(self.actor),
            "business_unit": access.visible_business_units(self.actor),
        }
        scope = look_up(visible[name], value)
        return rows.filter(**{name: scope}) if scope else rows.none()
