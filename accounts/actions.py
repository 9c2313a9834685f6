"""Every write to people, business units, projects and keys. Each is one transaction; callers check who may ask."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models

from accounts import access, audit, credentials, four_eyes, keys
from accounts.audit.origin import here
from accounts.leavers import come_back, leave
from accounts.models import BusinessUnit, CredentialPolicy, Membership, Project, ScimToken, User, VirtualKey
from accounts.models.identity import PRIVILEGED_ROLES
from accounts.ranges import read_ranges, read_tags
from accounts.sessions import end_sessions


@audit.act()
def save_user(user: User, password: str | None = None) -> User:
    """Check and store a user; a platform role opens the admin, no role closes it. Another role or a closed account ends the sessions.

    A privileged role waits for a second person: the user is stored without it (`four_eyes.held` tells). Raises ValidationError.
    """
    user.email = user.email.strip().lower()
    present = User.objects.select_for_update().filter(pk=user.pk).first()
    _check_takeover(user, present, password)
    waiting = user.role if four_eyes.is_needed() and user.role in PRIVILEGED_ROLES and user.role != (present.role if present else "") else ""
    if waiting:
        user.role = present.role if present else ""
    user.is_staff = bool(user.role)
    user.is_superuser = False
    if password:
        user.set_password(password)
    elif not user.password:
        user.set_unusable_password()
    user.full_clean()
    before = User.objects.filter(pk=user.pk).values_list("role", "is_active").first()
    user.save()
    if before is not None and before != (user.role, user.is_active):
        end_sessions(user)
    if before is not None and before[1] != user.is_active:
        (come_back if user.is_active else leave)(user)
    if waiting:
        title = f"Platform role {User.PlatformRole(waiting).label} for {user}"
        four_eyes.hold("act.role", row=user, title=title, target=f"usr_{user.pk.hex}", parameters={"user": user.pk.hex, "role": waiting})
    return user


def _check_takeover(user: User, present: User | None, password: str | None) -> None:
    """Raise ValidationError where one person would get at another's privileged account, and so be both of two."""
    who = here().who()
    if who is None or present is None or who.pk == user.pk or present.role not in PRIVILEGED_ROLES:
        return
    if password:
        raise ValidationError("Nobody sets the password of another administrator or security officer. They get a link by “Forgotten your password?”.")
    if present.email != user.email:
        if isinstance(who, ScimToken) and who.may_give_privileged:
            return
        raise ValidationError({"email": "Nobody changes the address of another administrator or security officer. Take the role away first."})


@audit.act()
def set_users_active(users: Sequence[User], active: bool) -> int:
    """Open or close the accounts of users, with all that follows (see accounts.leavers). Return how many changed."""
    changing = User.objects.select_for_update().filter(pk__in=[user.pk for user in users]).exclude(is_active=active)
    changed = list(changing.order_by("pk"))
    for user in changed:
        user.is_active = active
        user.save(update_fields=["is_active"])
        end_sessions(user)
        (come_back if active else leave)(user)
    return len(changed)


def check_no_cycle(unit: BusinessUnit) -> None:
    """Raise ValidationError when the unit's parent is the unit itself or lies below it."""
    above, seen = unit.parent_id, {unit.pk}
    while above is not None:
        if above in seen:
            raise ValidationError({"parent": "A business unit cannot lie below itself. Choose a unit outside this one's own branch."})
        seen.add(above)
        above = BusinessUnit.objects.values_list("parent_id", flat=True).filter(pk=above).first()


@audit.act()
def save_business_unit(unit: BusinessUnit) -> BusinessUnit:
    """Check and store a business unit; the tree is locked while it is checked, so two moves cannot close a ring. Raises ValidationError."""
    list(BusinessUnit.objects.select_for_update().order_by("pk").values_list("pk", flat=True))
    check_no_cycle(unit)
    unit.full_clean()
    unit.save()
    return unit


@audit.act()
def save_project(project: Project) -> Project:
    """Check and store a project; the state of one there is does not change here. Raises ValidationError."""
    project.full_clean()
    is_new = project._state.adding
    project.save(update_fields=None if is_new else ["name", "business_unit", "environment", "without_authority", "is_listed"])
    return project


@audit.act()
def set_data_class(project: Project, data_class: str) -> bool:
    """Say of which class a project's data is; return whether that changed. Raises ValidationError."""
    locked = Project.objects.select_for_update().get(pk=project.pk)
    if locked.data_class == data_class:
        return False
    locked.data_class = data_class
    locked.full_clean()
    locked.save(update_fields=["data_class"])
    return True


@audit.act()
def set_project_state(project: Project, state: str, *, level: int = 0) -> bool:
    """Suspend or resume a project's keys; return whether anything changed.

    `level` is how high the actor stands (access.level). Raises PermissionDenied: what a higher one suspended stays suspended.
    """
    locked = Project.objects.select_for_update().get(pk=project.pk)
    if locked.state == state and not (state == Project.State.SUSPENDED and level > locked.suspended_level):
        return False
    if state == Project.State.ACTIVE and level < locked.suspended_level:
        raise PermissionDenied(f"{locked} was suspended by somebody above you. Ask {access.who_stands(locked.suspended_level)} to resume it.")
    locked.state = state
    locked.suspended_level = level if state == Project.State.SUSPENDED else 0
    locked.save(update_fields=["state", "suspended_level"])
    return True


@audit.act()
def save_membership(membership: Membership) -> Membership:
    """Check and store a membership. Raises ValidationError."""
    membership.full_clean()
    membership.save()
    return membership


@audit.act()
def remove(row: models.Model) -> None:
    """Delete a row nothing depends on; raises ProtectedError when something does."""
    row.delete()


def make_key(*, pepper: bytes, pepper_version: int, expires_at: datetime, **fields: Any) -> tuple[VirtualKey, str]:
    """Make a virtual key and return its row with the key's text, which is kept nowhere. Raises ValidationError."""
    made = keys.make("vk")
    return store_key(text=made.text, pepper=pepper, pepper_version=pepper_version, expires_at=expires_at, **fields), made.text


@audit.act()
def store_key(
    *, text: str, pepper: bytes, expires_at: datetime, models: Sequence[str], rights_end: datetime | None = None, **fields: Any
) -> VirtualKey:
    """Store the digest of a key already made; `rights_end` is when its maker's own rights end.

    Raises ValidationError for an expiry that has passed or lies too far, no models, a taken name, and ranges or tags that are none.
    """
    if not models:
        raise ValidationError({"models": "Choose at least one model, or * for all."})
    parsed = keys.parse(text.encode())
    row = VirtualKey(
        public_id=parsed.public_id, digest=keys.digest(text.encode(), pepper), expires_at=expires_at, models=list(models), **fields
    )
    credentials.check_new_expiry(row, rights_end)
    check_key(row)
    row.save()
    return row


def check_key(key: VirtualKey) -> None:
    """Raise ValidationError unless the key may be stored; puts its ranges and tags into their one form."""
    for name, read in (("allowed_ips", read_ranges), ("tags", read_tags)):
        try:
            setattr(key, name, read(getattr(key, name)))
        except ValueError as error:
            raise ValidationError({name: str(error)}) from error
    if key.owner is not None and not key.owner.is_active:
        raise ValidationError({"owner": f"{key.owner} is not active. Choose somebody who is, or leave it empty for a key of the project."})
    others = VirtualKey.objects.filter(project=key.project_id, name__iexact=key.name).exclude(state=VirtualKey.State.REVOKED).exclude(pk=key.pk)
    if key.state != VirtualKey.State.REVOKED and others.exists():
        raise ValidationError({"name": "The project has a key of this name. Choose another, so that they can be told apart."})
    key.full_clean()


@audit.act()
def save_key(key: VirtualKey, rights_end: datetime | None = None) -> VirtualKey:
    """Check and store the changeable fields of a key; its project, owner, secret and state do not change here. Raises ValidationError."""
    credentials.check_new_expiry(key, rights_end)
    check_key(key)
    key.save(update_fields=["name", "purpose", "models", "expires_at", "environment", "allowed_ips", "tags"])
    return key


def set_key_state(key: VirtualKey, state: str, *, reason: str = "", compromised: bool = False, level: int = 0) -> bool:
    """Suspend, resume or revoke a key; return whether anything changed. Raises ValidationError: a revoked key stays revoked.

    `compromised` also cuts its running calls; see accounts.credentials.set_state.
    """
    return credentials.set_state(key, state, reason=reason, compromised=compromised, level=level)


@audit.act()
def save_credential_policy(policy: CredentialPolicy) -> CredentialPolicy:
    """Check and store how long a kind of credential may live; those there are keep their end. Raises ValidationError."""
    policy.full_clean()
    policy.save()
    return policy
