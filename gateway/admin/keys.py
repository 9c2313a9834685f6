"""The admin of virtual keys: made here, shown once."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.decorators import display

from accounts import access
from accounts import actions as account_actions
from accounts.admin import STATE_COLOURS, GovernedAdmin, said
from accounts.models import User, VirtualKey
from gateway import actions
from gateway.forms import VirtualKeyForm


@admin.register(VirtualKey)
class VirtualKeyAdmin(GovernedAdmin):
    """Keys of applications: made here, shown once."""

    form = VirtualKeyForm
    list_display = ("name", "shown_id", "project", "shown_models", "environment", "shown_state", "expires_at", "rotate_by", "last_used_at", "is_demo")
    list_filter = ("state", "environment", "project")
    list_select_related = ("project",)
    search_fields = ("name", "public_id", "project__name")
    autocomplete_fields = ("project", "owner")
    readonly_fields = ("shown_state", "state_reason", "previous_until", "rotate_by", "created_by", "last_used_at", "last_used_ip", "last_used_agent")
    fields = (*VirtualKeyForm.Meta.fields, *readonly_fields)
    actions = ("suspend", "resume", "revoke")

    def get_queryset(self, request: HttpRequest) -> QuerySet[VirtualKey]:
        """Return the keys the signed-in user may see."""
        assert isinstance(request.user, User)
        return access.visible_keys(request.user)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A key that is not made yet has no history."""
        return self.fields if obj else VirtualKeyForm.Meta.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A key stays in its project and whose it is."""
        return (*self.readonly_fields, "project", "owner") if obj else self.readonly_fields

    @admin.display(description="key")
    def shown_id(self, key: VirtualKey) -> str:
        """The public part of the key."""
        return f"sgw_vk_{key.public_id}_…"

    @admin.display(description="models")
    def shown_models(self, key: VirtualKey) -> str:
        """The first models of the key."""
        return ", ".join(key.models[:3]) + (f" +{len(key.models) - 3}" if len(key.models) > 3 else "")

    @display(description="state", ordering="state", label=STATE_COLOURS)
    def shown_state(self, key: VirtualKey) -> str:
        """State as a coloured label."""
        return key.state

    def store(self, request: HttpRequest, obj: VirtualKey, form: ModelForm[Any]) -> None:
        """Change a key, or make one and keep its text for the answer to this request only."""
        if not obj._state.adding:
            account_actions.save_key(obj)
            return
        assert isinstance(request.user, User)
        row, text = actions.create_virtual_key(
            created_by=request.user, **{name: form.cleaned_data[name] for name in VirtualKeyForm.Meta.fields}
        )
        obj.__dict__.update(row.__dict__)
        request.__dict__["made_key"] = text

    def response_add(self, request: HttpRequest, obj: VirtualKey, post_url_continue: str | None = None) -> HttpResponse:
        """Show the new key in this very answer; it is stored nowhere."""
        context = {
            **self.admin_site.each_context(request),
            "title": "The new key",
            "key": request.__dict__["made_key"],
            "row": obj,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/gateway/new_key.html", context, headers={"Cache-Control": "no-store"})

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Keys are revoked, not deleted: usage refers to them."""
        return False

    def _set(self, request: HttpRequest, queryset: QuerySet[VirtualKey], state: str, words: str) -> None:
        assert isinstance(request.user, User)
        done = 0
        for key in queryset:
            try:
                done += account_actions.set_key_state(key, state, level=access.level(request.user, key))
            except ValidationError as refusal:
                self.message_user(request, said(refusal), messages.ERROR)
        self.tell(request, done, words)

    @admin.action(description="Suspend", permissions=["change"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[VirtualKey]) -> None:
        """Refuse calls of the chosen keys until they are resumed."""
        self._set(request, queryset, VirtualKey.State.SUSPENDED, "suspended")

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[VirtualKey]) -> None:
        """Serve the chosen keys again."""
        self._set(request, queryset, VirtualKey.State.ACTIVE, "resumed")

    @admin.action(description="Revoke for good", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[VirtualKey]) -> None:
        """Refuse calls of the chosen keys for good."""
        self._set(request, queryset, VirtualKey.State.REVOKED, "revoked")
