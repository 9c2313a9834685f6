"""Break-glass: the host's operator lets a person in as an administrator for one hour, when no other way is left. The platform's channels are told."""

import hashlib
import secrets
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts import audit, outbox
from accounts.models import Severity, User
from accounts.sessions import end_sessions
from accounts.signin.enter import How, sign_in

LASTS = timedelta(hours=1)
LINK_LASTS = timedelta(minutes=15)
LEAST_REASON_CHARACTERS = 10
GONE = "This break-glass link does not work any more: it was used, or its 15 minutes are over. Run the command again."


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def break_glass(user: User, reason: str) -> str:
    """Make the user an administrator for an hour and return the path of a link that signs in once. Raises ValidationError."""
    reason = reason.strip()
    if len(reason) < LEAST_REASON_CHARACTERS:
        raise ValidationError("Say why in a sentence: it goes to the platform's notification channels and to the audit trail.")
    if not user.is_active:
        raise ValidationError(f"{user} is deactivated. Name another user.")
    token, now = secrets.token_urlsafe(32), timezone.now()
    with audit.act("break-glass.open", reason=reason):
        user.break_glass_until, user.break_glass_digest = now + LASTS, _digest(token)
        user.save(update_fields=["break_glass_until", "break_glass_digest"])
        outbox.notify(
            reference=f"break-glass:{user.pk.hex}:{now.isoformat()}",
            kind="break-glass",
            severity=Severity.CRITICAL,
            title=f"Break-glass: {user} is an administrator until {user.break_glass_until:%H:%M} UTC",
            text=f"The operator of the host opened this way in. Reason: {reason}\nIf this is news to you, sign in and deactivate {user}: that ends it at once.",
            path="/admin/accounts/auditevent/",
            facts={"user": user.email, "until": user.break_glass_until.isoformat(), "reason": reason},
        )
    return reverse("sign-in:break-glass", args=[token])


def user_of(token: str) -> User:
    """Return whom a link lets in. Raises ValidationError when it does not work any more."""
    begun_after = timezone.now() + LASTS - LINK_LASTS
    found = User.objects.filter(break_glass_digest=_digest(token), break_glass_until__gt=begun_after, is_active=True).first()
    if found is None:
        raise ValidationError(GONE)
    return found


def enter(request: HttpRequest, token: str) -> User:
    """Sign in by a link, using it up, until the hour is over. Raises ValidationError."""
    user = user_of(token)
    with audit.act("break-glass.enter"):
        user.break_glass_digest = ""
        if not User.objects.filter(pk=user.pk, break_glass_digest=_digest(token)).update(break_glass_digest=""):
            raise ValidationError(GONE)
        sign_in(request, user, How.BREAK_GLASS, is_strong=True, ends_at=user.break_glass_until)
    return user


@audit.act("break-glass.end")
def end(user: User) -> None:
    """End the hour before its time. Raises ValidationError when none is running."""
    if user.break_glass_until is None or user.break_glass_until <= timezone.now():
        raise ValidationError(f"No break-glass is running for {user}.")
    user.break_glass_until, user.break_glass_digest = None, ""
    user.save(update_fields=["break_glass_until", "break_glass_digest"])
    end_sessions(user)
