"""Sessions: who has which, ending them, and sign-ins and sign-outs as events of the audit trail."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models import QuerySet
from django.utils import timezone

from accounts import audit
from accounts.audit.record import record
from accounts.audit.watch import subject_of
from accounts.models import Session, User
from accounts.session_store import HOW

MOST_NAME_CHARACTERS = 200


def sessions_of(user: User) -> QuerySet[Session]:
    """Return the sessions of a person that are not over."""
    now = timezone.now()
    return user.sessions.filter(expires_at__gt=now, last_seen_at__gt=now - timedelta(minutes=settings.SESSION_IDLE_MINUTES))


@audit.act("session.end")
def end_sessions(user: User, *, but: UUID | None = None) -> int:
    """End every session of a person at once, except the one named by `but`; return how many were ended."""
    ended = user.sessions.exclude(pk__in=[but] if but else []).delete()[0]
    if ended:
        record("session.end", subject_of(user), ended=ended)
    return ended


@audit.act("session.end")
def end_session(session: Session) -> None:
    """End one session of a person at once."""
    assert session.user is not None
    if Session.objects.filter(pk=session.pk).delete()[0]:
        record("session.end", subject_of(session.user), ended=1, session=str(session))


def listen() -> None:
    """Record every sign-in, sign-out and refused sign-in from now on."""
    user_logged_in.connect(_signed_in, dispatch_uid="audit-signed-in")
    user_logged_out.connect(_signed_out, dispatch_uid="audit-signed-out")
    user_login_failed.connect(_refused, dispatch_uid="audit-sign-in-refused")


def _signed_in(sender: Any, user: User, request: Any = None, **_: Any) -> None:
    how = getattr(request, HOW, "")
    record("session.sign-in", subject_of(user), **({"how": how} if how else {}))


def _signed_out(sender: Any, user: User | None, **_: Any) -> None:
    if user is not None:
        record("session.sign-out", subject_of(user))


def _refused(sender: Any, credentials: dict[str, Any], **_: Any) -> None:
    name = str(credentials.get("username") or credentials.get("email") or "")[:MOST_NAME_CHARACTERS]
    record("session.sign-in", outcome="refused", name=name.replace("\0", ""))
