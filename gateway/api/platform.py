"""What the resources of the catalogue have in common: they belong to the platform, are found by prefix, and are switched on and off."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts import actions as account_actions
from accounts.api.fields import uuid_of
from accounts.api.resource import Resource
from gateway import actions
from gateway.models import State


class PlatformResource(Resource):
    """Rows of no project or unit, whose filters are columns of theirs."""

    prefix: ClassVar[str] = ""

    def find(self, rows: QuerySet[Any], text: str) -> Any:
        """Return the row of an id."""
        found = uuid_of(text, self.prefix)
        return rows.filter(pk=found).first() if found else None

    def narrowed(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the rows that fit."""
        return rows.filter(**{name: value}) if "\0" not in value else rows.none()

    def place_in(self, given: dict[str, Any]) -> access.Place:
        """Return the platform."""
        return None

    def destroy(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Delete it with what belongs to it, unless something depends on it; calls stay on record."""
        account_actions.remove(self.row(id))
        return Response(status=204)


class Switched:
    """A resource that serves calls, or no new ones, or none."""

    @action(detail=True, methods=["post"])
    def activate(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Let calls through again."""
        return self._set(id, State.ACTIVE)

    @action(detail=True, methods=["post"])
    def drain(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Take no new calls and let running ones end."""
        return self._set(id, State.DRAINING)

    @action(detail=True, methods=["post"])
    def disable(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Serve nothing through it."""
        return self._set(id, State.DISABLED)

    def _set(self: Any, text: str, state: str) -> Response:
        actions.set_state(self.row(text), state)
        return self.told(self.row(text))  # type: ignore[no-any-return]
