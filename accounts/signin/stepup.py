"""Dangerous acts need a proof of presence minutes old: a second factor again, or the password where nobody asked for more."""

from collections.abc import Callable
from functools import update_wrapper
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from accounts.signin.enter import PROVED_AT

P = ParamSpec("P")


class StepUpNeeded(PermissionDenied):
    """The act needs a fresh proof; pages lead to one, the API answers 403 `step_up_required`."""

    def __init__(self) -> None:
        super().__init__("Confirm that it is you: this act needs your second factor again. Open /login/confirm in the browser, then repeat it.")


def is_fresh(request: HttpRequest) -> bool:
    """Say whether the person at the session proved to be there within SYMBIOSIS_STEP_UP_MINUTES."""
    proved_at = request.session.get(PROVED_AT)
    return isinstance(proved_at, int) and timezone.now().timestamp() - proved_at < settings.STEP_UP_MINUTES * 60


def require(request: HttpRequest) -> None:
    """Raise StepUpNeeded unless the proof is fresh. Who came to the management API with a token passes: there is no session behind it to protect."""
    came_with_token = getattr(request, "_request", request) is not request and "Authorization" in request.headers
    if not came_with_token and not is_fresh(request):
        raise StepUpNeeded


def required(view: Callable[Concatenate[HttpRequest, P], HttpResponse]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Show a page, or take its form, only with a fresh proof; others are led to give one and come back."""

    def page(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        require(request)
        return view(request, *args, **kwargs)

    return update_wrapper(page, view)


def required_method(view: Callable[Concatenate[Any, HttpRequest, P], Any]) -> Callable[Concatenate[Any, HttpRequest, P], Any]:
    """Do for a method, such as an action of an admin page, what `required` does for a function."""

    def method(self: Any, request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        require(request)
        return view(self, request, *args, **kwargs)

    return update_wrapper(method, view)


def confirm_url(request: HttpRequest) -> str:
    """Return the page that asks for the proof and leads back: to the page itself, or after a form to the page the form was on."""
    back = request.get_full_path()
    if request.method not in ("GET", "HEAD"):
        referrer = urlsplit(request.headers.get("Referer", ""))
        back = referrer._replace(scheme="", netloc="").geturl() if referrer.netloc == request.get_host() else "/"
    return f"{reverse('sign-in:confirm')}?{urlencode({'next': back}, safe='/')}"
