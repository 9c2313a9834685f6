"""Passwords: changed by their owner, or set anew by a link that works once, from an administrator or by e-mail."""

import hashlib
import secrets
from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils import timezone

from accounts import audit
from accounts.actions import save_user
from accounts.addresses import network_of
from accounts.audit.record import NOTHING
from accounts.audit.watch import subject_of
from accounts.channels import mail_to
from accounts.egress import NotDelivered
from accounts.models import PasswordLink, User
from accounts.models.notices import message_id
from accounts.sessions import end_sessions
from accounts.sinks import Notice

LINK_LASTS = timedelta(hours=24)
MAILED_LINK_LASTS = timedelta(hours=1)
# Mails about one account: whoever wishes for more within the hour is not heard.
MOST_MAILS_PER_HOUR = 3
# Wishes of one visitor, whoever they are about: colleagues behind one address share it, and so do networks.
MOST_WISHES_PER_HOUR = {"wished_at_address": 10, "wished_in_network": 30}
GONE = "This link does not work any more: it was used, a newer one was made, or its time is over. Ask for another."

log = structlog.get_logger(__name__)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@audit.act("password.change")
def change_password(user: User, new: str, keep: UUID | None = None) -> None:
    """Set a user's password, end their other sessions and every link. Raises ValidationError for a weak one."""
    _store(user, new, keep)


def _store(user: User, new: str, keep: UUID | None = None) -> None:
    try:
        validate_password(new, user)
    except ValidationError as refusal:
        raise ValidationError({"new": refusal.messages}) from refusal
    save_user(user, new)
    PasswordLink.objects.filter(user=user, used_at=None).update(expires_at=timezone.now())
    end_sessions(user, but=keep)


@audit.act("password.link")
def make_link(user: User, by: User | None) -> str:
    """Return the path of a new link that sets the user's password once within 24 h; older links no longer work. Raises ValidationError for oneself."""
    if by is not None and by.pk == user.pk:
        raise ValidationError("Change your own password on your account's page.")
    if not user.is_active:
        raise ValidationError(f"{user} is deactivated. Activate the account first.")
    PasswordLink.objects.filter(user=user, used_at=None).delete()
    path = _with_token(PasswordLink(user=user, issued_by=by, expires_at=timezone.now() + LINK_LASTS))
    audit.record("password.link", subject_of(user))
    return path


def _with_token(link: PasswordLink) -> str:
    token = secrets.token_urlsafe(32)
    link.digest = _digest(token)
    link.save()
    return reverse("sign-in:reset-link", args=[token])


def wish_for_link(email: str, address: str) -> None:
    """Note that somebody at a network address wants a link by e-mail, unless too many wishes came from there within the hour.

    Takes the same steps whether or not there is such an account.
    """
    user = User.objects.filter(email=email.strip().lower(), is_active=True).first()
    origin = {"wished_at_address": address, "wished_in_network": network_of(address)}
    lately = PasswordLink.objects.filter(by_mail=True, created_at__gt=timezone.now() - timedelta(hours=1))
    for field, most in MOST_WISHES_PER_HOUR.items():
        if lately.filter(**{field: origin[field]}).count() >= most:
            log.warning("password_wish_not_heard", address=address, most=most, counted_by=field)
            return
    PasswordLink.objects.create(user=user, by_mail=True, expires_at=timezone.now() + MAILED_LINK_LASTS, **origin)
    audit.record("password.wish", subject_of(user) if user else NOTHING, name=email[:200].replace("\0", ""))


def mail_links() -> int:
    """Mail the links that were wished for; return how many went out. One that the server does not take is tried again until its time is over."""
    now = timezone.now()
    PasswordLink.objects.filter(user=None, created_at__lt=now - timedelta(hours=1)).delete()  # until then they count against their visitor
    PasswordLink.objects.filter(expires_at__lt=now - timedelta(days=30)).delete()
    waiting = PasswordLink.objects.filter(by_mail=True, mailed_at=None, digest=None, expires_at__gt=now).exclude(user=None)
    return sum(_mail(link) for link in waiting.select_related("user").order_by("created_at")[:100])


def _mail(link: PasswordLink) -> bool:
    user = link.user
    assert user is not None
    recent = PasswordLink.objects.filter(user=user, mailed_at__gt=timezone.now() - timedelta(hours=1)).count()
    if not PasswordLink.objects.filter(pk=link.pk, mailed_at=None).update(mailed_at=timezone.now()):
        return False
    if recent >= MOST_MAILS_PER_HOUR:
        return False
    link.mailed_at = timezone.now()
    url = f"{settings.PUBLIC_URL}{_with_token(link)}"
    notice = Notice(
        id=message_id(),
        kind="password-link",
        severity="info",
        title="Set a new password",
        text="Somebody, probably you, asked for a new password of your account. The link works once, within one hour. If it was not you, do nothing.",
        html="",
        at=timezone.now().isoformat(),
        url=url,
    )
    try:
        mail_to(user, notice)
    except NotDelivered as failure:
        log.warning("password_link_not_mailed", user=str(user.pk), reason=str(failure))
        PasswordLink.objects.filter(pk=link.pk).update(mailed_at=None, digest=None)
        return False
    return True


def link_of(token: str) -> PasswordLink:
    """Return the link of a token. Raises ValidationError when it does not work any more."""
    found = PasswordLink.objects.select_related("user").filter(digest=_digest(token), used_at=None, expires_at__gt=timezone.now(), user__is_active=True).first()
    if found is None:
        raise ValidationError(GONE)
    return found


@audit.act("password.reset")
def set_by_link(token: str, new: str) -> User:
    """Set the password by a link, using it up, and end every session of the user. Raises ValidationError for a used link or a weak password."""
    link = link_of(token)
    assert link.user is not None
    if not PasswordLink.objects.filter(pk=link.pk, used_at=None).update(used_at=timezone.now()):
        raise ValidationError(GONE)
    _store(link.user, new)
    return link.user
