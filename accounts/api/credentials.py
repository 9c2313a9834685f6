"""Who calls the management API: a service account or a person by token, or a signed-in person by session with a CSRF token."""

from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.authentication import SessionAuthentication as DjangoSession
from rest_framework.request import Request

from accounts import keys
from accounts.models import ServiceAccount, User
from accounts.personal_tokens import find_person
from accounts.service_accounts import find_by_token
from accounts.signin.policy import is_complete


class SecondFactorNeeded(exceptions.PermissionDenied):
    """The session belongs to somebody who owes the second factor."""

    default_code = "second_factor_required"
    default_detail = "Your second factor is due. Open /login/code in the browser, or /account/authenticator to set one up, then repeat the request."


class ServiceAccountToken(BaseAuthentication):
    """`Authorization: Bearer sgw_sa_...` or `sgw_pt_...`. Whoever sends this header is judged by it alone, session or not."""

    def authenticate(self, request: Request) -> tuple[ServiceAccount | User, bytes] | None:
        """Return the account or person and the token's text; raises AuthenticationFailed for any token that is not good."""
        header = request.headers.get("Authorization")
        if header is None:
            return None
        scheme, _, text = header.partition(" ")
        token = text.strip().encode("utf-8", "surrogateescape")
        if scheme.lower() != "bearer":
            raise exceptions.AuthenticationFailed("Send Authorization: Bearer sgw_sa_<id>_<secret>.", "invalid_api_key")
        try:
            kind = keys.parse(token).kind
        except keys.BadShape:
            raise exceptions.AuthenticationFailed("This is no token of this gateway. Copy it again.", "invalid_api_key") from None
        if kind == "vk":
            raise exceptions.AuthenticationFailed(
                "This is a virtual key: it makes calls on /v1. The management API takes the token of a service account, sgw_sa_..., or of a person, sgw_pt_...",
                "wrong_credential_kind",
            )
        find = find_by_token if kind == "sa" else find_person
        found = find(token, settings.KEY_PEPPERS, ip_of(request), request.headers.get("User-Agent", ""))
        if found is None:
            raise exceptions.AuthenticationFailed("This token is unknown, expired, suspended or revoked. Make another or ask for one.", "invalid_api_key")
        return found, token

    def authenticate_header(self, request: Request) -> str:
        """Return what a 401 asks for."""
        return 'Bearer realm="management"'


def ip_of(request: Request | HttpRequest) -> str | None:
    """Return the visitor's address, None where the server tells none."""
    try:
        return str(ip_address(str(request.META.get("REMOTE_ADDR", ""))))
    except ValueError:
        return None


class Session(DjangoSession):
    """A person signed in to the portal or admin, as completely as their role demands."""

    def authenticate(self, request: Request) -> tuple[Any, bytes] | None:
        """Return the person and the session's name; raises PermissionDenied without a CSRF token on a write, and before a second factor that is due."""
        found = super().authenticate(request)
        if found is None or not isinstance(found[0], User):
            return None
        if not is_complete(request.session, found[0]):
            raise SecondFactorNeeded
        return found[0], (request.session.session_key or "").encode()


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    """How the schema describes tokens."""

    target_class = ServiceAccountToken
    name = "serviceAccount"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the scheme."""
        said = "Token of a service account, or of a person (sgw_pt_...)."
        return {"type": "http", "scheme": "bearer", "bearerFormat": "sgw_sa_<id>_<secret>", "description": said}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    """How the schema describes sessions."""

    target_class = Session
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the scheme."""
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME, "description": "Session; writes need X-CSRFToken."}
