"""What must be done before a page of the portal is shown: each gate returns the page that asks for it, or None."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from accounts import acceptable_use
from accounts.models import User
from accounts.signin.gate import to

# The page that asks, by the view that runs.
ACCEPTING = "account:acceptable-use"


def accepted_use(request: HttpRequest, user: User) -> HttpResponse | None:
    """Lead who has not accepted the acceptable-use policy to it."""
    is_there = request.resolver_match is not None and request.resolver_match.view_name == ACCEPTING
    return None if is_there or acceptable_use.awaited(user) is None else to(reverse(ACCEPTING), request)


GATES = (accepted_use,)
