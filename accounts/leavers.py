"""What becomes of what a person held when their account is closed, whoever closes it: their own ends, their projects' passes to those who stay.

Knows nothing of sessions, which `accounts.sessions` ends, nor of why somebody leaves.
"""

from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from accounts import audit, credentials, outbox
from accounts.models import (
    BusinessUnit,
    Credential,
    GrantRequest,
    Membership,
    PersonalToken,
    Project,
    ScimToken,
    ServiceAccount,
    Severity,
    User,
    VirtualKey,
)
from accounts.requests.notes import note
from accounts.requests.routing import close_steps

State = Credential.State
Place = Project | BusinessUnit | None
Shared = VirtualKey | ServiceAccount | ScimToken
REASON = "The account of its person was closed."
# What else follows when an account is closed or opened again, registered at start by those who know more than this module.
FOLLOWERS: list[Callable[[User], object]] = []


@audit.act("user.leave")
def leave(user: User) -> None:
    """End what was a person's alone, withdraw what they asked for, and pass on what they made for others.

    Keys of projects and service accounts go to whoever answers for their place, to be rotated within `LEAVER_ROTATE_DAYS`, because somebody outside
    knows their secrets; with `LEAVER_REVOKE_PROJECT_KEYS` they are revoked instead. SCIM tokens are only flagged: revoking one cuts off the directory.
    """
    for own in (*VirtualKey.objects.filter(owner=user), *PersonalToken.objects.filter(user=user)):
        credentials.set_state(own, State.REVOKED, reason=REASON)
    for request in GrantRequest.objects.select_for_update(of=("self",)).filter(requester=user, state__in=GrantRequest.OPEN).order_by("pk"):
        _withdraw(request)
    passed: dict[Place, list[str]] = {}
    shared: list[tuple[VirtualKey | ServiceAccount, Place]] = [(key, key.project) for key in _keys_made_by(user)]
    shared += [(account, account.project or account.business_unit) for account in _accounts_of(user)]
    for row, place in shared:
        if settings.LEAVER_REVOKE_PROJECT_KEYS:
            credentials.set_state(row, State.REVOKED, reason=REASON)
        else:
            _pass_on(row, user, responsible_for(place, user))
            passed.setdefault(place, []).append(row.name)
    for token in ScimToken.objects.filter(created_by=user).exclude(state=State.REVOKED):
        _pass_on(token, user, None)
        passed.setdefault(None, []).append(token.name)
    for place, names in passed.items():
        _tell(user, place, names)
    for follow in FOLLOWERS:
        follow(user)


@audit.act("user.return")
def come_back(user: User) -> None:
    """Let follow what follows when an account is opened again; what was revoked stays revoked."""
    for follow in FOLLOWERS:
        follow(user)


def _keys_made_by(user: User) -> list[VirtualKey]:
    return list(VirtualKey.objects.filter(created_by=user, owner=None).exclude(state=State.REVOKED).select_related("project").order_by("pk"))


def _accounts_of(user: User) -> list[ServiceAccount]:
    rows = ServiceAccount.objects.filter(Q(owner=user) | Q(created_by=user)).exclude(state=State.REVOKED)
    return list(rows.select_related("project", "business_unit").order_by("pk"))


def _withdraw(request: GrantRequest) -> None:
    request.withdraw()
    close_steps(request)
    request.decided_at = timezone.now()
    request.save()
    note(request, "withdrawn", "The account of whoever asked was closed.")


def _pass_on(row: Shared, leaving: User, to: User | None) -> None:
    """Store who answers for a credential now, and by when its secret, which somebody outside knows, must be another."""
    if row.created_by == leaving:
        row.created_by = to
    if isinstance(row, ServiceAccount) and row.owner == leaving:
        row.owner = to
    row.rotate_by = timezone.now() + timedelta(days=settings.LEAVER_ROTATE_DAYS)
    row.save(update_fields=["created_by", "rotate_by", *(["owner"] if isinstance(row, ServiceAccount) else [])])


def _tell(user: User, place: Place, names: list[str]) -> None:
    """Have the channels of a place told which secrets have to be others."""
    outbox.notify(
        reference=f"leaver:{user.pk.hex}:{place.pk.hex if place else ''}:{timezone.now():%Y%m%d%H%M%S%f}",
        kind="credential.rotate_by",
        severity=Severity.WARNING,
        title=f"{place or 'Platform'}: rotate {len(names)} {'secret' if len(names) == 1 else 'secrets'} within {settings.LEAVER_ROTATE_DAYS} days",
        text=f"{user}, whose account was closed, knows the secrets of {', '.join(names)}. Rotate them.",
        path="/keys" if isinstance(place, Project) else "/admin/",
        project=place if isinstance(place, Project) else None,
        unit=place if isinstance(place, BusinessUnit) else None,
    )


def responsible_for(place: Place, leaving: User) -> User | None:
    """Return who answers for a place when one person leaves: a project's longest owner, else the nearest manager above, None without either."""
    if isinstance(place, Project):
        owners = Membership.objects.filter(project=place, role=Membership.Role.OWNER, user__is_active=True).exclude(user=leaving)
        first = owners.select_related("user").order_by("created_at").first()
        return first.user if first is not None else responsible_for(place.business_unit, leaving)
    while place is not None:
        managers = Membership.objects.filter(business_unit=place, role=Membership.Role.MANAGER, user__is_active=True).exclude(user=leaving)
        first = managers.select_related("user").order_by("created_at").first()
        if first is not None:
            return first.user
        place = place.parent
    return None
