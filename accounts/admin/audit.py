"""The admin's page of the audit trail: read only, like the trail itself."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from accounts.admin.governed import ReadOnlyAdmin
from accounts.models import AuditEvent


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """Who did what, when and through what."""

    list_display = ("seq", "at", "action", "outcome", "who", "what", "face")
    list_filter = ("outcome", "face", "object_kind")
    search_fields = ("=action", "=actor_id", "=object_id", "=request_id")
    search_help_text = "An action, a prefixed id of actor or object, or the id of a request, whole."
    ordering = ("-seq",)
    show_full_result_count = False
    fields = (
        "seq", "at", "action", "outcome", "who", "actor_kind", "actor_id", "on_behalf_of", "face", "request_id", "what", "object_kind", "object_id",
        "transaction", "address", "agent", "reason", "changes", "previous", "hash",
    )  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Everything is to be read."""
        return self.fields

    @admin.display(description="by")
    def who(self, event: AuditEvent) -> str:
        """Return the name of who acted, the id where it is erased."""
        return _text(event, "actor") or event.actor_id or event.actor_kind

    @admin.display(description="on")
    def what(self, event: AuditEvent) -> str:
        """Return the name of what it was done to."""
        return _text(event, "object") or event.object_id

    @admin.display
    def address(self, event: AuditEvent) -> str:
        """Return the address it came from."""
        return _text(event, "ip")

    @admin.display
    def agent(self, event: AuditEvent) -> str:
        """Return the program it came from."""
        return _text(event, "agent")

    @admin.display
    def reason(self, event: AuditEvent) -> str:
        """Return why."""
        return _text(event, "reason")

    @admin.display
    def changes(self, event: AuditEvent) -> str:
        """Return what was and what is, field by field."""
        held = event.texts.get("changes") or {}
        return "\n".join(f"{name}: {before!r} → {after!r}" for name, (before, after) in held.get("value", {}).items())


def _text(event: AuditEvent, name: str) -> str:
    held = event.texts.get(name)
    return str(held["value"]) if held else ""
