"""Projects by their unit's path and their name."""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import UNSET, UnsetType

from accounts import access, actions
from accounts.models import Project
from gateway.governance import Entry, Hand, Kind, Name
from gateway.governance.places import project_names, unit_at


class ProjectEntry(Entry, frozen=True):
    """A project."""

    name: str
    business_unit: tuple[str, ...]
    environment: Literal["dev", "test", "prod"] | UnsetType = UNSET
    state: Literal["active", "suspended"] | UnsetType = UNSET
    without_authority: Literal["leases", "closed", "open"] | UnsetType = UNSET


SET = ("environment", "without_authority")


def read() -> Mapping[Name, tuple[ProjectEntry, Project]]:
    """Return every project."""
    names = project_names()
    return {names[project.pk]: (_entry(names[project.pk], project), project) for project in Project.objects.all()}


def _entry(path: Name, project: Project) -> ProjectEntry:
    shown: dict[str, Any] = {field: getattr(project, field) for field in (*SET, "state")}
    return ProjectEntry(name=project.name, business_unit=path[:-1], **shown)


def make(entry: ProjectEntry, hand: Hand) -> Project:
    """Make a project."""
    given = {field: getattr(entry, field) for field in SET if getattr(entry, field) is not UNSET}
    row = actions.save_project(Project(name=entry.name, business_unit=unit_at(entry.business_unit), **given))
    if entry.state is not UNSET:
        _set_state(row, entry, hand)
    return row


def _set_state(row: Project, entry: ProjectEntry, hand: Hand) -> None:
    level = access.level(hand.actor, row) if hand.actor else access.OPERATOR_LEVEL
    actions.set_project_state(row, str(entry.state), level=level)
    row.state = str(entry.state)


def change(row: Project, entry: ProjectEntry, names: frozenset[str], hand: Hand) -> None:
    """Change what is stated; suspending and resuming have an action of their own."""
    if "state" in names:
        _set_state(row, entry, hand)
    for field in names & set(SET):
        setattr(row, field, getattr(entry, field))
    if names & set(SET):
        actions.save_project(row)


def name(entry: Any) -> Name:
    """Return the unit's path and the project's name."""
    return (*entry.business_unit, entry.name)


KIND = Kind(section="projects", order=20, entry=ProjectEntry, name=name, read=read, make=make, change=change)
