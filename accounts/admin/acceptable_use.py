"""The admin of the acceptable-use policy: its versions, each published once and kept as it is, and how many accepted them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from unfold.decorators import display

from accounts import acceptable_use
from accounts.admin.governed import GovernedAdmin
from accounts.forms.acceptable_use import UsePolicyForm
from accounts.models import UsePolicy, User


@admin.register(UsePolicy)
class UsePolicyAdmin(GovernedAdmin):
    """A change is a new version: the form starts from the text that counts, and every version before it stays to be read."""

    list_display = ("version", "published_at", "published_by", "shown_accepted")
    fields = ("text",)
    form = UsePolicyForm
    needs_fresh_proof = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[UsePolicy]:
        """Return the versions with the number of people who accepted each."""
        rows: QuerySet[UsePolicy] = super().get_queryset(request)
        return rows.annotate(accepted=Count("acceptances")).select_related("published_by")

    @display(description="accepted by", ordering="accepted")
    def shown_accepted(self, policy: UsePolicy) -> int:
        """Return how many people accepted it."""
        count: int = policy.__dict__["accepted"]
        return count

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Start from the text that counts."""
        present = acceptable_use.current()
        return {"text": present.text if present else ""}

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Show whose version it is beside its text."""
        return ("text",) if obj is None else ("version", "published_at", "published_by", "shown_accepted", "text")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes a version people have accepted."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody deletes one."""
        return False

    def store(self, request: HttpRequest, obj: UsePolicy, form: ModelForm[Any]) -> None:
        """Publish the text as the next version."""
        acceptable_use.publish(obj, request.user if isinstance(request.user, User) else None)
