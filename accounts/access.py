"""The only way to obtain an object on behalf of a person or program, and what a platform role may do in the admin."""

from functools import cache
from typing import Any

from django.apps import apps
from django.contrib.auth.backends import ModelBackend
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import AuditEvent, BusinessUnit, Membership, NotificationChannel, Project, ServiceAccount, User, VirtualKey

# Who acts: a person, or a program.
Actor = User | ServiceAccount

GOVERNED_APPS = ("accounts", "billing", "gateway", "django_celery_beat")
READING_ROLES = frozenset({"it_admin", "security_officer", "finance", "auditor"})
# What a platform role may write in the admin; the management API is written by those who write everywhere.
WRITTEN_APPS: dict[str, tuple[str, ...]] = {"it_admin": GOVERNED_APPS, "finance": ("billing",)}
WRITING_ROLES = frozenset({"it_admin"})
# Resources of the management API; a service account's scopes are these with :read or :write.
RESOURCES = (
    "business-units", "projects", "keys", "budgets", "limits", "credit-accounts", "calls", "audit-events", "webhooks",
    "credit-requests", "access-requests", "approvals", "approval-rules",
)  # fmt: skip
# What everybody who may sign in writes: each about their own requests, and about what waits for their decision.
OPEN_RESOURCES = frozenset({"credit-requests", "access-requests", "approvals"})


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
    """Return the model permissions of a platform role, as `app.action_model`."""
    if role not in READING_ROLES:
        return frozenset()
    written = WRITTEN_APPS.get(role, ())
    return frozenset(
        f"{label}.{action}_{model._meta.model_name}"
        for label in GOVERNED_APPS
        for model in apps.get_app_config(label).get_models()
        for action in (("view", "add", "change", "delete") if label in written else ("view",))
    )


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
        return may_open_admin(user_obj) and app_label in GOVERNED_APPS


def is_usable(actor: Actor) -> bool:
    """Say whether a person may sign in, or a program's token is good."""
    return actor.is_active if isinstance(actor, User) else actor.state == ServiceAccount.State.ACTIVE


def sees_everything(actor: Actor) -> bool:
    """Say whether the actor spans the installation, by platform role or as a service account of the platform."""
    return is_usable(actor) and (role_of(actor) in READING_ROLES if isinstance(actor, User) else actor.is_platform_wide)


def is_own_place(actor: Actor, place: object) -> bool:
    """Say whether a program belongs to this very project or business unit, so that its budgets, limits and credit bind the program itself."""
    if not isinstance(actor, ServiceAccount):
        return False
    own = {Project: actor.project_id, BusinessUnit: actor.business_unit_id}
    return isinstance(place, Project | BusinessUnit) and own[type(place)] == place.pk


def may(actor: Actor, resource: str, verb: str) -> bool:
    """Say whether the actor may `read` or `write` a resource of the management API at all; which rows is for the visible_... functions."""
    if resource not in RESOURCES or not is_usable(actor):
        return False
    if isinstance(actor, ServiceAccount):
        return f"{resource}:{verb}" in actor.scopes
    return verb == "read" or resource in OPEN_RESOURCES or role_of(actor) in WRITING_ROLES


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
    return BusinessUnit.objects.filter(id__in=_with_all_below(seen))


def _with_all_below(units: set[Any]) -> set[Any]:
    level = units
    while level:
        level = set(BusinessUnit.objects.filter(parent__in=level).values_list("id", flat=True)) - units
        units = units | level
    return units


def managed_business_units(user: User) -> QuerySet[BusinessUnit]:
    """Return the business units a person manages and everything below them."""
    managed = set(Membership.objects.filter(user=user, role=Membership.Role.MANAGER).values_list("business_unit_id", flat=True))
    return BusinessUnit.objects.filter(id__in=_with_all_below(managed) if user.is_active else ())


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
        return NotificationChannel.objects.all()
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
    if not is_usable(actor):
        return BusinessUnit.objects.none()
    level = set(askable_projects(actor).values_list("business_unit_id", flat=True)) | set(visible_business_units(actor).values_list("id", flat=True))
    found: set[Any] = set()
    while level:
        found |= level
        level = set(BusinessUnit.objects.filter(id__in=level, parent__isnull=False).values_list("parent_id", flat=True)) - found
    return BusinessUnit.objects.filter(id__in=found)


def visible_users(user: User) -> QuerySet[User]:
    """Return the people the user may see: everyone for a platform role, else only themselves."""
    return User.objects.all() if sees_everything(user) else User.objects.filter(pk=user.pk, is_active=True)
