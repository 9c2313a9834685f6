"""The admin's view of the company's directory: whom and which groups it keeps here. It is changed there, not here."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from accounts.admin.governed import ReadOnlyAdmin
from accounts.models import DirectoryGroup, DirectoryPerson


@admin.register(DirectoryPerson)
class DirectoryPersonAdmin(ReadOnlyAdmin):
    """People the directory keeps."""

    list_display = ("user_name", "user", "external_id", "active", "may_sign_in", "updated_at")
    list_filter = ("active",)
    list_select_related = ("user",)
    search_fields = ("user_name", "external_id", "user__email")
    fields = ("user_name", "user", "external_id", "active", "attributes", "created_at", "updated_at")

    @admin.display(description="active here", boolean=True)
    def may_sign_in(self, row: DirectoryPerson) -> bool:
        """Whether the account is open."""
        return row.user.is_active


@admin.register(DirectoryGroup)
class DirectoryGroupAdmin(ReadOnlyAdmin):
    """Groups the directory keeps."""

    list_display = ("name", "external_id", "member_count", "updated_at")
    search_fields = ("name", "external_id")
    fields = ("name", "external_id", "members", "created_at", "updated_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[DirectoryGroup]:
        """Return the groups with their number of members."""
        return DirectoryGroup.objects.annotate(member_count=Count("members"))

    @admin.display(description="people", ordering="member_count")
    def member_count(self, group: Any) -> int:
        """Number of members."""
        return int(group.member_count)
