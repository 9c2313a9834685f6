"""The code flow of OpenID Connect: mozilla-django-oidc, with everything checked that it leaves unchecked."""

import base64
import time
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from django.urls import reverse
from mozilla_django_oidc.auth import OIDCAuthenticationBackend

from accounts.models import User
from accounts.oidc import provider
from accounts.oidc.people import SignInRefused, has_second_factor, sign_in_by
from accounts.oidc.provider import ask_json
from accounts.oidc.tokens import TokenRefused, check_access_token, check_party

# What the library reads from Django's settings; the rest keeps its defaults.
LIBRARY = {
    "OIDC_USE_PKCE": True,
    "OIDC_PKCE_CODE_CHALLENGE_METHOD": "S256",
    "OIDC_USE_NONCE": True,
    "OIDC_MAX_STATES": 10,
    "OIDC_AUTHENTICATION_CALLBACK_URL": "oidc-callback",
}


def library_setting(name: str, *default: Any) -> Any:
    """Return a setting of the library, from what this installation was told about its provider."""
    told = provider.configuration()
    found = {**LIBRARY, "OIDC_RP_CLIENT_ID": told.client_id, "OIDC_RP_CLIENT_SECRET": told.client_secret, "OIDC_RP_SCOPES": told.scopes}
    if name in found:
        return found[name]
    if name.startswith("OIDC_OP_") or name == "OIDC_RP_SIGN_ALGO":
        return ""  # asked of the provider when it is needed
    return default[0] if default else None


def address_of(request: HttpRequest, name: str) -> str:
    """Return the address of one of our pages as the provider knows it."""
    return f"{settings.PUBLIC_URL}{reverse(name)}" if settings.PUBLIC_URL else request.build_absolute_uri(reverse(name))


class CodeFlow(OIDCAuthenticationBackend):
    """One sign-in by authorization code. The library carries it out; what it takes on trust is proven here."""

    get_settings = staticmethod(library_setting)

    def authenticate(self, request: HttpRequest | None, **kwargs: Any) -> User | None:
        """Return the person of a callback with its nonce and code verifier. Raises SignInRefused, ProviderUnreachable."""
        self.claims: dict[str, Any] = {}
        self.id_token = ""
        try:
            found = super().authenticate(request, **kwargs)
        except SuspiciousOperation as error:
            raise SignInRefused("library", "Your sign-in could not be completed. Start again.") from error
        assert found is None or isinstance(found, User)
        return found

    def get_token(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Return the provider's answer to our code. Raises SignInRefused when it has no token for us."""
        assert self.request is not None
        payload = {**payload, "redirect_uri": address_of(self.request, "oidc-callback")}
        headers = {}
        secret = payload.pop("client_secret")
        if secret:
            # client_secret_basic, which every provider must support (RFC 6749 2.3.1: both parts form-encoded first)
            pair = f"{quote(payload['client_id'], safe='')}:{quote(secret, safe='')}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        answer = ask_json(provider.current().endpoints["token_endpoint"], urlencode(payload).encode(), headers)
        if not isinstance(answer.get("id_token"), str) or not isinstance(answer.get("access_token"), str):
            raise SignInRefused("no_token", "Your identity provider answered without a token. Start again.")
        return answer

    def verify_token(self, token: str, **kwargs: Any) -> dict[str, Any]:
        """Return the claims of an ID token made out to us in this very sign-in. Raises SignInRefused."""
        told = provider.configuration()
        try:
            claims = provider.verify_here(token.encode(), told.client_id, ("nonce",))
            check_party(claims, told.client_id)
        except TokenRefused as error:
            raise SignInRefused(error.code, "What your identity provider sent does not prove who you are. Start again.") from error
        if not kwargs.get("nonce") or claims["nonce"] != kwargs["nonce"]:
            raise SignInRefused("nonce", "This sign-in was not started here. Start again.")
        return claims

    def get_or_create_user(self, access_token: str, id_token: str, payload: dict[str, Any]) -> User:
        """Return the person the claims name. Raises SignInRefused."""
        try:
            check_access_token(payload, id_token.encode(), access_token)
        except TokenRefused as error:
            raise SignInRefused(error.code, "What your identity provider sent does not fit together. Start again.") from error
        self.claims, self.id_token = {**self.get_userinfo(access_token, id_token, payload), **payload}, id_token
        return sign_in_by(self.claims, provider.configuration())

    def get_userinfo(self, access_token: str, id_token: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Return what the provider tells of the person beside the ID token. Raises SignInRefused when it tells of another (OpenID Connect Core 5.3.2)."""
        endpoint = provider.current().endpoints.get("userinfo_endpoint")
        if endpoint is None:
            return {}
        told = ask_json(endpoint, None, {"authorization": f"Bearer {access_token}"})
        if told.get("sub") != payload["sub"]:
            raise SignInRefused("userinfo", "What your identity provider sent does not fit together. Start again.")
        return told

    @property
    def has_second_factor(self) -> bool:
        """Say whether the provider vouches for a second factor in this sign-in."""
        return has_second_factor(self.claims, provider.configuration())

    @property
    def proved_at_s(self) -> int:
        """Return when the person last proved to the provider who they are, in Unix seconds; 0 when it does not say."""
        said = self.claims.get("auth_time")
        return min(said, int(time.time())) if isinstance(said, int) and not isinstance(said, bool) else 0
