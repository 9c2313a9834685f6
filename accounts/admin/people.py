"""The admin of people, business units and projects. Faces are thin: every write goes to an action."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, Q, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.admin import TabularInline
from unfold.decorators import display

from accounts import access, actions, sessions
from accounts.admin.governed import STATE_COLOURS, GovernedAdmin, said
from accounts.forms import BusinessUnitForm, UserForm
from accounts.models import BusinessUnit, Membership, Project, User
from accounts.scim.handing_over import hand_over
from accounts.signin import factors, passwords, stepup

admin.site.unregister(Group)


class MembershipInline(TabularInline):
    """Who works here, in which role."""

    model = Membership
    extra = 0
    tab = True
    autocomplete_fields = ("user",)
    fields = ("user", "role")


@admin.register(User)
class UserAdmin(GovernedAdmin):
    """People."""

    form = UserForm
    list_display = ("email", "full_name", "role", "is_active", "membership_count", "last_login", "is_demo")
    list_filter = ("role", "is_active", "is_demo")
    search_fields = ("email", "full_name")
    readonly_fields = ("last_login", "created_at")
    fields = ("email", "full_name", "role", "is_active", "new_password", "last_login", "created_at")
    actions = ("close", "open", "password_link", "reset_factors", "end_sessions", "hand_over")
    needs_fresh_proof = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        """Return the people the signed-in user may see, with their number of memberships."""
        assert isinstance(request.user, User)
        return access.visible_users(request.user).annotate(membership_count=Count("memberships"))

    @admin.display(description="memberships", ordering="membership_count")
    def membership_count(self, user: Any) -> int:
        """Number of memberships."""
        return int(user.membership_count)

    def store(self, request: HttpRequest, obj: User, form: ModelForm[Any]) -> None:
        """Store the user, with a new password when one was typed."""
        actions.save_user(obj, form.cleaned_data.get("new_password") or None)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """People are deactivated, not deleted: what they did stays theirs."""
        return False

    @admin.action(description="Deactivate", permissions=["change"])
    def close(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Close the sign-in of the chosen people, except one's own."""
        self.tell(request, actions.set_users_active([user for user in queryset if user.pk != request.user.pk], False), "deactivated")

    @admin.action(description="Activate", permissions=["change"])
    def open(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Open the sign-in of the chosen people."""
        self.tell(request, actions.set_users_active(list(queryset), True), "activated")

    @admin.action(description="Make a link to a new password", permissions=["change"])
    @stepup.required_method
    def password_link(self, request: HttpRequest, queryset: QuerySet[User]) -> HttpResponse | None:
        """Show a link that sets the chosen person's password once, for the administrator to hand over."""
        user, by = queryset.first(), request.user
        assert isinstance(by, User)
        if user is None or queryset.count() != 1:
            self.message_user(request, "Choose one person.", messages.ERROR)
            return None
        try:
            url = f"{settings.PUBLIC_URL}{passwords.make_link(user, by)}"
        except ValidationError as refusal:
            self.message_user(request, said(refusal), messages.ERROR)
            return None
        context = {**self.admin_site.each_context(request), "title": "Link to a new password", "row": user, "url": url}
        return TemplateResponse(request, "admin/accounts/password_link.html", context, headers={"Cache-Control": "no-store"})

    @admin.action(description="Reset the second factors", permissions=["change"])
    @stepup.required_method
    def reset_factors(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Take every second factor of the chosen people out of use and end their sessions, except one's own."""
        chosen = [user for user in queryset if user.pk != request.user.pk]
        for user in chosen:
            factors.reset(user)
        self.tell(request, len(chosen), "reset: they set up new factors at the next sign-in")

    @admin.action(description="End every session", permissions=["change"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """End the sessions of the chosen people at once."""
        self.tell(request, sum(sessions.end_sessions(user) for user in queryset), "sessions ended")

    @admin.action(description="Hand over to the directory (SCIM)", permissions=["change"])
    @stepup.required_method
    def hand_over(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        """Let the directory keep the chosen people's accounts from now on; it finds each by the address as userName."""
        try:
            self.tell(request, sum(hand_over(user) for user in queryset), "handed over")
        except ValidationError as refusal:
            self.message_user(request, said(refusal), messages.ERROR)


@admin.register(BusinessUnit)
class BusinessUnitAdmin(GovernedAdmin):
    """The organisation's tree."""

    form = BusinessUnitForm
    list_display = ("name", "parent", "code", "project_count", "child_count", "is_demo")
    list_select_related = ("parent",)
    search_fields = ("name", "code")
    autocomplete_fields = ("parent",)
    inlines = (MembershipInline,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[BusinessUnit]:
        """Return the visible units with their counts."""
        assert isinstance(request.user, User)
        return access.visible_business_units(request.user).annotate(
            project_count=Count("projects", distinct=True), child_count=Count("children", distinct=True)
        )

    @admin.display(description="projects", ordering="project_count")
    def project_count(self, unit: Any) -> int:
        """Number of projects directly in the unit."""
        return int(unit.project_count)

    @admin.display(description="units below", ordering="child_count")
    def child_count(self, unit: Any) -> int:
        """Number of units directly below."""
        return int(unit.child_count)

    def store(self, request: HttpRequest, obj: BusinessUnit, form: ModelForm[Any]) -> None:
        """Store the unit."""
        actions.save_business_unit(obj)

    def store_inline(self, row: Any) -> None:
        """Store a membership."""
        actions.save_membership(row)


@admin.register(Project)
class ProjectAdmin(GovernedAdmin):
    """Projects, which keys belong to."""

    list_display = ("name", "business_unit", "environment", "shown_state", "key_count", "member_count", "is_demo")
    list_filter = ("state", "environment", "business_unit")
    list_select_related = ("business_unit",)
    search_fields = ("name", "business_unit__name")
    autocomplete_fields = ("business_unit",)
    fields = ("name", "business_unit", "environment", "data_class")
    inlines = (MembershipInline,)
    readonly_fields = ("data_class",)
    actions = ("suspend", "resume")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Project]:
        """Return the visible projects with their counts."""
        assert isinstance(request.user, User)
        return access.visible_projects(request.user).annotate(
            key_count=Count("keys", filter=Q(keys__state="active"), distinct=True), member_count=Count("memberships", distinct=True)
        )

    @display(description="state", ordering="state", label=STATE_COLOURS)
    def shown_state(self, project: Project) -> str:
        """State as a coloured label."""
        return project.state

    @admin.display(description="active keys", ordering="key_count")
    def key_count(self, project: Any) -> int:
        """Number of active keys."""
        return int(project.key_count)

    @admin.display(description="members", ordering="member_count")
    def member_count(self, project: Any) -> int:
        """Number of members."""
        return int(project.member_count)

    def store(self, request: HttpRequest, obj: Project, form: ModelForm[Any]) -> None:
        """Store the project."""
        actions.save_project(obj)

    def store_inline(self, row: Any) -> None:
        """Store a membership."""
        actions.save_membership(row)

    def _set(self, request: HttpRequest, queryset: QuerySet[Project], state: str, words: str) -> None:
        assert isinstance(request.user, User)
        done = 0
        for project in queryset:
            try:
                done += actions.set_project_state(project, state, level=access.level(request.user, project))
            except PermissionDenied as refusal:
                self.message_user(request, str(refusal), messages.ERROR)
        self.tell(request, done, words)

    @admin.action(description="Suspend: refuse calls of every key", permissions=["change"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[Project]) -> None:
        """Suspend the chosen projects."""
        self._set(request, queryset, Project.State.SUSPENDED, "suspended")

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Project]) -> None:
        """Resume the chosen projects."""
        self._set(request, queryset, Project.State.ACTIVE, "resumed")
