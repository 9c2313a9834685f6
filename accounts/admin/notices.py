"""The admin of notification channels and of the outbox. Faces are thin: every write goes to an action."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from unfold.decorators import action, display

from accounts import channels, outbox
from accounts.admin.governed import GovernedAdmin, ReadOnlyAdmin, said
from accounts.egress import NotDelivered
from accounts.forms import ChannelForm
from accounts.forms.notices import CONDITIONS, OPTION_FIELDS
from accounts.models import NotificationChannel, OutboxMessage, User
from accounts.sinks import shelf

SEVERITY_COLOURS = {"info": "info", "warning": "warning", "critical": "danger"}
STATE_COLOURS = {"sent": "success", "waiting": "info", "sending": "info", "collected": "info", "given up": "danger"}


@admin.register(NotificationChannel)
class NotificationChannelAdmin(GovernedAdmin):
    """Where notices go."""

    form = ChannelForm
    list_display = ("name", "shown_kind", "scope", "least_severity", "is_active", "digest", "undelivered", "check_result", "checked_at")
    list_filter = ("kind", "least_severity", "is_active")
    list_select_related = ("project", "business_unit")
    search_fields = ("name",)
    autocomplete_fields = ("project", "business_unit")
    readonly_fields = ("secret_hint", "checked_at", "check_result")
    actions = ("test",)
    actions_submit_line = ("save_and_test",)
    conditional_fields = CONDITIONS
    fieldsets = (
        (None, {"fields": ("name", "kind", *OPTION_FIELDS, "secret", "secret_hint", "is_active", ("checked_at", "check_result"))}),
        ("What it is told", {"classes": ("tab",), "fields": ("least_severity", "business_unit", "project")}),
        ("When", {"classes": ("tab",), "fields": ("digest", ("quiet_from", "quiet_until"), "time_zone")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[NotificationChannel]:
        """Return channels with the number of their messages not delivered so far; nobody's mailbox."""
        behind = Count("messages", filter=Q(messages__state__in=["waiting", "sending", "dead"]))
        return super().get_queryset(request).filter(person=None).annotate(undelivered=behind)  # type: ignore[no-any-return]

    @admin.display(description="not delivered", ordering="undelivered")
    def undelivered(self, channel: Any) -> int:
        """Number of messages that wait or were given up."""
        return int(channel.undelivered)

    @admin.display(description="kind", ordering="kind")
    def shown_kind(self, channel: NotificationChannel) -> str:
        """Title of the sink."""
        sink = shelf().get(channel.kind)
        return f"{channel.kind} (not on the shelf)" if sink is None else sink.title

    @admin.display(description="told about")
    def scope(self, channel: NotificationChannel) -> str:
        """What the channel is subscribed to."""
        return str(channel.project or channel.business_unit or "the whole platform")

    def store(self, request: HttpRequest, obj: NotificationChannel, form: ModelForm[Any]) -> None:
        """Store the channel, sealing a secret typed now."""
        channels.save_channel(obj, form.cleaned_data.get("secret", ""))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Return what goes with a channel: its messages too, which nobody deletes by themselves."""
        found, counts, lacking, protected = super().get_deleted_objects(objs, request)
        return found, counts, lacking - {OutboxMessage._meta.verbose_name}, protected

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete by action."""
        channels.delete_channel(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[NotificationChannel]) -> None:
        """Delete each by action."""
        for channel in queryset:
            channels.delete_channel(channel)

    def _test(self, request: HttpRequest, channel: NotificationChannel) -> None:
        try:
            self.message_user(request, f"{channel.name}: {channels.test_channel(channel)}", messages.SUCCESS)
        except NotDelivered as failure:
            self.message_user(request, f"{channel.name}: {failure}", messages.ERROR)

    @admin.action(description="Send a test message", permissions=["change"])
    def test(self, request: HttpRequest, queryset: QuerySet[NotificationChannel]) -> None:
        """Send a marked test message through each chosen channel and show the result."""
        for channel in queryset:
            self._test(request, channel)

    @action(description="Save and send a test message", permissions=["change"])
    def save_and_test(self, request: HttpRequest, obj: NotificationChannel) -> None:
        """Send a marked test message through the channel just saved and show the result."""
        self._test(request, obj)


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin):
    """Notices on their way, delivered, or given up."""

    list_display = ("created_at", "title", "channel", "shown_severity", "shown_state", "attempts", "due_at", "sent_at", "last_error")
    list_filter = ("state", "severity", "kind", "channel")
    list_select_related = ("channel",)
    search_fields = ("title", "id__exact")
    date_hierarchy = "created_at"
    exclude = ("for_digest", "claimed_until")
    actions = ("again",)

    @display(description="severity", ordering="severity", label=SEVERITY_COLOURS)
    def shown_severity(self, message: OutboxMessage) -> str:
        """Severity as a coloured label."""
        return message.severity

    @display(description="state", ordering="state", label=STATE_COLOURS)
    def shown_state(self, message: OutboxMessage) -> str:
        """State as a coloured label."""
        return message.get_state_display()

    def has_again_permission(self, request: HttpRequest) -> bool:
        """Whoever may change messages may send them again."""
        return request.user.has_perm("accounts.change_outboxmessage")

    @action(description="Send again", permissions=["again"])
    def again(self, request: HttpRequest, queryset: QuerySet[OutboxMessage]) -> None:
        """Make the chosen messages due now."""
        assert isinstance(request.user, User)
        done = 0
        for message in queryset:
            try:
                outbox.send_again(message, request.user)
                done += 1
            except ValidationError as refusal:
                self.message_user(request, said(refusal), messages.ERROR)
        self.message_user(request, f"{done} will be sent again.", messages.SUCCESS if done else messages.INFO)
