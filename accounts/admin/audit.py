"""The admin's page of the audit trail: read only, like the trail itself."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from accounts import audit
from accounts.admin.governed import ReadOnlyAdmin
from accounts.audit.export import FORMATS
from accounts.models import AuditAnchor, AuditEvent

MOST_EXPORTED = 10_000


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

    actions = ("as_jsonl", "as_csv")

    @admin.action(description="Export the chosen as JSON lines", permissions=["view"])
    def as_jsonl(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> HttpResponse:
        """Give the chosen events as a file that proves itself."""
        return _file(queryset, "jsonl")

    @admin.action(description="Export the chosen as CSV", permissions=["view"])
    def as_csv(self, request: HttpRequest, queryset: QuerySet[AuditEvent]) -> HttpResponse:
        """Give the chosen events as a table."""
        return _file(queryset, "csv")

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


def _file(events: QuerySet[AuditEvent], wanted: str) -> HttpResponse:
    chosen = list(events.order_by("seq")[:MOST_EXPORTED])
    audit.record("audit.export", format=wanted, events=len(chosen))
    write, media = FORMATS[wanted]
    headers = {"Content-Disposition": f'attachment; filename="audit-events.{wanted}"'}
    return HttpResponse("".join(write(chosen)), content_type=f"{media}; charset=utf-8", headers=headers)


@admin.register(AuditAnchor)
class AuditAnchorAdmin(ReadOnlyAdmin):
    """Where checkpoints are kept outside the database, and how far each has come."""

    list_display = ("name", "seq", "kept_at", "failing_since", "last_error")
