"""For how long a project's responses are stored: changed by two people, in force at once for what is stored already."""

from django.core.exceptions import ValidationError

from accounts import audit, four_eyes
from accounts.grants import Line
from accounts.models import GrantRequest, Project
from gateway.models import ResponseRetention
from gateway.settings import settings

ACT = "act.response_retention"
ROLES = ("it_admin", "security_officer")


@audit.act()
def set_days(retention: ResponseRetention) -> ResponseRetention:
    """Check and store for how many days a project's responses are stored, 0 for not at all. Raises ValidationError.

    It waits for a second person: nothing is stored until then (`four_eyes.held` tells).
    """
    retention.full_clean(validate_unique=False)
    present = ResponseRetention.objects.select_for_update().filter(project=retention.project).first()
    if present is not None and present.days == retention.days:
        return present
    if four_eyes.is_needed():
        four_eyes.hold(
            ACT,
            row=retention,
            title=f"{retention.project}: responses stored for {retention.days} days",
            target=f"prj_{retention.project.pk.hex}",
            parameters={"project": retention.project.pk.hex, "days": retention.days},
            project=retention.project,
        )
        return retention
    if present is None:
        retention.save(force_insert=True)
        return retention
    present.days = retention.days
    present.save()
    return present


def apply(request: GrantRequest) -> None:
    """Store what was asked for; raises ValidationError when the project is gone."""
    project = Project.objects.filter(pk=request.parameters["project"]).first()
    if project is None:
        raise ValidationError("This project is gone.")
    set_days(ResponseRetention(project=project, days=request.parameters["days"]))


def preview(request: GrantRequest) -> list[Line]:
    """Say how long it is and would be."""
    row = ResponseRetention.objects.filter(project_id=request.parameters["project"]).first()
    days = settings.stored_response_days if row is None else row.days
    return [Line("Responses are stored for", f"{days} days", f"{request.parameters['days']} days")]
