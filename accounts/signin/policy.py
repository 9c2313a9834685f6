"""Who must have a second factor, and what a session without one may do."""

from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase

from accounts import access
from accounts.models import Membership, User
from accounts.signin.enter import is_strong
from accounts.signin.factors import has_factor

EVERYONE = "everyone"


def must_have_factor(user: User) -> bool:
    """Say whether one of the user's roles, on the platform or in a unit or project, requires a second factor."""
    roles = settings.SECOND_FACTOR_ROLES
    if EVERYONE in roles:
        return True
    return access.role_of(user) in roles or Membership.objects.filter(user=user, role__in=roles).exists()


def is_complete(session: SessionBase, user: User) -> bool:
    """Say whether the session is as strong as it has to be: who has a second factor must have used it, who has none must not need one."""
    return is_strong(session, user) or not (must_have_factor(user) or has_factor(user))
