"""Groups of the directory: what they give is given and taken away as members come and go."""

from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from scim2_models import InvalidValueException, Reference, UniquenessException

from accounts import actions, audit
from accounts.audit.record import record
from accounts.audit.watch import subject_of
from accounts.groups import apply_groups, apply_to_members, give_something
from accounts.models import DirectoryGroup, DirectoryPerson, User
from accounts.scim.resources import Group, Member
from accounts.scim.versions import meta_of

LOOK_UPS = {"displayname": "name__iexact", "externalid": "external_id", "id": "pk"}


def rows() -> QuerySet[DirectoryGroup]:
    """Return every group the directory keeps, in a lasting order."""
    return DirectoryGroup.objects.prefetch_related("members").order_by("created_at", "pk")


def resource_of(row: DirectoryGroup, origin: str) -> Group:
    """Return a group as the directory sees it."""
    members = [Member(value=str(user.pk), ref=Reference(f"{origin}/scim/v2/Users/{user.pk}")) for user in row.members.all()]
    found = Group(id=str(row.pk), external_id=row.external_id or None, display_name=row.name, members=members or None)
    found.meta = meta_of(found, "Group", f"{origin}/scim/v2/Groups/{row.pk}", row.created_at, row.updated_at)
    return found


@audit.act("directory-group.create")
def create(told: Group) -> DirectoryGroup:
    """Make a group. Raises UniquenessException when its name is taken, InvalidValueException for a member nobody knows."""
    return _store(DirectoryGroup(), told)


@audit.act("directory-group.save")
def save(row: DirectoryGroup, told: Group) -> DirectoryGroup:
    """Change a group. Raises as `create`."""
    return _store(row, told)


@audit.act("directory-group.remove")
def remove(row: DirectoryGroup) -> None:
    """Delete a group; its members lose what it gave them."""
    members = list(row.members.all()) if give_something([row.name, row.external_id]) else []
    actions.remove(row)
    for user in members:
        apply_groups(user)


def _store(row: DirectoryGroup, told: Group) -> DirectoryGroup:
    known_as = {row.name, row.external_id}
    row.name, row.external_id = told.display_name or "", told.external_id or ""
    if DirectoryGroup.objects.filter(name=row.name).exclude(pk=row.pk).exists():
        raise UniquenessException(detail="A group of this name exists already.")
    try:
        row.full_clean()
    except ValidationError as error:
        raise InvalidValueException(detail=" ".join(error.messages)) from error
    before: dict[Any, User] = {user.pk: user for user in row.members.all()} if not row._state.adding else {}
    row.save()
    after = _members(told)
    row.members.set(after.values())
    moved = [after.get(pk) or before[pk] for pk in sorted(before.keys() ^ after.keys())]
    if moved:
        record("directory-group.members", subject_of(row), changes={str(user): [user.pk in before, user.pk in after] for user in moved})
    known_since = {row.name, row.external_id}
    if not give_something(known_as | known_since):
        return row
    for user in moved:
        apply_groups(user)
    if known_as != known_since:
        apply_to_members(known_as | known_since)
    return row


def _members(told: Group) -> dict[UUID, User]:
    """Return the people a group names. Raises InvalidValueException for one the directory does not keep here."""
    try:
        named = {UUID(member.value) for member in told.members or () if member.value}
    except ValueError as error:
        raise InvalidValueException(detail="A member's value is no id of a person.") from error
    found = {row.pk: row.user for row in DirectoryPerson.objects.filter(pk__in=named).select_related("user")}
    if len(found) < len(named):
        raise InvalidValueException(detail="A member is none of the people kept here. Create people before groups.")
    return found
