"""The admin of credential policies: how long keys and tokens live, and when unused ones rest."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from accounts.actions import save_credential_policy
from accounts.admin.governed import GovernedAdmin
from accounts.models import CredentialPolicy


@admin.register(CredentialPolicy)
class CredentialPolicyAdmin(GovernedAdmin):
    """One row for each kind of credential; rows are neither added nor deleted."""

    list_display = ("kind", "longest_days", "longest_overlap_hours", "idle_days")
    fields = ("kind", "longest_days", "longest_overlap_hours", "idle_days")
    readonly_fields = ("kind",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Every kind has its row."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Every kind keeps its row."""
        return False

    def store(self, request: HttpRequest, obj: CredentialPolicy, form: ModelForm[Any]) -> None:
        """Store the policy."""
        save_credential_policy(obj)
