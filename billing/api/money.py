"""What the resources of money have in common: their ids, and lists narrowed by what they are for."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import exceptions, serializers
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

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

    def row(self, text: str, *, lock: bool = False) -> Any:
        """Return the row of a prefixed id; raises NotFound, and PermissionDenied where a program would change what binds itself."""
        found = super().row(text, lock=lock)
        if self.request.method not in SAFE_METHODS:
            self._refuse_own(found.scope)
        return found

    def given(self, request: Request, form: type[serializers.Serializer[Any]], **options: Any) -> dict[str, Any]:
        """Return the checked body; raises ValidationError, and PermissionDenied where a program would change what binds itself."""
        body = super().given(request, form, **options)
        for place in body.get("scope", {}).values():
            self._refuse_own(place)
        return body

    def _refuse_own(self, place: Any) -> None:
        if access.is_own_place(self.actor, place):
            raise exceptions.PermissionDenied("Nobody changes what binds themselves: ask whoever stands above this service account's project or unit.")

    def narrowed(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the rows of one project, key or unit."""
        visible: dict[str, QuerySet[Any]] = {
            "project": access.visible_projects(self.actor),
            "key": access.visible_keys(self.actor),
            "business_unit": access.visible_business_units(self.actor),
        }
        scope = look_up(visible[name], value)
        return rows.filter(**{name: scope}) if scope else rows.none()
