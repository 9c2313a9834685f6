"""The one place where a session becomes somebody's, whatever way they proved who they are."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.contrib.auth import login, logout
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils import timezone
from django_otp import login as bind_device
from django_otp.models import Device

from accounts.models import User
from accounts.requests.welcome import welcome
from accounts.session_store import HOW

BACKEND = "accounts.access.RoleBackend"
# In the session's data: what made it strong, and when the person last proved to be there (seconds since 1970).
STRONG_BY = "strong_by"
PROVED_AT = "proved_at"


class How(StrEnum):
    """Ways to sign in."""

    PASSWORD = "password"  # noqa: S105  # a way, not a secret
    PASSKEY = "passkey"
    OIDC = "oidc"
    BREAK_GLASS = "break-glass"


def sign_in(request: HttpRequest, user: User, how: How, *, device: Device | None = None, is_strong: bool = False, ends_at: datetime | None = None) -> None:
    """Make the request's session the user's, under a new key, until `ends_at` or for the longest time a session may last.

    The session is strong when a second factor was used: `device`, or `is_strong` for a provider that says so. A first sign-in gives what a rule gives
    newcomers. Raises PermissionDenied for a closed account.
    """
    if not user.is_active:
        raise PermissionDenied("This account is closed. Ask an IT administrator.")
    is_first = user.last_login is None
    setattr(request, HOW, " and ".join([str(how), *([device.name] if device is not None and how != How.PASSKEY else [])]))
    login(request, user, backend=BACKEND)
    session = request.session
    session[HOW] = str(how)
    session.set_expiry(ends_at or timezone.now() + timedelta(hours=settings.SESSION_HOURS))
    session.pop(STRONG_BY, None)
    session[PROVED_AT] = int(timezone.now().timestamp())
    if device is not None:
        bind_device(request, device)
        session[STRONG_BY] = "device"
    elif is_strong:
        session[STRONG_BY] = "other"
    if is_first:
        welcome(user)


def proved(request: HttpRequest, device: Device | None = None) -> None:
    """Note that who is signed in has just proved to be there, and with which factor if it is to stand behind the session; the session's key changes."""
    request.session.cycle_key()
    request.session[PROVED_AT] = int(timezone.now().timestamp())
    if device is not None:
        bind_device(request, device)
        request.session[STRONG_BY] = "device"


def is_strong(session: SessionBase, user: Any) -> bool:
    """Say whether a second factor stands behind the user's session; one that was removed since does not."""
    by, verified = session.get(STRONG_BY), getattr(user, "is_verified", None)
    return by == "other" or (by == "device" and verified is not None and bool(verified()))


def sign_out(request: HttpRequest) -> None:
    """End the session."""
    logout(request)
