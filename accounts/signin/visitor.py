"""Which address a request comes from, told once for everything behind it: the trail, lock-outs, sessions."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts import addresses


class Visitor:
    """Middleware that puts the visitor's own address in the place of a trusted proxy's."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request."""
        forwarded = request.headers.get("X-Forwarded-For", "")
        request.META["REMOTE_ADDR"] = addresses.visitor(str(request.META.get("REMOTE_ADDR", "")), forwarded, settings.TRUSTED_PROXIES)
        return self.get_response(request)
