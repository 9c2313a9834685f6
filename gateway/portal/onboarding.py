"""The page of first steps: what one has, what one can ask for, and the first call to copy."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from accounts.models import User
from accounts.portal.page import signed_in
from gateway.first_steps import first_steps
from gateway.forms_keys import projects_for
from gateway.portal.requests import ways
from gateway.settings import settings


@signed_in
@require_http_methods(["GET", "HEAD"])
def onboarding(request: HttpRequest, user: User) -> HttpResponse:
    """Show where the visitor stands; the page asks again by itself until the first call has landed, and is told nothing while nothing changed."""
    first = first_steps(user)
    if request.headers.get("HX-Request") == "true" and request.GET.get("done") == str(first.done):
        return HttpResponse(status=204)
    told = {"first": first, "may_create": projects_for(user).exists(), "base_url": base_url(request), "ways": ways()}
    return render(request, "gateway/onboarding.html", told)


def base_url(request: HttpRequest) -> str:
    """Return what clients are to be given as their base URL."""
    return f"{settings.public_url.rstrip('/')}/v1" if settings.public_url else request.build_absolute_uri("/v1")
