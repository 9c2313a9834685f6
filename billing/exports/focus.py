"""Usage by day and series as a FOCUS 1.0 file, for tools that read cost and usage of every vendor."""

from collections.abc import Iterator
from uuid import UUID

from accounts.access import Actor, visible_projects
from billing import focus
from billing.exports import Exporter
from billing.reports.periods import Period


def lines(actor: Actor, period: Period, project: UUID | None, form: str) -> Iterator[str]:
    """Yield the file."""
    projects = visible_projects(actor)
    return focus.lines(projects if project is None else projects.filter(pk=project), period)


EXPORTER = Exporter(slug="focus", title="FOCUS 1.0", formats=("csv",), route="GET usage", lines=lines)
