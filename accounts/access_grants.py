"""What can be asked for about people: joining a project, a project of one's own, a platform role."""

from typing import Any, TypeVar
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from accounts import access, actions, four_eyes
from accounts.access import Actor
from accounts.grants import Asked, Asking, Grant, Line, Outcome
from accounts.models import BusinessUnit, Environment, GrantRequest, Membership, Project, User
from accounts.requests.overlaps import hand_on, is_borrowed

JOINING = (Membership.Role.DEVELOPER, Membership.Role.VIEWER, Membership.Role.OWNER)
Row = TypeVar("Row", Project, BusinessUnit)
# Whose word makes somebody one of these.
GRANTING_ROLES = ("it_admin", "security_officer")


def id_of(text: str, prefix: str) -> UUID | None:
    """Return the UUID of a prefixed id, None for anything else."""
    bare = text.strip().removeprefix(prefix)
    try:
        return UUID(bare) if bare != text.strip() and len(bare) == 32 else None
    except ValueError:
        return None


def by_id(rows: QuerySet[Row], text: str, prefix: str) -> Row | None:
    """Return the row of a prefixed id among rows, None when there is none."""
    wanted = id_of(text, prefix)
    return rows.filter(pk=wanted).first() if wanted else None


def person_of(actor: Actor) -> User:
    """Return the person who asks; raises ValidationError for a program."""
    if not isinstance(actor, User):
        raise ValidationError({"kind": "Only people can ask for this: a program is no member of anything."})
    return actor


def project_named(asking: Asking) -> Project:
    """Return the project a request names by id, among those the asker may ask about; raises ValidationError."""
    found = by_id(access.askable_projects(asking.actor).select_related("business_unit"), asking.target, "prj_")
    if found is None:
        raise ValidationError({"target": "There is no such project to ask for. Name it by id: prj_ and 32 hexadecimal digits."})
    return found


def one_of(asking: Asking, name: str, allowed: tuple[str, ...], default: str) -> str:
    """Return a parameter that has few values; raises ValidationError."""
    value = str(asking.parameters.get(name) or default)
    if value not in allowed:
        raise ValidationError({name: f"Choose one of: {', '.join(allowed)}."})
    return value


# ---- joining a project ------------------------------------------------------------------------------------------------


def check_join(asking: Asking) -> Asked:
    """Check that a person asks for a role in a project that they have not got."""
    user, project = person_of(asking.actor), project_named(asking)
    role = one_of(asking, "role", JOINING, Membership.Role.DEVELOPER)
    is_member = Membership.objects.filter(user=user, project=project, role=role).exists()
    if is_member and not is_borrowed("join_project", f"prj_{project.pk.hex}", role, _role_joined, requester=user):
        raise ValidationError({"target": f"You are {role} of {project} already."})
    title = f"Be {role} of {project}"
    return Asked(title, f"prj_{project.pk.hex}", {"role": role}, project, project.business_unit, project.environment)


def membership_of(request: GrantRequest) -> Membership | None:
    """Return the present membership of whoever asked."""
    return Membership.objects.filter(user=request.requester, project=request.project).first()


def preview_join(request: GrantRequest) -> list[Line]:
    """Say which role there is and would be."""
    present = membership_of(request)
    return [Line(f"{request.requester} in {request.project}", present.role if present else "no member", request.parameters["role"])]


def join(request: GrantRequest) -> Outcome:
    """Make the asker a member, or change their role."""
    present = membership_of(request)
    before = present.role if present else ""
    row = present or Membership(user=request.requester, project=request.project)
    row.role = request.parameters["role"]
    actions.save_membership(row)
    return {"membership": row.pk.hex, "before": before}


def _role_joined(request: GrantRequest) -> Any:
    return request.parameters["role"]


def leave(request: GrantRequest) -> None:
    """Put the membership back to what it was, unless somebody changed it meanwhile or another request gives it too."""
    if hand_on(request, _role_joined, requester=request.requester, project=request.project):
        return
    row = Membership.objects.filter(pk=request.outcome["membership"], role=request.parameters["role"]).first()
    if row is None:
        return
    if request.outcome["before"]:
        row.role = request.outcome["before"]
        actions.save_membership(row)
    else:
        actions.remove(row)


# ---- a new project ----------------------------------------------------------------------------------------------------


def check_project(asking: Asking) -> Asked:
    """Check that a person asks for a project of a free name in a unit they may know."""
    person_of(asking.actor)
    unit = by_id(access.askable_units(asking.actor), asking.target, "bu_")
    if unit is None:
        raise ValidationError({"target": "There is no such business unit to ask for. Name it by id: bu_ and 32 hexadecimal digits."})
    name = " ".join(str(asking.parameters.get("name", "")).split())
    environment = one_of(asking, "environment", tuple(Environment.values), Environment.DEV)
    _check_free(unit, name)
    return Asked(f"A project “{name}” in {unit}", f"bu_{unit.pk.hex}", {"name": name, "environment": environment}, None, unit, environment)


def _check_free(unit: BusinessUnit, name: str) -> None:
    if not 0 < len(name) <= 200:
        raise ValidationError({"name": "Give the project a name of at most 200 characters, as the parameter `name`."})
    if Project.objects.filter(business_unit=unit, name__iexact=name).exists():
        raise ValidationError({"name": f"There is a project {name} in {unit}. Choose another name, or ask to join it."})


def preview_project(request: GrantRequest) -> list[Line]:
    """Say what would be made."""
    made = f"{request.parameters['name']} ({request.parameters['environment']}), owned by {request.requester}"
    return [Line(f"Project in {request.business_unit}", "—", made)]


def make_project(request: GrantRequest) -> Outcome:
    """Make the project with the asker as its owner."""
    unit = request.business_unit
    assert unit is not None
    _check_free(unit, request.parameters["name"])
    project = actions.save_project(Project(name=request.parameters["name"], environment=request.parameters["environment"], business_unit=unit))
    actions.save_membership(Membership(user=request.requester, project=project, role=Membership.Role.OWNER))
    request.project = project
    return {"project": project.pk.hex}


# ---- a platform role --------------------------------------------------------------------------------------------------


def check_role(asking: Asking) -> Asked:
    """Check that a person asks for a platform role they have not got."""
    user = person_of(asking.actor)
    role = asking.target.strip()
    if role not in User.PlatformRole.values or not role:
        raise ValidationError({"target": f"Choose one of: {', '.join(value for value in User.PlatformRole.values if value)}."})
    if user.role == role and not is_borrowed("platform_role", role, role, _role_given, requester=user):
        raise ValidationError({"target": f"You are {user.get_role_display()} already."})
    return Asked(f"Platform role {User.PlatformRole(role).label} for {user}", role)


def preview_role(request: GrantRequest) -> list[Line]:
    """Say which role there is and would be."""
    user = request.requester
    assert user is not None
    return [Line(f"Platform role of {user}", user.get_role_display(), str(User.PlatformRole(request.target).label))]


def locked_asker(request: GrantRequest) -> User:
    """Return the person who asked, locked until the transaction ends."""
    assert request.requester is not None
    return User.objects.select_for_update().get(pk=request.requester.pk)


def give_role(request: GrantRequest) -> Outcome:
    """Give the asker the role: somebody else has approved it, so two people stand behind it."""
    user = locked_asker(request)
    before, user.role = user.role, request.target
    with four_eyes.settled():
        actions.save_user(user)
    return {"before": before}


def _role_given(request: GrantRequest) -> Any:
    return request.target


def take_role(request: GrantRequest) -> None:
    """Put the role back to what it was, unless somebody changed it meanwhile or another request gives it too."""
    user = locked_asker(request)
    if not hand_on(request, _role_given, requester=user) and user.role == request.target:
        user.role = request.outcome["before"]
        with four_eyes.settled():  # they had it before
            actions.save_user(user)


def grants_roles(user: User, request: GrantRequest) -> bool:
    """Say whether a person may give platform roles."""
    return user.role in GRANTING_ROLES


GRANTS: tuple[Any, ...] = (
    Grant(
        kind="join_project",
        title="Join a project",
        target="`prj_...`",
        parameters={"role": f"{', '.join(JOINING)}; developer when left out"},
        check=check_join,
        preview=preview_join,
        apply=join,
        revoke=leave,
    ),
    Grant(
        kind="create_project",
        title="A new project",
        target="`bu_...`",
        parameters={"name": "of the project", "environment": "dev, test or prod; dev when left out"},
        check=check_project,
        preview=preview_project,
        apply=make_project,
    ),
    Grant(
        kind="platform_role",
        title="A platform role",
        target="it_admin, security_officer, finance or auditor",
        check=check_role,
        preview=preview_role,
        apply=give_role,
        revoke=take_role,
        may_decide=grants_roles,
        roles=GRANTING_ROLES,
    ),
)
