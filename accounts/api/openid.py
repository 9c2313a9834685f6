"""Access tokens of the OpenID provider on the management API: whoever sends one acts as the person it names."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.models import OidcIdentity, User
from accounts.oidc import provider, tokens
from accounts.oidc.people import has_second_factor
from accounts.signin.policy import must_have_factor


class ProviderAway(exceptions.APIException):
    """Nobody can say whether the token is good."""

    status_code = 503
    default_detail = "Your access token cannot be checked: the identity provider does not answer. Try again in a moment."
    default_code = "dependency_unavailable"


class AccessToken(BaseAuthentication):
    """`Authorization: Bearer eyJ...`, where access tokens are taken; every other credential is for the next in line."""

    def authenticate(self, request: Request) -> tuple[User, bytes] | None:
        """Return the person and the token; raises AuthenticationFailed for one that is not good, PermissionDenied without a second factor it needs."""
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        token = text.strip().encode("utf-8", "surrogateescape")
        told = provider.configuration()
        if not told.takes_bearers or scheme.lower() != "bearer" or not token.startswith(tokens.START):
            return None
        try:
            claims = provider.verify_here(token, told.audience)
        except tokens.TokenRefused as error:
            code = "key_expired" if error.code == "expired" else "invalid_api_key"
            raise exceptions.AuthenticationFailed(f"Your access token is not accepted. {error}", code) from error
        except provider.ProviderUnreachable as error:
            raise ProviderAway from error
        identity = OidcIdentity.objects.select_related("user").filter(issuer=told.issuer, subject=claims["sub"]).first()
        if identity is None or not identity.user.is_active:
            words = "Your account is deactivated." if identity else "Nobody here is linked to your access token: sign in to the portal once."
            raise exceptions.AuthenticationFailed(words, "invalid_api_key")
        if must_have_factor(identity.user) and not has_second_factor(claims, told):
            raise exceptions.PermissionDenied("Your role needs a second factor, and your access token does not say that there was one.")
        return identity.user, token

    def authenticate_header(self, request: Request) -> str:
        """Return what a 401 asks for."""
        return 'Bearer realm="management"'


class AccessTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    """How the schema describes access tokens."""

    target_class = AccessToken
    name = "openid"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the scheme."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Access token of the OpenID provider, where they are taken."}
