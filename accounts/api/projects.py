"""projects: what keys belong to and spend is counted against."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access, actions
from accounts.api.fields import Given, Moment, Reference, Shown, look_up, shown_id
from accounts.api.resource import Changes, Makes, Resource
from accounts.models import BusinessUnit, Environment, Project


class ProjectGiven(Given):
    """A new project."""

    name = serializers.CharField(max_length=200)
    business_unit = Reference(access.visible_business_units, help_text="`bu_...`")
    environment = serializers.ChoiceField(Environment.choices, required=False)


class ProjectShown(Shown):
    """A project."""

    id = serializers.SerializerMethodField()
    name = serializers.CharField()
    business_unit = serializers.SerializerMethodField()
    environment = serializers.ChoiceField(Environment.choices)
    state = serializers.ChoiceField(Project.State.choices)
    created_at = Moment()

    def get_id(self, project: Project) -> str:
        """Return the prefixed id."""
        return shown_id(project)

    def get_business_unit(self, project: Project) -> str:
        """Return the prefixed id of its unit."""
        return f"bu_{project.business_unit_id.hex}"


class Projects(Makes, Changes, Resource):
    """Projects."""

    resource = "projects"
    shows, makes, changes = ProjectShown, ProjectGiven, ProjectGiven
    filters = {"business_unit": "Projects directly in this unit (`bu_...`)."}

    def rows(self) -> QuerySet[Project]:
        """Return the projects the caller sees."""
        return access.visible_projects(self.actor)

    def find(self, rows: QuerySet[Any], text: str) -> Any:
        """Return the project of an id."""
        return look_up(rows, text)

    def narrowed(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Return the projects of a unit."""
        unit = look_up(access.visible_business_units(self.actor), value)
        return rows.filter(business_unit=unit) if unit else rows.none()

    def place_in(self, given: dict[str, Any]) -> access.Place:
        """Return the unit it would be in."""
        unit: BusinessUnit = given["business_unit"]
        return unit

    def make(self, given: dict[str, Any]) -> Project:
        """Make a project."""
        return actions.save_project(Project(**given))

    def change(self, row: Project, given: dict[str, Any]) -> Project:
        """Rename or move a project; a move takes rights in both places."""
        if "business_unit" in given:
            self.check(given["business_unit"], route="POST projects")
        for name, value in given.items():
            setattr(row, name, value)
        return actions.save_project(row)

    @action(detail=True, methods=["post"])
    def suspend(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Refuse calls of every key of the project."""
        return self._set(id, Project.State.SUSPENDED)

    @action(detail=True, methods=["post"])
    def resume(self, request: Request, id: str) -> Response:  # noqa: A002  # the name in the path
        """Serve the project's keys again."""
        return self._set(id, Project.State.ACTIVE)

    def _set(self, text: str, state: str) -> Response:
        row = self.row(text)
        actions.set_project_state(row, state, level=access.level(self.actor, row))
        return self.told(self.row(text))
