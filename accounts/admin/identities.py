"""The admin of single sign-on identities: who signs in as whom, linked and unlinked by hand where the rules of sign-in do not."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from accounts.admin.governed import GovernedAdmin
from accounts.models import OidcIdentity, User
from accounts.oidc import people
from accounts.oidc.provider import configuration


@admin.register(OidcIdentity)
class OidcIdentityAdmin(GovernedAdmin):
    """Linked and unlinked, not changed."""

    needs_fresh_proof = True
    list_display = ("user", "subject", "issuer", "linked_by", "created_at", "last_sign_in_at")
    list_filter = ("issuer",)
    list_select_related = ("user", "linked_by")
    search_fields = ("user__email", "subject", "external_id")
    autocomplete_fields = ("user",)
    fields = ("user", "issuer", "subject")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What a link says, and once it is there what was heard at the last sign-in."""
        return (*self.fields, "external_id", "groups", "linked_by", "created_at", "last_sign_in_at") if obj else self.fields

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Offer the provider that is set up."""
        return {"issuer": configuration().issuer, **super().get_changeform_initial_data(request)}

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Unlink it and link another instead."""
        return False

    def store(self, request: HttpRequest, obj: OidcIdentity, form: ModelForm[Any]) -> None:
        """Link the identity; for an administrator or security officer it waits for a second person."""
        assert isinstance(request.user, User)
        made = people.link(obj.user, obj.issuer, obj.subject, by=request.user)
        obj.__dict__.update(made.__dict__)

    def remove(self, row: OidcIdentity) -> None:
        """Unlink the identity; it signs in no more, and what its groups gave is taken away."""
        people.unlink(row)
