"""What groups give people, applied anew whenever groups or mappings change: given with the group, taken away with it, never what was given by hand."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Q, QuerySet

from accounts import actions, audit, four_eyes
from accounts.models import BusinessUnit, DirectoryGroup, GroupGrant, GroupMapping, Membership, OidcIdentity, Project, User
from accounts.models.identity import PRIVILEGED_ROLES

STRONGEST_FIRST = ("it_admin", "security_officer", "finance", "auditor", "owner", "manager", "developer", "viewer")
Place = Project | BusinessUnit


@audit.act("group-mapping.save")
def save_mapping(mapping: GroupMapping) -> GroupMapping:
    """Check and store what a group gives, and give it to its members at once. Raises ValidationError.

    A privileged role waits for a second person: nothing is stored until then (`four_eyes.held` tells).
    """
    mapping.full_clean()
    if mapping.is_privileged and four_eyes.is_needed() and not GroupMapping.objects.filter(pk=mapping.pk, group=mapping.group, role=mapping.role).exists():
        wanted = {"mapping": mapping.pk.hex, "group": mapping.group, "role": mapping.role}
        title = f"Group {mapping.group} gives {mapping.get_role_display()}"
        four_eyes.hold("act.group_mapping", row=mapping, title=title, target=f"gmp_{mapping.pk.hex}", parameters=wanted)
        return mapping
    before = GroupMapping.objects.filter(pk=mapping.pk).values_list("group", flat=True).first()
    mapping.save()
    apply_to_members({mapping.group, *filter(None, [before])})
    return mapping


@audit.act("group-mapping.remove")
def remove_mapping(mapping: GroupMapping) -> None:
    """Delete what a group gives, and take it from its members at once."""
    actions.remove(mapping)
    apply_to_members({mapping.group})


def apply_to_members(groups: Iterable[str]) -> None:
    """Apply the mappings to everybody who is in one of these groups, or has something by a group."""
    concerned = Q(pk__in=members_of(*groups).values("pk")) | Q(group_grants__isnull=False)
    for user in User.objects.filter(concerned).distinct().order_by("pk"):
        apply_groups(user)


def members_of(*groups: str) -> QuerySet[User]:
    """Return who is in one of some groups: as the directory keeps them here, or as named at the last sign-in."""
    names = set(groups)
    in_directory = User.objects.filter(Q(directory_groups__name__in=names) | Q(directory_groups__external_id__in=names - {""}))
    told = {user_id for user_id, said in OidcIdentity.objects.exclude(groups=[]).values_list("user_id", "groups") if names & set(said)}
    return User.objects.filter(Q(pk__in=in_directory.values("pk")) | Q(pk__in=told))


def give_something(groups: Iterable[str]) -> bool:
    """Say whether one of some groups is mapped: who comes to and goes from the others gets and loses nothing."""
    return GroupMapping.objects.filter(group__in=set(groups) - {""}).exists()


def groups_of(user: User) -> set[str]:
    """Return names and ids of all groups a person is in: those the directory keeps here, and those named at the last sign-in."""
    found = {name for pair in DirectoryGroup.objects.filter(members=user).values_list("name", "external_id") for name in pair}
    for told in OidcIdentity.objects.filter(user=user).values_list("groups", flat=True):
        found |= set(told)
    return found - {""}


@audit.act("groups.apply")
def apply_groups(user: User) -> None:
    """Give a person what their groups give now, and take away what they had by a group that gives it no more.

    Raises PermissionDenied when the directory would give a privileged role by a token that may not.
    """
    locked = User.objects.select_for_update().get(pk=user.pk)
    mappings = list(GroupMapping.objects.filter(group__in=groups_of(locked)).select_related("project", "business_unit")) if locked.is_active else []
    _apply_role(locked, strongest(mapping.role for mapping in mappings if mapping.role))
    wanted: dict[Place, str] = {}
    for mapping in mappings:
        place = mapping.project or mapping.business_unit
        if place is not None:
            wanted[place] = strongest([mapping.place_role, *filter(None, [wanted.get(place)])])
    _apply_memberships(locked, wanted)
    user.role, user.is_staff = locked.role, locked.is_staff


def strongest(roles: Iterable[str]) -> str:
    """Return the strongest of some roles, "" of none."""
    return min(roles, key=STRONGEST_FIRST.index, default="")


def _apply_role(user: User, wanted: str) -> None:
    grant = GroupGrant.objects.filter(user=user, membership=None).first()
    given = grant.role if grant is not None else ""
    if user.role not in ("", given):
        wanted = ""  # given by hand: theirs whatever their groups say, and no longer the group's to take away
    elif user.role != wanted:
        if wanted in PRIVILEGED_ROLES:
            four_eyes.check_token()
        user.role = wanted
        with four_eyes.settled():  # two people agreed when the mapping was made
            actions.save_user(user)
    _note(grant, user, None, wanted)


def _apply_memberships(user: User, wanted: Mapping[Place, str]) -> None:
    held = Membership.objects.filter(user=user).select_related("project", "business_unit", "group_grant")
    present: dict[Any, Membership] = {membership.project or membership.business_unit: membership for membership in held}
    for place, membership in present.items():
        grant = getattr(membership, "group_grant", None)
        if grant is None:
            continue
        role = wanted.get(place, "")
        if membership.role != grant.role:
            grant.delete()
        elif not role:
            actions.remove(membership)
        elif role != membership.role:
            membership.role = role
            actions.save_membership(membership)
            _note(grant, user, membership, role)
    for place, role in wanted.items():
        if place not in present:
            where = {"project": place} if isinstance(place, Project) else {"business_unit": place}
            made = actions.save_membership(Membership(user=user, role=role, **where))
            _note(None, user, made, role)


def _note(grant: GroupGrant | None, user: User, membership: Membership | None, role: str) -> None:
    """Keep what a group gave, so that it can be taken away again."""
    if grant is None and role:
        GroupGrant.objects.create(user=user, membership=membership, role=role)
    elif grant is not None and not role:
        grant.delete()
    elif grant is not None and grant.role != role:
        grant.role = role
        grant.save(update_fields=["role"])
