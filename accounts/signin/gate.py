"""What a session may reach: nothing that is not marked open before it is somebody's, nothing but set-up before it is as strong as it has to be.

The decision is bound to the view that runs, not to the text of the path. Views of the management API judge for themselves (accounts.api.credentials).
"""

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from accounts import access
from accounts.models import User
from accounts.session_store import SessionStore
from accounts.signin.factors import has_factor
from accounts.signin.policy import is_complete
from accounts.signin.stepup import StepUpNeeded, confirm_url

MOST_AGENT_CHARACTERS = 200
OPEN, SETTING_UP = "open", "setting-up"
# Views of others that check a credential of their own.
OWN_CREDENTIAL = frozenset({"scim"})

V = TypeVar("V", bound=Callable[..., Any])


def open_to_all(view: V) -> V:
    """Mark a view that strangers may reach."""
    setattr(view, "gate", OPEN)  # noqa: B010  # a function's own attribute
    return view


def while_setting_up(view: V) -> V:
    """Mark a view that serves to set up the first second factor, before which nothing else is served."""
    setattr(view, "gate", SETTING_UP)  # noqa: B010  # a function's own attribute
    return view


class Gate:
    """Middleware behind the session, the user and the trail; it lets a view run or leads elsewhere."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Note who visits; answer."""
        session = request.session
        if isinstance(session, SessionStore):
            session.visitor = (str(request.META.get("REMOTE_ADDR", "")), request.headers.get("User-Agent", "")[:MOST_AGENT_CHARACTERS].replace("\0", ""))
        response = self.get_response(request)
        if isinstance(session, SessionStore):
            session.seen()
        return response

    def process_view(self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any) -> HttpResponse | None:
        """Return None to let the view run, else the page to go to. Raises PermissionDenied."""
        match, mark = request.resolver_match, getattr(view, "gate", "")
        if mark == OPEN or _judges_for_itself(view) or (match is not None and OWN_CREDENTIAL & set(match.namespaces)):
            return None
        user = request.user
        if not isinstance(user, User):
            return to(reverse("sign-in:login"), request)
        if not is_complete(request.session, user):
            if has_factor(user):
                return to(reverse("sign-in:code"), request)
            if mark != SETTING_UP:
                return to(reverse("account:authenticator"), request)
        if match is not None and "admin" in match.namespaces and not access.may_open_admin(user):
            raise PermissionDenied("You have no role that opens the admin. Ask an IT administrator for one.")
        return None

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Lead to the confirmation that a page asked for."""
        return moved(request, confirm_url(request)) if isinstance(exception, StepUpNeeded) else None


def _judges_for_itself(view: Callable[..., Any]) -> bool:
    """Say whether a view is one of the REST framework, whose credentials and permissions stand on each."""
    made_of = getattr(view, "cls", None) or getattr(view, "view_class", None)
    return made_of is not None and any(base.__module__ == "rest_framework.views" for base in made_of.__mro__)


def to(page: str, request: HttpRequest) -> HttpResponse:
    """Lead to a page that leads back afterwards, where there is a page to come back to."""
    back = request.get_full_path() if request.method in ("GET", "HEAD") else ""
    return moved(request, f"{page}?{urlencode({'next': back}, safe='/')}" if back else page)


def moved(request: HttpRequest, url: str) -> HttpResponse:
    """Return a redirect of the whole page, also where htmx asked for a part of one."""
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)
