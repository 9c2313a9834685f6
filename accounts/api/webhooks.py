"""webhooks: who is told of events as they happen, and the log of what was delivered."""

import contextlib
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from rest_framework import exceptions, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access, channels, outbox, webhooks
from accounts.api import pages
from accounts.api.fields import Given, Moment, Reference, Shown, shown_id, uuid_of
from accounts.api.resource import Changes, Makes, Resource
from accounts.egress import NotDelivered
from accounts.models import NotificationChannel, OutboxMessage

MOST_OVERLAP_HOURS = 168


class Scope(Given):
    """What a webhook is told about; empty for the whole platform."""

    project = Reference(access.visible_projects, required=False, help_text="`prj_...`")
    business_unit = Reference(access.visible_business_units, required=False, help_text="`bu_...`, with everything below it.")


class WebhookGiven(Given):
    """A new webhook."""

    name = serializers.CharField(max_length=200)
    url = serializers.CharField(max_length=2000, help_text="http(s); a private address needs `SYMBIOSIS_PRIVATE_CHANNELS`.")
    event_types = serializers.ListField(child=serializers.CharField(max_length=80), help_text="Actions of audit events: `key.create`, `key.*`, `*`.")
    scope = Scope(required=False)


class WebhookChanged(Given):
    """What may change; a URL at another host gets a new secret with `rotate`."""

    name = serializers.CharField(max_length=200)
    url = serializers.CharField(max_length=2000)
    event_types = serializers.ListField(child=serializers.CharField(max_length=80))
    is_active = serializers.BooleanField()


class WebhookShown(Shown):
    """A webhook; `secret` only in the answer that makes it."""

    id = serializers.SerializerMethodField()
    name = serializers.CharField()
    url = serializers.SerializerMethodField()
    event_types = serializers.ListField(child=serializers.CharField())
    scope = serializers.SerializerMethodField()
    is_active = serializers.BooleanField()
    secret_hint = serializers.CharField()
    secret = serializers.SerializerMethodField(help_text="Signs every message; shown once.")
    checked_at = Moment(allow_null=True)
    check_result = serializers.CharField()
    created_at = Moment()

    def get_id(self, webhook: NotificationChannel) -> str:
        """Return the prefixed id."""
        return f"whk_{webhook.pk.hex}"

    def get_url(self, webhook: NotificationChannel) -> str:
        """Return where it posts."""
        return str(webhook.options.get("url", ""))

    def get_scope(self, webhook: NotificationChannel) -> dict[str, str]:
        """Return the project or unit it is told about."""
        if webhook.project:
            return {"project": shown_id(webhook.project)}
        return {"business_unit": shown_id(webhook.business_unit)} if webhook.business_unit else {}

    def get_secret(self, webhook: NotificationChannel) -> str | None:
        """Return the secret just made."""
        return getattr(webhook, "new_secret", None)


class Rotation(Given):
    """How long messages bear both signatures."""

    overlap_hours = serializers.IntegerField(min_value=0, max_value=MOST_OVERLAP_HOURS, default=24)


class DeliveryShown(Shown):
    """One message on its way, delivered or given up."""

    id = serializers.CharField(help_text="`webhook-id` of every try.")
    type = serializers.CharField(source="kind")
    state = serializers.ChoiceField(OutboxMessage.State.choices)
    attempts = serializers.IntegerField()
    last_error = serializers.CharField()
    due_at = Moment()
    sent_at = Moment(allow_null=True)
    created_at = Moment()


class Resent(Given):
    """Which message to send again."""

    delivery = serializers.CharField(max_length=40, help_text="`msg_...`")


class Webhooks(Makes, Changes, Resource):
    """Webhooks."""

    resource = "webhooks"
    shows, makes, changes = WebhookShown, WebhookGiven, WebhookChanged
    shown_by_deliveries = DeliveryShown(many=True)
    live = frozenset({"checked_at", "check_result", "secret"})
    reaches_out = frozenset({"test"})

    def rows(self) -> QuerySet[NotificationChannel]:
        """Return the webhooks the caller sees."""
        return access.visible_channels(self.actor).filter(kind="webhook").exclude(event_types=[]).select_related("project", "business_unit")

    def find(self, rows: QuerySet[Any], text: str) -> Any:
        """Return the webhook of an id."""
        found = uuid_of(text, "whk_")
        return rows.filter(pk=found).first() if found else None

    def place_in(self, given: dict[str, Any]) -> access.Place:
        """Return the project or unit it would tell about."""
        scope = given.get("scope", {})
        if len(scope) > 1:
            raise serializers.ValidationError({"scope": "Name a project or a business unit, not both; neither for the whole platform."})
        if not scope and not access.sees_everything(self.actor):
            raise serializers.ValidationError({"scope": "Name your project or business unit: the whole platform is for its administrators."})
        place: access.Place = next(iter(scope.values()), None)
        return place

    def make(self, given: dict[str, Any]) -> NotificationChannel:
        """Make a webhook with a secret of its own."""
        scope = given.pop("scope", {})
        url = given.pop("url")
        made, secret = webhooks.make_webhook(NotificationChannel(options={"url": url}, **scope, **given))
        made.__dict__["new_secret"] = secret
        return made

    def change(self, row: NotificationChannel, given: dict[str, Any]) -> NotificationChannel:
        """Change a webhook."""
        if "url" in given:
            row.options = {"url": given.pop("url")}
        for name, value in given.items():
            setattr(row, name, value)
        return webhooks.save_webhook(row)

    def destroy(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Delete a webhook with its log; what was not delivered yet never will be."""
        channels.delete_channel(self.row(id))
        return Response(status=204)

    @action(detail=True, methods=["post"])
    def test(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Send a message of type `test` at once and show how that went in `check_result`."""
        with contextlib.suppress(NotDelivered):  # recorded, and shown in the answer
            channels.test_channel(self.row(id))
        return self.told(self.row(id))

    @action(detail=True, methods=["post"], takes=Rotation)
    def rotate(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Replace the signing secret; messages bear both signatures until the overlap is over."""
        row = self.row(id)
        hours = self.given(request, Rotation)["overlap_hours"]
        secret = webhooks.rotate_secret(row, timedelta(hours=hours))
        shown = self.row(id)
        shown.__dict__["new_secret"] = secret
        return self.told(shown)

    @action(detail=True, methods=["get"])
    def deliveries(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """List what was sent, newest first."""
        messages: QuerySet[OutboxMessage] = self.row(id).messages.all()
        found, following = pages.page(messages, "created_at", request.query_params.get("limit"), request.query_params.get("cursor"))
        return Response({"data": DeliveryShown(found, many=True).data, "has_more": following is not None, "next_cursor": following})

    @action(detail=True, methods=["post"], takes=Resent)
    def resend(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Send a message again under the same id, whatever became of it."""
        row = self.row(id)
        message = row.messages.filter(pk=self.given(request, Resent)["delivery"]).first()
        if message is None:
            raise exceptions.NotFound
        outbox.resend(message, self.person)
        return self.told(row)
