"""webhooks: who is told of events as they happen, and the log of what was delivered."""

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access, outbox, webhooks
from accounts.api import pages
from accounts.api.channel_resource import ChannelResource, ChannelShown, Scope
from accounts.api.fields import Given, Moment, Shown
from accounts.api.resource import Changes, Makes
from accounts.api.schema import PAGE
from accounts.models import NotificationChannel, OutboxMessage

MOST_OVERLAP_HOURS = 168


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


class WebhookShown(ChannelShown):
    """A webhook; `secret` only in the answer that makes it."""

    id = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField()
    event_types = serializers.ListField(child=serializers.CharField())
    secret = serializers.SerializerMethodField(help_text="Signs every message; shown once.")

    def get_id(self, webhook: NotificationChannel) -> str:
        """Return the prefixed id."""
        return f"whk_{webhook.pk.hex}"

    def get_url(self, webhook: NotificationChannel) -> str:
        """Return where it posts."""
        return str(webhook.options.get("url", ""))

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


class DeliveriesPage(Shown):
    """A page of the log."""

    data = DeliveryShown(many=True)  # type: ignore[assignment]  # a name the base class has as a property
    has_more = serializers.BooleanField()
    next_cursor = serializers.CharField(allow_null=True)


class Resent(Given):
    """Which message to send again."""

    delivery = serializers.CharField(max_length=40, help_text="`msg_...`")


class Webhooks(Makes, Changes, ChannelResource):
    """Webhooks."""

    resource, prefix = "webhooks", "whk_"
    shows, makes, changes = WebhookShown, WebhookGiven, WebhookChanged
    shown_by_deliveries = DeliveriesPage

    def rows(self) -> QuerySet[NotificationChannel]:
        """Return the webhooks the caller sees."""
        return access.visible_channels(self.actor).filter(kind="webhook").exclude(event_types=[]).select_related("project", "business_unit")

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

    @action(detail=True, methods=["post"], takes=Rotation)
    def rotate(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Replace the signing secret; messages bear both signatures until the overlap is over."""
        row = self.row(id)
        hours = self.given(request, Rotation)["overlap_hours"]
        secret = webhooks.rotate_secret(row, timedelta(hours=hours))
        shown = self.row(id)
        shown.__dict__["new_secret"] = secret
        return self.told(shown)

    @extend_schema(parameters=[*PAGE])
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
