"""Tells the audit trail which request is being answered."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from accounts.audit.origin import answering
from accounts.audit.record import refuse

FACES = (("/admin/", "admin"), ("/api/", "api"), ("/scim/", "scim"))


class Audited:
    """Middleware that names the request to the trail, and notes refusals of people and programs who are known."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request; the answer carries its id."""
        face = next((face for start, face in FACES if request.path_info.startswith(start)), "portal")
        with answering(request, face) as origin:
            response = self.get_response(request)
            if response.status_code == 403 and origin.who() is not None:
                refuse(f"{request.method} {request.path_info}")
        response.headers.setdefault("X-Request-Id", origin.request_id)
        return response
