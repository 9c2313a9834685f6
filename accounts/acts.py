"""Acts on people that take two: a privileged platform role, a group or a SCIM token that gives one, a sign-in for somebody who has one."""

from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError

from accounts import actions, four_eyes, groups
from accounts.access_grants import GRANTING_ROLES
from accounts.grants import Line
from accounts.models import GrantRequest, GroupMapping, OidcIdentity, ScimToken, User
from accounts.models.identity import PRIVILEGED_ROLES
from accounts.oidc import people
from accounts.scim import tokens


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
    label, group = str(User.PlatformRole(request.parameters["role"]).label), request.parameters["group"]
    members = ", ".join(sorted(map(str, groups.members_of(group)))) or "nobody"
    return [
        Line(f"Group {group}", str(mapping).partition("→")[2].strip() if mapping else "nothing", label),
        Line("Who is in it", members, members),
    ]


def preview_token(request: GrantRequest) -> list[Line]:
    """Say what the token may give and might."""
    token = ScimToken.objects.filter(pk=request.parameters["token"]).first()
    mappings = sorted(map(str, GroupMapping.objects.filter(role__in=PRIVILEGED_ROLES)))
    return [Line(str(token), "no privileged role", ", ".join(mappings) or "none yet: no group gives one")] if token else []


def link_identity(request: GrantRequest) -> None:
    """Let the identity sign in as the person."""
    wanted = request.parameters
    people.link(locked_person(request), wanted["issuer"], wanted["subject"], by=request.requester)


def preview_identity(request: GrantRequest) -> list[Line]:
    """Say who signs in as the person and would."""
    present = ", ".join(OidcIdentity.objects.filter(user=request.parameters["user"]).values_list("subject", flat=True)) or "nobody"
    user = User.objects.filter(pk=request.parameters["user"]).first()
    return [Line(f"Who signs in as {user} ({user.get_role_display()})", present, request.parameters["subject"])] if user else []


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
    four_eyes.act(tokens.ACT, title="A SCIM token that may give privileged roles", roles=GRANTING_ROLES, run=tokens.let_give_privileged, preview=preview_token),
    four_eyes.act(
        people.ACT,
        title="A sign-in for somebody with a privileged role",
        roles=GRANTING_ROLES,
        run=link_identity,
        preview=preview_identity,
    ),
)
