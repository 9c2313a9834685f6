"""The content security policy of pages: strict, and relaxed for the admin, whose theme evaluates expressions."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

_SHARED = "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'; form-action 'self'; img-src 'self' data:"
STRICT = _SHARED
ADMIN = f"{_SHARED}; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'"


class ContentSecurityPolicy:
    """Adds the policy, unless a view has set its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the request with the policy that fits its path."""
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", ADMIN if request.path_info.startswith("/admin/") else STRICT)
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        response.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        return response
