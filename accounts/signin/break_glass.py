"""Break-glass: the host's operator lets a person in as an administrator for one hour, when no other way is left.

The platform's channels are told, and every administrator and security officer by mail, at once.
"""

import hashlib
import secrets
from datetime import timedelta

import structlog
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts import audit, outbox
from accounts.mailboxes import Letter, post
from accounts.models import Severity, User
from accounts.models.identity import PRIVILEGED_ROLES
from accounts.sessions import end_sessions
from accounts.signin.enter import How, sign_in

log = structlog.get_logger(__name__)

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
        raise ValidationError("Say why in a sentence: it goes to every administrator, the platform's notification channels and the audit trail.")
    if not user.is_active:
        raise ValidationError(f"{user} is deactivated. Name another user.")
    token, now = secrets.token_urlsafe(32), timezone.now()
    with audit.act("break-glass.open", reason=reason):
        user.break_glass_until, user.break_glass_digest = now + LASTS, _digest(token)
        user.save(update_fields=["break_glass_until", "break_glass_digest"])
        _tell(user, reason, f"break-glass:{user.pk.hex}:{now.isoformat()}")
    return reverse("sign-in:break-glass", args=[token])


def _tell(user: User, reason: str, reference: str) -> None:
    """Tell every channel of the platform, and everybody who could stop it."""
    assert user.break_glass_until is not None
    title = f"Break-glass: {user} is an administrator until {user.break_glass_until:%H:%M} UTC"
    text = f"The operator of the host opened this way in. Reason: {reason}\nIf this is news to you, sign in and deactivate {user}: that ends it at once."
    path, facts = "/admin/accounts/auditevent/", {"user": user.email, "until": user.break_glass_until.isoformat(), "reason": reason}
    told = outbox.notify(reference=reference, kind="break-glass", severity=Severity.CRITICAL, title=title, text=text, path=path, facts=facts)
    letter = Letter(f"letter:{reference}", "break-glass", title, text, path, facts=facts, severity=Severity.CRITICAL)
    told += sum(post(person, letter) for person in User.objects.filter(role__in=PRIVILEGED_ROLES, is_active=True))
    if not told:
        log.warning("break_glass_told_nobody", user=str(user.pk), hint="Set SYMBIOSIS_SMTP_URL and SYMBIOSIS_MAIL_FROM, or add a notification channel.")


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
