"""Who calls the management API: a service account by its token, or a signed-in person by session with a CSRF token."""

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.authentication import SessionAuthentication as DjangoSession
from rest_framework.request import Request

from accounts import keys
from accounts.models import ServiceAccount, User
from accounts.service_accounts import find_by_token
from accounts.signin.policy import is_complete


class SecondFactorNeeded(exceptions.PermissionDenied):
    """The session belongs to somebody who owes the second factor."""

    default_code = "second_factor_required"
    default_detail = "Your second factor is due. Open /login/code in the browser, or /account/authenticator to set one up, then repeat the request."


class ServiceAccountToken(BaseAuthentication):
    """`Authorization: Bearer sgw_sa_...`. Whoever sends this header is judged by it alone, session or not."""

    def authenticate(self, request: Request) -> tuple[ServiceAccount, bytes] | None:
        """Return the account and its token's text; raises AuthenticationFailed for any token that is not good."""
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
            raise exceptions.AuthenticationFailed("This is no token of a service account. Copy it again.", "invalid_api_key") from None
        if kind != "sa":
            raise exceptions.AuthenticationFailed(
                "This is a virtual key: it makes calls on /v1. The management API takes the token of a service account, sgw_sa_...",
                "wrong_credential_kind",
            )
        account = find_by_token(token, settings.KEY_PEPPERS)
        if account is None:
            raise exceptions.AuthenticationFailed(
                "This token is unknown, expired, suspended or revoked. Ask an IT administrator for another.", "invalid_api_key"
            )
        return account, token

    def authenticate_header(self, request: Request) -> str:
        """Return what a 401 asks for."""
        return 'Bearer realm="management"'


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
        return {"type": "http", "scheme": "bearer", "bearerFormat": "sgw_sa_<id>_<secret>", "description": "Token of a service account."}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    """How the schema describes sessions."""

    target_class = Session
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the scheme."""
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME, "description": "Session; writes need X-CSRFToken."}
