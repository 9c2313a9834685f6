"""memberships: who works in a project or business unit, in which role."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access, actions
from accounts.api.fields import Given, Moment, Person, Reference, Shown, look_up, shown_id
from accounts.api.resource import Changes, Makes, Resource
from accounts.models import Membership


class MembershipChange(Given):
    """What of a membership can be changed."""

    role = serializers.ChoiceField(Membership.Role.choices, help_text="owner, developer or viewer of a project; manager or viewer of a unit.")


class MembershipGiven(MembershipChange):
    """A new membership."""

    user = Person(help_text="`usr_...` or e-mail address.")
    project = Reference(access.visible_projects, required=False, help_text="`prj_...`")
    business_unit = Reference(access.visible_business_units, required=False, help_text="`bu_...`")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse none or both."""
        if ("project" in attrs) == ("business_unit" in attrs):
            raise serializers.ValidationError("Name exactly one: project or business_unit.")
        return attrs


class MembershipShown(Shown):
    """A role of a person in a project or business unit."""

    id = serializers.SerializerMethodField()
    user = serializers.SerializerMethodField()
    email = serializers.CharField(source="user.email")
    project = serializers.SerializerMethodField()
    business_unit = serializers.SerializerMethodField()
    role = serializers.ChoiceField(Membership.Role.choices)
    created_at = Moment()

    def get_id(self, row: Membership) -> str:
        """Return the prefixed id."""
        return f"mbr_{row.pk.hex}"

    def get_user(self, row: Membership) -> str:
        """Return the prefixed id of the person."""
        return shown_id(row.user)

    def get_project(self, row: Membership) -> str | None:
        """Return the prefixed id of the project."""
        return shown_id(row.project) if row.project else None

    def get_business_unit(self, row: Membership) -> str | None:
        """Return the prefixed id of the unit."""
        return shown_id(row.business_unit) if row.business_unit else None


class Memberships(Makes, Changes, Resource):
    """Memberships."""

    resource = "memberships"
    shows, makes, changes = MembershipShown, MembershipGiven, MembershipChange
    filters = {"project": "Those of this project (`prj_...`).", "business_unit": "Those of this unit (`bu_...`).", "user": "Those of this person (`usr_...`)."}

    def rows(self) -> QuerySet[Membership]:
        """Return the memberships the caller sees."""
        return access.visible_memberships(self.actor)

    def find(self, rows: QuerySet[Any], text: str) -> Any:
        """Return the membership of an id."""
        return look_up(rows, text)

    def narrowed(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the memberships of a place or a person."""
        visible: dict[str, QuerySet[Any]] = {
            "project": access.visible_projects(self.actor),
            "business_unit": access.visible_business_units(self.actor),
            "user": access.users_within(rows),
        }
        found = look_up(visible[name], value)
        return rows.filter(**{name: found}) if found else rows.none()

    def place_in(self, given: dict[str, Any]) -> access.Place:
        """Return the project or unit."""
        place: access.Place = given.get("project") or given["business_unit"]
        return place

    def make(self, given: dict[str, Any]) -> Membership:
        """Add a person to a project or unit."""
        return actions.save_membership(Membership(**given))

    def change(self, row: Membership, given: dict[str, Any]) -> Membership:
        """Give the person another role there."""
        row.role = given.get("role", row.role)
        return actions.save_membership(row)

    def destroy(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Take the person out of the project or unit."""
        actions.remove(self.row(id))
        return Response(status=204)
