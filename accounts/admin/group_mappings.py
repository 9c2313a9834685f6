"""The admin of group mappings: what a group of the directory or the identity provider gives its members."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from accounts import groups
from accounts.admin.governed import GovernedAdmin
from accounts.models import GroupMapping


@admin.register(GroupMapping)
class GroupMappingAdmin(GovernedAdmin):
    """Made and deleted, not changed: what a group gave is taken away with its mapping."""

    needs_fresh_proof = True
    list_display = ("group", "role", "place", "place_role", "member_count", "created_at")
    list_filter = ("role",)
    list_select_related = ("project", "business_unit")
    search_fields = ("group", "project__name", "business_unit__name")
    autocomplete_fields = ("project", "business_unit")
    fields = ("group", "role", ("project", "business_unit"), "place_role")

    @admin.display(description="in")
    def place(self, mapping: GroupMapping) -> str:
        """Where the role is given."""
        return str(mapping.project or mapping.business_unit or "the whole platform")

    @admin.display(description="people now")
    def member_count(self, mapping: GroupMapping) -> int:
        """Number of people who are in the group."""
        return groups.members_of(mapping.group).count()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Make another one instead."""
        return False

    def store(self, request: HttpRequest, obj: GroupMapping, form: Any) -> None:
        """Store the mapping and give the group's members what it says; a privileged role waits for a second person."""
        groups.save_mapping(obj)

    def remove(self, row: GroupMapping) -> None:
        """Delete the mapping and take away what it gave."""
        groups.remove_mapping(row)
