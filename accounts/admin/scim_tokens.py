"""The admin of SCIM tokens: made here for the company's directory, shown once, rotated, revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from accounts import four_eyes
from accounts.admin.credentials import JUST_MADE, CredentialAdmin, CredentialForm, pepper, scopes_of
from accounts.admin.governed import said
from accounts.models import ScimToken, User
from accounts.scim.tokens import SCOPES, make_token, rotate_token, save_token
from accounts.signin import stepup

OVERLAP = timedelta(hours=24)


class ScimTokenForm(CredentialForm):
    """A SCIM token."""

    scopes = scopes_of(SCOPES)

    class Meta:
        model = ScimToken
        fields = ("name", "scopes", "may_give_privileged", "expires_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding:
            self.initial.setdefault("scopes", SCOPES)  # a directory needs them all


@admin.register(ScimToken)
class ScimTokenAdmin(CredentialAdmin):
    """What the directory proves itself with."""

    works_on = "/scim/v2/"
    form = ScimTokenForm
    list_display = ("name", "shown_id", "shown_scopes", "is_privileged", "shown_state", "expires_at", "rotate_by", "last_used_at")
    list_filter = ("state",)
    search_fields = ("name", "public_id")
    readonly_fields = ("shown_state", "rotate_by", "created_by", "last_used_at", "last_used_ip", "last_used_agent")
    fields = (*ScimTokenForm.Meta.fields, *readonly_fields)
    actions = ("rotate", "rotate_at_once", *CredentialAdmin.actions)

    @admin.display(description="scopes")
    def shown_scopes(self, row: ScimToken) -> str:
        """What it opens."""
        return "all" if set(row.scopes) == set(SCOPES) else ", ".join(row.scopes)

    @admin.display(description="privileged", boolean=True, ordering="may_give_privileged")
    def is_privileged(self, row: ScimToken) -> bool:
        """Whether it may give privileged roles."""
        return row.may_give_privileged

    def store(self, request: HttpRequest, obj: ScimToken, form: Any) -> None:
        """Change a token, or make one and keep its text for the answer to this request only."""
        if not obj._state.adding:
            save_token(obj)
            return
        assert isinstance(request.user, User)
        fields = {name: form.cleaned_data[name] for name in ScimTokenForm.Meta.fields}
        row, request.__dict__[JUST_MADE] = make_token(created_by=request.user, **pepper(), **fields)
        obj.__dict__.update(row.__dict__)

    def _rotate(self, request: HttpRequest, queryset: QuerySet[ScimToken], overlap: timedelta) -> HttpResponse | None:
        row = queryset.first()
        if row is None or queryset.count() != 1:
            self.message_user(request, "Choose one token.", messages.ERROR)
            return None
        try:
            row, text = rotate_token(row, overlap=overlap, **pepper())
        except ValidationError as refusal:
            self.message_user(request, said(refusal), messages.ERROR)
            return None
        waiting = four_eyes.held(row)
        if waiting is not None:
            self.message_user(request, four_eyes.in_words(waiting), messages.WARNING)
        return self.show_once(request, row, text)

    @admin.action(description="Rotate: the old secret is good for another 24 hours", permissions=["change"])
    @stepup.required_method
    def rotate(self, request: HttpRequest, queryset: QuerySet[ScimToken]) -> HttpResponse | None:
        """Show a new secret of the chosen token; the old one is good for a day."""
        return self._rotate(request, queryset, OVERLAP)

    @admin.action(description="Rotate: the old secret ends at once", permissions=["change"])
    @stepup.required_method
    def rotate_at_once(self, request: HttpRequest, queryset: QuerySet[ScimToken]) -> HttpResponse | None:
        """Show a new secret of the chosen token; the old one is good no more."""
        return self._rotate(request, queryset, timedelta(0))
