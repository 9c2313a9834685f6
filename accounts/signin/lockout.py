"""Guessing is stopped: five wrong proofs of one name from one address, or fifty from one address, close the way in for a quarter of an hour."""

from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.handlers.proxy import AxesProxyHandler
from axes.signals import user_locked_out
from django.conf import settings
from django.contrib.auth.signals import user_login_failed
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.audit.record import record
from accounts.sessions import MOST_NAME_CHARACTERS

# Many people share one address, so a failure counts for an address this many times less.
SHARED_BY = 10


class Handler(AxesDatabaseHandler):
    """The database handler with a wider limit for a bare address, which a success does not clear."""

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Return the failures that count against a request, as the limit for one name at one address counts them."""
        counted = [sum(attempts.values_list("failures_since_start", flat=True)) for attempts in self.get_user_attempts(request, credentials)]
        by_name, by_address = counted
        return int(max(by_name, by_address // SHARED_BY))

    def reset_user_attempts(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Forget the failures of one name at one address; those of others there stay."""
        by_name, _ = self.filter_user_attempts(request, credentials)
        return int(by_name.delete()[0])


def listen() -> None:
    """Record every lock-out from now on."""
    user_locked_out.connect(_locked_out, dispatch_uid="audit-locked-out")


def _locked_out(sender: Any, request: HttpRequest, username: str | None = None, **_: Any) -> None:
    record("session.lock-out", outcome="refused", name=(username or "")[:MOST_NAME_CHARACTERS].replace("\0", ""))


def refuse_while_locked(request: HttpRequest, email: str) -> None:
    """Raise PermissionDenied, which becomes the page that says how long, while guesses at this name or from this address are stopped."""
    if not AxesProxyHandler.is_allowed(request, {"username": email}):
        request.axes_locked_out = True  # type: ignore[attr-defined]  # axes reads it
        raise PermissionDenied("Too many wrong attempts.")


def failed(request: HttpRequest, email: str) -> None:
    """Count a wrong second factor like a wrong password, and record it."""
    user_login_failed.send(__name__, credentials={"username": email}, request=request)


def answer(request: HttpRequest, original_response: HttpResponse | None = None, credentials: dict[str, Any] | None = None) -> HttpResponse:
    """Return the page of a lock-out, the same whether or not there is such a name."""
    minutes = int(settings.AXES_COOLOFF_TIME.total_seconds() // 60)
    page = render(request, "accounts/sign_in/locked.html", {"minutes": minutes}, status=429)
    page.headers["Retry-After"] = str(minutes * 60)
    return page
