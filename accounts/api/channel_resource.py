"""What webhooks and notification channels have in common: whom they are told about, testing and deleting."""

import contextlib
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access, channels
from accounts.api.fields import Given, Moment, Reference, Shown, shown_id, uuid_of
from accounts.api.resource import Resource
from accounts.egress import NotDelivered
from accounts.models import NotificationChannel


class Scope(Given):
    """What it is told about; empty for the whole platform."""

    project = Reference(access.visible_projects, required=False, help_text="`prj_...`")
    business_unit = Reference(access.visible_business_units, required=False, help_text="`bu_...`, with everything below it.")


class ChannelShown(Shown):
    """What both tell about themselves; never a secret that was typed."""

    name = serializers.CharField()
    scope = serializers.SerializerMethodField()
    is_active = serializers.BooleanField()
    secret_hint = serializers.CharField()
    checked_at = Moment(allow_null=True)
    check_result = serializers.CharField(help_text="What the last test said.")
    created_at = Moment()

    def get_scope(self, channel: NotificationChannel) -> dict[str, str]:
        """Return the project or unit it is told about."""
        if channel.project:
            return {"project": shown_id(channel.project)}
        return {"business_unit": shown_id(channel.business_unit)} if channel.business_unit else {}


class ChannelResource(Resource):
    """Channels of one sort, by `prefix`."""

    prefix = ""
    live = frozenset({"checked_at", "check_result", "secret"})
    reaches_out = frozenset({"test"})

    def find(self, rows: QuerySet[Any], text: str) -> Any:
        """Return the channel of an id."""
        found = uuid_of(text, self.prefix)
        return rows.filter(pk=found).first() if found else None

    def place_in(self, given: dict[str, Any]) -> access.Place:
        """Return the project or unit it would be told about."""
        scope = given.get("scope", {})
        if len(scope) > 1:
            raise serializers.ValidationError({"scope": "Name a project or a business unit, not both; neither for the whole platform."})
        if not scope and not access.sees_everything(self.actor):
            raise serializers.ValidationError({"scope": "Name your project or business unit: the whole platform is for its administrators."})
        place: access.Place = next(iter(scope.values()), None)
        return place

    def destroy(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Delete it with its log; what was not delivered yet never will be."""
        channels.delete_channel(self.row(id))
        return Response(status=204)

    @action(detail=True, methods=["post"])
    def test(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Send a message of type `test` at once and show how that went in `check_result`."""
        with contextlib.suppress(NotDelivered):  # recorded, and shown in the answer
            channels.test_channel(self.row(id))
        return self.told(self.row(id))
