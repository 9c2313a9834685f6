"""What the admin's pages of tokens have in common: shown once, suspended, resumed and revoked by action, never deleted."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts import access, credentials
from accounts.admin.governed import STATE_COLOURS, GovernedAdmin, said
from accounts.models import Credential, User

JUST_MADE = "just_made"


def pepper() -> dict[str, Any]:
    """Return the newest pepper, as actions that make secrets take it."""
    version = max(settings.KEY_PEPPERS)
    return {"pepper": settings.KEY_PEPPERS[version], "pepper_version": version}


class CredentialForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A credential as it may be made and changed; offers the longest life its policy allows. Its secret is made by the action."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding:
            longest = timedelta(days=credentials.policy_of(self.instance).longest_days)
            self.initial.setdefault("expires_at", timezone.now().replace(second=0, microsecond=0) + longest)

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if not self.errors:
            try:
                credentials.check_new_expiry(self.instance)
            except ValidationError as refusal:
                self.add_error(None, refusal)


def scopes_of(names: Iterable[str]) -> forms.MultipleChoiceField:
    """Return the field that chooses among scopes."""
    return forms.MultipleChoiceField(choices=[(scope, scope) for scope in names], widget=UnfoldAdminCheckboxSelectMultipleWidget)


class CredentialAdmin(GovernedAdmin):
    """A page of tokens; `works_on` says where they are taken."""

    needs_fresh_proof = True
    actions: tuple[str, ...] = ("suspend", "resume", "revoke")
    works_on = ""

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """A token that is not made yet has no history."""
        return [name for name in self.fields or () if obj or name not in self.readonly_fields]

    @admin.display(description="token")
    def shown_id(self, row: Any) -> str:
        """The public part of the token."""
        return f"sgw_{credentials.KINDS[type(row)]}_{row.public_id}_…"

    @admin.display(description="scopes")
    def shown_scopes(self, row: Any) -> str:
        """The first scopes."""
        return ", ".join(row.scopes[:3]) + (f" +{len(row.scopes) - 3}" if len(row.scopes) > 3 else "")

    @display(description="state", ordering="state", label=STATE_COLOURS)
    def shown_state(self, row: Credential) -> str:
        """State as a coloured label."""
        return row.state

    def show_once(self, request: HttpRequest, row: Any, token: str) -> HttpResponse:
        """Show a new token in this very answer; it is stored nowhere."""
        context = {
            **self.admin_site.each_context(request),
            "title": "The new token",
            "token": token,
            "row": row,
            "works_on": self.works_on,
            "opts": self.opts,
            "back": f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist",
        }
        return TemplateResponse(request, "admin/accounts/new_token.html", context, headers={"Cache-Control": "no-store"})

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Show the token that `store` made and kept for this answer only."""
        return self.show_once(request, obj, request.__dict__[JUST_MADE])

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Tokens are revoked, not deleted: the audit trail names them."""
        return False

    def _set(self, request: HttpRequest, queryset: QuerySet[Any], state: str, words: str) -> None:
        assert isinstance(request.user, User)
        done = 0
        for row in queryset:
            place = getattr(row, "project", None) or getattr(row, "business_unit", None)
            try:
                done += credentials.set_state(row, state, level=access.level(request.user, place))
            except ValidationError as refusal:
                self.message_user(request, said(refusal), messages.ERROR)
        self.tell(request, done, words)

    @admin.action(description="Suspend", permissions=["change"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Refuse the chosen tokens until they are resumed."""
        self._set(request, queryset, Credential.State.SUSPENDED, "suspended")

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Take the chosen tokens again."""
        self._set(request, queryset, Credential.State.ACTIVE, "resumed")

    @admin.action(description="Revoke for good", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Refuse the chosen tokens for good."""
        self._set(request, queryset, Credential.State.REVOKED, "revoked")
