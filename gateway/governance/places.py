"""Business units and projects by the words of their paths."""

from typing import Any

from django.core.exceptions import ValidationError

from accounts.models import BusinessUnit, Project
from gateway.governance import Name


def unit_names() -> dict[Any, Name]:
    """Return the path of every business unit by its id, one query for all."""
    rows = {unit.pk: unit for unit in BusinessUnit.objects.all()}
    names: dict[Any, Name] = {}

    def name_of(pk: Any) -> Name:
        if pk not in names:
            unit = rows[pk]
            names[pk] = (*(name_of(unit.parent_id) if unit.parent_id else ()), unit.name)
        return names[pk]

    return {pk: name_of(pk) for pk in rows}


def project_names() -> dict[Any, Name]:
    """Return the path of every project by its id: its unit's path and its own name."""
    units = unit_names()
    return {project.pk: (*units[project.business_unit_id], project.name) for project in Project.objects.all()}


def unit_at(path: Name, field: str = "business_unit") -> BusinessUnit:
    """Return the business unit of a path; raises ValidationError naming the field."""
    found: BusinessUnit | None = None
    for depth, word in enumerate(path):
        found = BusinessUnit.objects.filter(parent=found, name=word).first() if depth else BusinessUnit.objects.filter(parent=None, name=word).first()
        if found is None:
            raise ValidationError({field: f"There is no business unit {' / '.join(path[: depth + 1])}. State it, or correct the path."})
    if found is None:
        raise ValidationError({field: "Name a business unit by its path, such as [Acme, Digital]."})
    return found


def project_at(path: Name, field: str = "project") -> Project:
    """Return the project of a path; raises ValidationError naming the field."""
    if len(path) < 2:
        raise ValidationError({field: "Name a project by its unit's path and its own name, such as [Acme, Digital, Checkout]."})
    unit = unit_at(path[:-1], field)
    found = Project.objects.filter(business_unit=unit, name=path[-1]).first()
    if found is None:
        raise ValidationError({field: f"There is no project {path[-1]} in {' / '.join(path[:-1])}. State it, or correct the path."})
    return found


def place_of(entry: Any) -> dict[str, Any]:
    """Return the one place an entry names, as keyword arguments of a row; raises ValidationError for none or two."""
    project, unit = (None if value is None else tuple(value) for value in (entry.project, entry.business_unit))
    if (project is None) == (unit is None):
        raise ValidationError("Name either a project or a business unit.")
    return {"project": project_at(project)} if project is not None else {"business_unit": unit_at(unit or ())}
