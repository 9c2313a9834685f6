"""The admin of service accounts: made here, their tokens shown once."""

from __future__ import annotations

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

from accounts import access
from accounts.admin.governed import STATE_COLOURS, GovernedAdmin, said
from accounts.credentials import check_new_expiry
from accounts.models import ServiceAccount, User
from accounts.service_accounts import SCOPES, make_service_account, save_service_account, set_service_account_state


class ServiceAccountForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A service account; its token is made by the action."""

    scopes = forms.MultipleChoiceField(choices=[(scope, scope) for scope in SCOPES], widget=UnfoldAdminCheckboxSelectMultipleWidget)

    class Meta:
        model = ServiceAccount
        fields = ("name", "purpose", "owner", "project", "business_unit", "scopes", "expires_at")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding:
            self.initial.setdefault("expires_at", timezone.now().replace(second=0, microsecond=0) + timedelta(days=365))

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if not self.errors:
            try:
                check_new_expiry(self.instance)
            except ValidationError as refusal:
                self.add_error(None, refusal)


@admin.register(ServiceAccount)
class ServiceAccountAdmin(GovernedAdmin):
    """Programs that manage the gateway."""

    needs_fresh_proof = True
    form = ServiceAccountForm
    list_display = ("name", "shown_id", "place", "shown_scopes", "shown_state", "expires_at", "last_used_at", "is_demo")
    list_filter = ("state", "business_unit")
    list_select_related = ("project", "business_unit")
    search_fields = ("name", "public_id")
    autocomplete_fields = ("owner", "project", "business_unit")
    fields = ("name", "purpose", "owner", ("project", "business_unit"), "scopes", "expires_at", "shown_state", "created_by", "last_used_at")
    readonly_fields = ("shown_state", "created_by", "last_used_at")
    actions = ("suspend", "resume", "revoke")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """An account stays where it belongs."""
        return (*self.readonly_fields, "project", "business_unit") if obj else self.readonly_fields

    @admin.display(description="token")
    def shown_id(self, account: ServiceAccount) -> str:
        """The public part of the token."""
        return f"sgw_sa_{account.public_id}_…"

    @admin.display(description="sees")
    def place(self, account: ServiceAccount) -> str:
        """What it sees."""
        return str(account.project or account.business_unit or "the whole platform")

    @admin.display(description="scopes")
    def shown_scopes(self, account: ServiceAccount) -> str:
        """The first scopes."""
        return ", ".join(account.scopes[:3]) + (f" +{len(account.scopes) - 3}" if len(account.scopes) > 3 else "")

    @display(description="state", ordering="state", label=STATE_COLOURS)
    def shown_state(self, account: ServiceAccount) -> str:
        """State as a coloured label."""
        return account.state

    def store(self, request: HttpRequest, obj: ServiceAccount, form: Any) -> None:
        """Change an account, or make one and keep its token for the answer to this request only."""
        if not obj._state.adding:
            save_service_account(obj)
            return
        assert isinstance(request.user, User)
        version = max(settings.KEY_PEPPERS)
        row, text = make_service_account(
            created_by=request.user,
            pepper=settings.KEY_PEPPERS[version],
            pepper_version=version,
            **{name: form.cleaned_data[name] for name in ServiceAccountForm.Meta.fields},
        )
        obj.__dict__.update(row.__dict__)
        request.__dict__["made_token"] = text

    def response_add(self, request: HttpRequest, obj: ServiceAccount, post_url_continue: str | None = None) -> HttpResponse:
        """Show the new token in this very answer; it is stored nowhere."""
        context = {
            **self.admin_site.each_context(request),
            "title": "The new token",
            "token": request.__dict__["made_token"],
            "row": obj,
            "opts": self.opts,
        }
        return TemplateResponse(request, "admin/accounts/new_token.html", context, headers={"Cache-Control": "no-store"})

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Accounts are revoked, not deleted: the ledger names them."""
        return False

    def _set(self, request: HttpRequest, queryset: QuerySet[ServiceAccount], state: str, words: str) -> None:
        assert isinstance(request.user, User)
        done = 0
        for account in queryset:
            try:
                done += set_service_account_state(account, state, level=access.level(request.user, account.project or account.business_unit))
            except ValidationError as refusal:
                self.message_user(request, said(refusal), messages.ERROR)
        self.tell(request, done, words)

    @admin.action(description="Suspend", permissions=["change"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[ServiceAccount]) -> None:
        """Refuse the chosen accounts until they are resumed."""
        self._set(request, queryset, ServiceAccount.State.SUSPENDED, "suspended")

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[ServiceAccount]) -> None:
        """Take the chosen accounts again."""
        self._set(request, queryset, ServiceAccount.State.ACTIVE, "resumed")

    @admin.action(description="Revoke for good", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ServiceAccount]) -> None:
        """Refuse the chosen accounts for good."""
        self._set(request, queryset, ServiceAccount.State.REVOKED, "revoked")
