"""The admin's list of alerts: read, and acknowledged."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.decorators import action, display

from accounts.admin import ReadOnlyAdmin
from accounts.models import User
from billing import alerts
from billing.models import AlertEvent

SEVERITY_COLOURS = {"info": "info", "warning": "warning", "critical": "danger"}


@admin.register(AlertEvent)
class AlertEventAdmin(ReadOnlyAdmin):
    """What was noticed, once each."""

    list_display = ("at", "title", "shown_severity", "kind", "project", "business_unit", "acknowledged_at", "acknowledged_by")
    list_filter = ("severity", "kind", ("acknowledged_at", admin.EmptyFieldListFilter), "business_unit")
    list_select_related = ("project", "business_unit", "acknowledged_by")
    search_fields = ("title", "subject__exact")
    date_hierarchy = "at"
    actions = ("acknowledge",)

    @display(description="severity", ordering="severity", label=SEVERITY_COLOURS)
    def shown_severity(self, event: AlertEvent) -> str:
        """Severity as a coloured label."""
        return event.severity

    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        """Whoever may change alerts may acknowledge them."""
        return request.user.has_perm("billing.change_alertevent")

    @action(description="Acknowledge", permissions=["acknowledge"])
    def acknowledge(self, request: HttpRequest, queryset: QuerySet[AlertEvent]) -> None:
        """Note that the signed-in person has seen the chosen alerts."""
        assert isinstance(request.user, User)
        done = alerts.acknowledge(list(queryset), request.user)
        self.message_user(request, f"{done} acknowledged." if done else "Nothing to change.", messages.SUCCESS if done else messages.INFO)
