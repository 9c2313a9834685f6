"""notification-channels: where notices about a project, a unit or the platform go. A secret is written and never shown."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers

from accounts import access, channels
from accounts.api.channel_resource import ChannelResource, ChannelShown, Scope
from accounts.api.fields import Given
from accounts.api.resource import Changes, Makes
from accounts.models import NotificationChannel, Severity

DIGESTS = [("", "each at once"), ("hourly", "hourly"), ("daily", "daily at 08:00")]


class ChannelChange(Given):
    """What of a channel can be changed; another host needs the secret again."""

    name = serializers.CharField(max_length=200)
    kind = serializers.CharField(max_length=32, help_text="A kind on the shelf, such as email, slack, teams, webhook.")
    options = serializers.DictField(child=serializers.CharField(max_length=2000), required=False, help_text="What the kind needs, by name; replaced whole.")
    secret = serializers.CharField(max_length=2000, required=False, write_only=True, help_text="Sealed at once; never shown, exported or logged.")
    least_severity = serializers.ChoiceField(Severity.choices, required=False, help_text="Notices less severe are not told.")
    is_active = serializers.BooleanField(required=False)
    digest = serializers.ChoiceField(DIGESTS, required=False, allow_blank=True, help_text="How what is not critical is collected.")
    quiet_from = serializers.TimeField(required=False, allow_null=True, help_text="Wall-clock time in `time_zone`; what is not critical waits.")
    quiet_until = serializers.TimeField(required=False, allow_null=True)
    time_zone = serializers.CharField(max_length=64, required=False, help_text="Such as Europe/Berlin.")


class ChannelGiven(ChannelChange):
    """A new channel."""

    scope = Scope(required=False)


class NotificationChannelShown(ChannelShown):
    """A channel, without its secret."""

    id = serializers.SerializerMethodField()
    kind = serializers.CharField()
    options = serializers.DictField(child=serializers.CharField())
    least_severity = serializers.ChoiceField(Severity.choices)
    digest = serializers.ChoiceField(DIGESTS)
    quiet_from = serializers.TimeField(allow_null=True)
    quiet_until = serializers.TimeField(allow_null=True)
    time_zone = serializers.CharField()

    def get_id(self, channel: NotificationChannel) -> str:
        """Return the prefixed id."""
        return f"nch_{channel.pk.hex}"


class NotificationChannels(Makes, Changes, ChannelResource):
    """Notification channels."""

    resource, prefix = "notification-channels", "nch_"
    shows, makes, changes = NotificationChannelShown, ChannelGiven, ChannelChange
    filters = {"kind": "Channels of this kind."}

    def rows(self) -> QuerySet[NotificationChannel]:
        """Return the channels the caller sees; webhooks are a resource of their own."""
        return access.visible_channels(self.actor).filter(event_types=[]).select_related("project", "business_unit")

    def narrowed(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the channels of a kind."""
        return rows.filter(kind=value) if "\0" not in value else rows.none()

    def make(self, given: dict[str, Any]) -> NotificationChannel:
        """Make a channel."""
        scope, secret = given.pop("scope", {}), given.pop("secret", "")
        return channels.save_channel(NotificationChannel(**scope, **given), secret)

    def change(self, row: NotificationChannel, given: dict[str, Any]) -> NotificationChannel:
        """Change a channel."""
        secret = given.pop("secret", "")
        for name, value in given.items():
            setattr(row, name, value)
        return channels.save_channel(row, secret)
