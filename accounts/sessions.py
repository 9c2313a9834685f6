"""Sign-ins and sign-outs as events of the audit trail."""

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed

from accounts.audit.record import record
from accounts.audit.watch import subject_of
from accounts.models import User

MOST_NAME_CHARACTERS = 200


def listen() -> None:
    """Record every sign-in, sign-out and refused sign-in from now on."""
    user_logged_in.connect(_signed_in, dispatch_uid="audit-signed-in")
    user_logged_out.connect(_signed_out, dispatch_uid="audit-signed-out")
    user_login_failed.connect(_refused, dispatch_uid="audit-sign-in-refused")


def _signed_in(sender: Any, user: User, **_: Any) -> None:
    record("session.sign-in", subject_of(user))


def _signed_out(sender: Any, user: User | None, **_: Any) -> None:
    if user is not None:
        record("session.sign-out", subject_of(user))


def _refused(sender: Any, credentials: dict[str, Any], **_: Any) -> None:
    name = str(credentials.get("username") or credentials.get("email") or "")[:MOST_NAME_CHARACTERS]
    record("session.sign-in", outcome="refused", name=name.replace("\0", ""))
