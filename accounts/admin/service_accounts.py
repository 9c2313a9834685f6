"""The admin of service accounts: made here, their tokens shown once."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from accounts.admin.credentials import JUST_MADE, CredentialAdmin, CredentialForm, pepper, scopes_of
from accounts.models import ServiceAccount, User
from accounts.service_accounts import SCOPES, make_service_account, save_service_account


class ServiceAccountForm(CredentialForm):
    """A service account."""

    scopes = scopes_of(SCOPES)

    class Meta:
        model = ServiceAccount
        fields = ("name", "purpose", "owner", "project", "business_unit", "scopes", "expires_at")


@admin.register(ServiceAccount)
class ServiceAccountAdmin(CredentialAdmin):
    """Programs that manage the gateway."""

    works_on = "/api/v1/"
    form = ServiceAccountForm
    list_display = ("name", "shown_id", "place", "shown_scopes", "shown_state", "expires_at", "rotate_by", "last_used_at", "is_demo")
    list_filter = ("state", "business_unit")
    list_select_related = ("project", "business_unit")
    search_fields = ("name", "public_id")
    autocomplete_fields = ("owner", "project", "business_unit")
    readonly_fields = ("shown_state", "rotate_by", "created_by", "last_used_at")
    fields = ("name", "purpose", "owner", ("project", "business_unit"), "scopes", "expires_at", *readonly_fields)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """An account stays where it belongs."""
        return (*self.readonly_fields, "project", "business_unit") if obj else self.readonly_fields

    @admin.display(description="sees")
    def place(self, account: ServiceAccount) -> str:
        """What it sees."""
        return str(account.project or account.business_unit or "the whole platform")

    def store(self, request: HttpRequest, obj: ServiceAccount, form: Any) -> None:
        """Change an account, or make one and keep its token for the answer to this request only."""
        if not obj._state.adding:
            save_service_account(obj)
            return
        assert isinstance(request.user, User)
        fields = {name: form.cleaned_data[name] for name in ServiceAccountForm.Meta.fields}
        row, request.__dict__[JUST_MADE] = make_service_account(created_by=request.user, **pepper(), **fields)
        obj.__dict__.update(row.__dict__)
