"""The only way to obtain an object on behalf of a person or program, and what a platform role may do in the admin."""

import uuid
from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from django.apps import apps
from django.contrib.auth.backends import ModelBackend
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.access.matrix import ADMIN, ADMIN_ROWS, NARROWED_FIELDS, PEOPLE_ONLY, RESOURCES, ROUTES
from accounts.models import AuditEvent, BusinessUnit, Environment, Membership, NotificationChannel, PersonalToken, Project, ServiceAccount, User, VirtualKey

__all__ = ["PEOPLE_ONLY", "RESOURCES", "ROUTES"]  # beside what is defined here
# Who acts: a person, or a program.
Actor = User | ServiceAccount
# Where an object belongs: rights are held in a project or a business unit, and reach everything below; None is the platform.
Place = VirtualKey | Project | BusinessUnit | None

READING_ROLES = frozenset(role for read, _ in ADMIN.values() for role in read)


def is_breaking_glass(user: User) -> bool:
    """Say whether the host's operator has made the user an administrator for an hour; such a user approves nothing."""
    return user.break_glass_until is not None and user.break_glass_until > timezone.now()


def role_of(user: User) -> str:
    """Return the user's platform role as it holds now, none for a closed account."""
    if not user.is_active:
        return ""
    return User.PlatformRole.IT_ADMIN.value if is_breaking_glass(user) else user.role


def may_open_admin(user: Any) -> bool:
    """Say whether a platform role lets the user into the admin."""
    return isinstance(user, User) and role_of(user) in READING_ROLES


@cache
def role_permissions(role: str) -> frozenset[str]:
    """Return the model permissions of a platform role, as `app.action_model`; who may act on rows holds `change`, whatever their page refuses."""
    if role not in READING_ROLES:
        return frozenset()
    models = [model for label in ADMIN for model in apps.get_app_config(label).get_models()]
    return frozenset(
        f"{model._meta.app_label}.{action}_{model._meta.model_name}"
        for model in models
        for action, roles in _roles_by_action(model._meta.label_lower).items()
        if role in roles
    )


def _roles_by_action(label: str) -> dict[str, Collection[str]]:
    rows = ADMIN_ROWS.get(label)
    if rows is not None:
        return {"view": rows.read, "add": rows.add, "change": rows.change | rows.acts, "delete": rows.delete}
    read, written = ADMIN[label.partition(".")[0]]
    return {"view": read, "add": written, "change": written, "delete": written}


class RoleBackend(ModelBackend):
    """Signs in by e-mail and password; permissions come from the platform role alone, never from rows or flags."""

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Return every permission of the user's role; none for an inactive or anonymous user."""
        return set(role_permissions(role_of(user_obj))) if isinstance(user_obj, User) else set()

    def get_user_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Return nothing: permissions are not given to single users."""
        return set()

    def get_group_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """Return nothing: groups carry no permissions."""
        return set()

    def has_perm(self, user_obj: Any, perm: str, obj: Any = None) -> bool:
        """Say whether the user's role holds the permission."""
        return isinstance(user_obj, User) and perm in role_permissions(role_of(user_obj))

    def has_module_perms(self, user_obj: Any, app_label: str) -> bool:
        """Say whether the user's role may open an app in the admin."""
        return may_open_admin(user_obj) and app_label in ADMIN


def is_usable(actor: Actor) -> bool:
    """Say whether a person may sign in, or a program's token is good."""
    return actor.is_active if isinstance(actor, User) else actor.state == ServiceAccount.State.ACTIVE


def sees_everything(actor: Actor) -> bool:
    """Say whether the actor spans the installation, by platform role or as a service account of the platform."""
    return is_usable(actor) and (role_of(actor) in READING_ROLES if isinstance(actor, User) else actor.is_platform_wide)


class Standing(NamedTuple):
    """A role of the matrix somebody holds, and where: the id of a project or business unit, None for everywhere."""

    role: str
    place: uuid.UUID | None = None


def standings(actor: Actor) -> list[Standing]:
    """Return every role the actor holds now; a program stands where its project's owner, its unit's manager or an IT administrator stands."""
    if not is_usable(actor):
        return []
    if isinstance(actor, ServiceAccount):
        role = "owner" if actor.project_id else "manager" if actor.business_unit_id else "it_admin"
        return [Standing(role, actor.project_id or actor.business_unit_id)]
    found = [Standing("anyone"), *([Standing(role_of(actor))] if role_of(actor) in READING_ROLES else [])]
    for row in Membership.objects.filter(user=actor):
        viewer = "project_viewer" if row.project_id else "unit_viewer"
        found.append(Standing(viewer if row.role == Membership.Role.VIEWER else row.role, row.project_id or row.business_unit_id))
    return found


def scopes_of(actor: Actor) -> frozenset[str] | None:
    """Return what a program's token or a person's token is narrowed to, None for a person who signed in without one."""
    if isinstance(actor, ServiceAccount):
        return frozenset(actor.scopes)
    token = actor.__dict__.get("token")
    return frozenset(token.scopes) if isinstance(token, PersonalToken) else None


def lacks_scope(actor: Actor, route: str) -> str:
    """Return the scope the actor's token lacks for a route of the matrix, "" for none."""
    scope, held = ROUTES[route].scope, scopes_of(actor)
    return scope if scope and held is not None and scope not in held else ""


def is_for_others(actor: Actor, route: str) -> bool:
    """Say whether only people take a route and the actor is a program."""
    return route in PEOPLE_ONLY and isinstance(actor, ServiceAccount)


def may(actor: Actor, route: str) -> bool:
    """Say whether the actor may take a route of the matrix at all, for some object; an undeclared route is nobody's."""
    if route not in ROUTES or is_for_others(actor, route) or lacks_scope(actor, route):
        return False
    return any(ROUTES[route].cells[standing.role] != "-" for standing in standings(actor))


def allows(actor: Actor, route: str, place: Place, row: object = None) -> bool:
    """Say whether the actor may take a route for an object that belongs to a place; `row` is the object where cells say mine or own."""
    return bool(roles_for(actor, route, place, row))


def roles_for(actor: Actor, route: str, place: Place, row: object = None) -> set[str]:
    """Return by which of their roles the actor may take a route for an object, none when they may not."""
    if route not in ROUTES or is_for_others(actor, route) or lacks_scope(actor, route):
        return set()
    line, above = ROUTES[route].cells, places_above(place)
    return {standing.role for standing in standings(actor) if _covers(line[standing.role], standing, above, actor, row)}


def _covers(cell: str, standing: Standing, above: list[uuid.UUID], actor: Actor, row: object) -> bool:
    if cell in ("all", "named"):
        return True
    if cell == "own":
        return owner_of(row) == actor.pk
    is_here = standing.place in above or (standing.place is None and standing.role != "anyone")
    if cell == "mine":
        return is_here and owner_of(row) == actor.pk and getattr(row, "environment", "") != Environment.PROD
    return (cell == "here" and is_here) or (cell == "below" and is_here and above[:1] != [standing.place])


def owner_of(row: object) -> object:
    """Return the id of the person or program an object belongs to, None for none."""
    if isinstance(row, User):
        return row.pk
    return next((found for name in ("owner_id", "user_id", "service_account_id") if (found := getattr(row, name, None))), None)


def places_above(place: Place) -> list[uuid.UUID]:
    """Return the ids of a place and of every place above it, nearest first."""
    found: list[uuid.UUID] = []
    if isinstance(place, VirtualKey):
        found, place = [place.pk], place.project
    if isinstance(place, Project):
        found.append(place.pk)
        place = place.business_unit
    while isinstance(place, BusinessUnit) and place.pk not in found:
        found.append(place.pk)
        place = place.parent
    return found


def refused_fields(actor: Actor, route: str, place: Place, fields: Collection[str], row: object = None) -> list[str]:
    """Return which fields of a body none of the actor's roles over an object may write."""
    narrowed = NARROWED_FIELDS.get(route, {})
    roles = roles_for(actor, route, place, row) if narrowed else set()
    return [field for field in fields if field in narrowed and not roles & narrowed[field]]


LEVELS = {"it_admin": 3, "security_officer": 3, "manager": 2, "owner": 1}


def level(actor: Actor, place: Place) -> int:
    """Return how high the actor stands over a place: 3 for the platform, 2 above its unit, 1 for its project's owner, else 0."""
    above = places_above(place)
    return max((LEVELS.get(role, 0) for role, at in standings(actor) if at is None or at in above), default=0)


# Who acts on the host itself stands as high as anybody.
OPERATOR_LEVEL = max(LEVELS.values())


def who_stands(at: int) -> str:
    """Say who stands at a level or above."""
    return " or ".join(f"the {role.replace('_', ' ')}" for role, height in LEVELS.items() if height >= max(at, 1))


def not_grantable(actor: Actor, scopes: Collection[str], place: Place) -> list[str]:
    """Return those of the scopes that the actor may not hand on in a place: nobody grants wider than their own."""
    held = scopes_of(actor)
    roles = {role for role, at in standings(actor) if at is None or at in places_above(place)}
    given = {route.scope for route in ROUTES.values() if any(route.cells[role] not in ("-", "mine", "own") for role in roles)}
    return [scope for scope in scopes if scope not in given or (held is not None and scope not in held)]


def visible_business_units(actor: Actor) -> QuerySet[BusinessUnit]:
    """Return the business units the actor may see: their own and everything below."""
    if not is_usable(actor):
        return BusinessUnit.objects.none()
    if sees_everything(actor):
        return BusinessUnit.objects.all()
    if isinstance(actor, ServiceAccount):
        seen = {actor.business_unit_id} if actor.business_unit_id else set()
    else:
        seen = set(Membership.objects.filter(user=actor, business_unit__isnull=False).values_list("business_unit_id", flat=True))
    return BusinessUnit.objects.filter(id__in=with_all_below(seen))


def with_all_below(units: set[Any]) -> set[Any]:
    """Return the ids of business units and of everything below them."""
    level = units
    while level:
        level = set(BusinessUnit.objects.filter(parent__in=level).values_list("id", flat=True)) - units
        units = units | level
    return units


def managed_business_units(user: User) -> QuerySet[BusinessUnit]:
    """Return the business units a person manages and everything below them."""
    managed = set(Membership.objects.filter(user=user, role=Membership.Role.MANAGER).values_list("business_unit_id", flat=True))
    return BusinessUnit.objects.filter(id__in=with_all_below(managed) if user.is_active else ())


def visible_projects(actor: Actor) -> QuerySet[Project]:
    """Return the projects the actor may see: their own, or within a business unit they see."""
    if not is_usable(actor):
        return Project.objects.none()
    if sees_everything(actor):
        return Project.objects.all()
    if isinstance(actor, ServiceAccount):
        own = Q(id=actor.project_id)
    else:
        own = Q(id__in=Membership.objects.filter(user=actor, project__isnull=False).values("project"))
    return Project.objects.filter(own | Q(business_unit__in=visible_business_units(actor)))


def visible_keys(actor: Actor) -> QuerySet[VirtualKey]:
    """Return the virtual keys of every project the actor may see."""
    return VirtualKey.objects.filter(project__in=visible_projects(actor))


def visible_channels(actor: Actor) -> QuerySet[NotificationChannel]:
    """Return the notification channels and webhooks of what the actor answers for, as for audit events."""
    if sees_everything(actor):
        return NotificationChannel.objects.filter(person=None)
    units, projects = _answered_for(actor)
    return NotificationChannel.objects.filter(Q(project__in=projects) | Q(business_unit__in=units))


def _answered_for(actor: Actor) -> tuple[QuerySet[BusinessUnit], QuerySet[Project]]:
    """Return the units a person manages with all below, and the projects they own or that lie there; of a program, its own place."""
    if not is_usable(actor):
        return BusinessUnit.objects.none(), Project.objects.none()
    if isinstance(actor, ServiceAccount):
        return visible_business_units(actor), visible_projects(actor)
    units = managed_business_units(actor)
    owned = Membership.objects.filter(user=actor, role=Membership.Role.OWNER).values("project")
    return units, Project.objects.filter(Q(id__in=owned) | Q(business_unit__in=units))


def visible_audit_events(actor: Actor) -> QuerySet[AuditEvent]:
    """Return the events of what the actor answers for: everything for the platform, else units one manages, projects one owns, a program's own place."""
    if sees_everything(actor):
        return AuditEvent.objects.all()
    units, projects = _answered_for(actor)
    return AuditEvent.objects.filter(Q(project__in=projects.values("id")) | Q(business_unit__in=units.values("id")))


def askable_projects(actor: Actor) -> QuerySet[Project]:
    """Return the projects an actor may ask to join, by id or name: their own, and those that are listed."""
    if not is_usable(actor):
        return Project.objects.none()
    return Project.objects.filter(Q(is_listed=True, state=Project.State.ACTIVE) | Q(id__in=visible_projects(actor).values("id")))


def askable_units(actor: Actor) -> QuerySet[BusinessUnit]:
    """Return the business units an actor may ask to have a project in: their own, those of listed projects, and everything above either."""
    return _and_above(actor, askable_projects(actor))


def binding_units(actor: Actor) -> QuerySet[BusinessUnit]:
    """Return the business units whose budgets bind the actor's calls: those they see, those of projects they see, and everything above either."""
    return _and_above(actor, visible_projects(actor))


def _and_above(actor: Actor, projects: QuerySet[Project]) -> QuerySet[BusinessUnit]:
    if not is_usable(actor):
        return BusinessUnit.objects.none()
    level = set(projects.values_list("business_unit_id", flat=True)) | set(visible_business_units(actor).values_list("id", flat=True))
    found: set[Any] = set()
    while level:
        found |= level
        level = set(BusinessUnit.objects.filter(id__in=level, parent__isnull=False).values_list("parent_id", flat=True)) - found
    return BusinessUnit.objects.filter(id__in=found)


def visible_memberships(actor: Actor) -> QuerySet[Membership]:
    """Return the memberships of every place the actor sees, and their own."""
    rows = Membership.objects.select_related("user", "project", "business_unit")
    if sees_everything(actor):
        return rows
    there = Q(project__in=visible_projects(actor)) | Q(business_unit__in=visible_business_units(actor))
    return rows.filter(there | Q(user=actor) if isinstance(actor, User) and is_usable(actor) else there)


def users_within(rows: QuerySet[Membership]) -> QuerySet[User]:
    """Return the people of some memberships."""
    return User.objects.filter(pk__in=rows.values("user"))


def visible_service_accounts(actor: Actor) -> QuerySet[ServiceAccount]:
    """Return the service accounts of every place the actor sees."""
    rows = ServiceAccount.objects.select_related("project", "business_unit", "owner")
    if sees_everything(actor):
        return rows
    return rows.filter(Q(project__in=visible_projects(actor)) | Q(business_unit__in=visible_business_units(actor)))


def visible_personal_tokens(actor: Actor) -> QuerySet[PersonalToken]:
    """Return the actor's own tokens; everybody's for those who keep an eye on credentials."""
    rows = PersonalToken.objects.select_related("user")
    if not isinstance(actor, User) or not is_usable(actor):
        return rows.none()
    return rows if may_read_tokens(actor) else rows.filter(user=actor)


def may_read_tokens(user: User) -> bool:
    """Say whether a person sees the tokens of others."""
    return ROUTES["GET personal-tokens"].cells.get(role_of(user)) == "all"


def members_of(project: Project) -> QuerySet[User]:
    """Return the active people with a role in a project, or in a unit above it."""
    above = places_above(project)
    inside = Membership.objects.filter(Q(project__in=above) | Q(business_unit__in=above))
    return User.objects.filter(is_active=True, pk__in=inside.values("user"))


def models_within(actor: Actor, project: Project) -> frozenset[str] | None:
    """Return the models the actor may put into a key of a project, None for any: a developer no more than the project's keys have already."""
    if level(actor, project) > 0:
        return None
    others = VirtualKey.objects.filter(project=project, state=VirtualKey.State.ACTIVE).exclude(owner=actor.pk)
    held = {name for models in others.values_list("models", flat=True) for name in models}
    return frozenset(held) if held and "*" not in held else None


def rights_end(actor: Actor) -> datetime | None:
    """Return when the credential the actor acts by ends, None for a person who signed in: what is made by it lives no longer."""
    token = actor if isinstance(actor, ServiceAccount) else actor.__dict__.get("token")
    return token.expires_at if isinstance(token, ServiceAccount | PersonalToken) else None


def visible_users(user: User) -> QuerySet[User]:
    """Return the people the user may see: everyone for a platform role, else only themselves."""
    return User.objects.all() if sees_everything(user) else User.objects.filter(pk=user.pk, is_active=True)
