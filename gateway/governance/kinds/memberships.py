"""Who has which role in a project or business unit. People themselves come from sign-in; a membership names them by e-mail address."""

from collections.abc import Mapping
from typing import Any, Literal

from django.core.exceptions import ValidationError
from msgspec import structs

from accounts import actions
from accounts.models import Membership, User
from gateway.governance import Entry, Hand, Kind, Name
from gateway.governance.places import place_of, project_names, unit_names


class MembershipEntry(Entry, frozen=True):
    """A role of a person in one place."""

    person: str
    role: Literal["owner", "developer", "manager", "viewer"]
    project: tuple[str, ...] | None = None
    business_unit: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Write the address as accounts keep it."""
        structs.force_setattr(self, "person", self.person.strip().lower())


def read() -> Mapping[Name, tuple[MembershipEntry, Membership]]:
    """Return every membership."""
    projects, units = project_names(), unit_names()
    found: dict[Name, tuple[MembershipEntry, Membership]] = {}
    for row in Membership.objects.select_related("user"):
        place: dict[str, Any] = {"project": projects[row.project_id]} if row.project_id else {"business_unit": units[row.business_unit_id]}
        role: Any = row.role
        entry = MembershipEntry(person=row.user.email, role=role, **place)
        found[name(entry)] = (entry, row)
    return found


def make(entry: MembershipEntry, hand: Hand) -> Membership:
    """Give a person a role."""
    user = User.objects.filter(email=entry.person, is_active=True).first()
    if user is None:
        raise ValidationError({"person": f"Nobody with the address {entry.person} has an account here. They get one when they first sign in."})
    return actions.save_membership(Membership(user=user, role=entry.role, **place_of(entry)))


def change(row: Membership, entry: MembershipEntry, names: frozenset[str], hand: Hand) -> Membership:
    """Give a person another role."""
    row.role = entry.role
    return actions.save_membership(row)


def remove(row: Membership, hand: Hand) -> None:
    """Take the role away."""
    actions.remove(row)


def name(entry: Any) -> Name:
    """Return person and place."""
    kind, path = ("project", entry.project) if entry.project is not None else ("business unit", entry.business_unit or ())
    return (entry.person, kind, *path)


KIND = Kind(section="memberships", order=30, entry=MembershipEntry, name=name, read=read, make=make, change=change, remove=remove)
