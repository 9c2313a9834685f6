"""The admin of how long responses are stored. What is stored is nobody's to read here."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from accounts.admin import GovernedAdmin
from gateway import retention
from gateway.models import ResponseRetention


@admin.register(ResponseRetention)
class ResponseRetentionAdmin(GovernedAdmin):
    """For how many days each project's responses are stored; every change takes two people."""

    list_display = ("project", "days")
    list_select_related = ("project",)
    search_fields = ("project__name",)
    autocomplete_fields = ("project",)
    fields = ("project", "days")

    def store(self, request: HttpRequest, obj: ResponseRetention, form: ModelForm[Any]) -> None:
        """Ask for the change."""
        retention.set_days(obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A row stays its project's."""
        return ("project",) if obj is not None else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: the installation's own days may be written down, which two people see."""
        return False
