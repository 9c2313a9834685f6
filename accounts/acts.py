"""Acts on people that take two: a privileged platform role, and a group that gives one."""

from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError

from accounts import actions, four_eyes, groups
from accounts.access_grants import GRANTING_ROLES
from accounts.grants import Line
from accounts.models import GrantRequest, GroupMapping, User


def locked_person(request: GrantRequest) -> User:
    """Return the locked person a request is about; raises ValidationError when they are gone."""
    user = User.objects.select_for_update().filter(pk=request.parameters["user"]).first()
    if user is None:
        raise ValidationError("This person is gone.")
    return user


def give_role(request: GrantRequest) -> None:
    """Give the platform role."""
    user = locked_person(request)
    user.role = request.parameters["role"]
    actions.save_user(user)


def preview_role(request: GrantRequest) -> list[Line]:
    """Say which role there is and would be."""
    user = User.objects.filter(pk=request.parameters["user"]).first()
    return [Line(f"Platform role of {user}", user.get_role_display(), str(User.PlatformRole(request.parameters["role"]).label))] if user else []


def person(request: GrantRequest) -> frozenset[UUID]:
    """Return whom it is for."""
    return frozenset({UUID(request.parameters["user"])})


def save_mapping(request: GrantRequest) -> None:
    """Store the mapping, and give its role to the group's members."""
    wanted: dict[str, Any] = request.parameters
    mapping = GroupMapping.objects.filter(pk=wanted["mapping"]).first() or GroupMapping(pk=UUID(wanted["mapping"]))
    mapping.group, mapping.role = wanted["group"], wanted["role"]
    mapping.project = mapping.business_unit = None
    mapping.place_role = ""
    groups.save_mapping(mapping)


def preview_mapping(request: GrantRequest) -> list[Line]:
    """Say what the group gives and would give."""
    mapping = GroupMapping.objects.filter(pk=request.parameters["mapping"]).first()
    label = str(User.PlatformRole(request.parameters["role"]).label)
    return [Line(f"Group {request.parameters['group']}", str(mapping).partition("→")[2].strip() if mapping else "nothing", label)]


ACTS = (
    four_eyes.act(
        "act.role",
        title="A privileged platform role",
        roles=GRANTING_ROLES,
        run=give_role,
        preview=preview_role,
        beneficiaries=person,
    ),
    four_eyes.act("act.group_mapping", title="A group that gives a privileged role", roles=GRANTING_ROLES, run=save_mapping, preview=preview_mapping),
)
