"""Signing in and out by the OpenID provider: start, come back, leave. What goes wrong ends on a page that says so, audited, without a session."""

import hmac
import time
from typing import Any
from urllib.parse import urlencode

import structlog
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView

from accounts.audit import record
from accounts.oidc import provider
from accounts.oidc.people import SignInRefused
from accounts.oidc.provider import ProviderUnreachable
from accounts.oidc.sign_in import CodeFlow, address_of, library_setting
from accounts.signin import How, sign_in, sign_out
from accounts.signin.enter import PROVED_AT

log = structlog.get_logger("accounts.oidc")
STATE_LASTS_S = 600
STATES, NEXT, ID_TOKEN = "oidc_states", "oidc_login_next", "oidc_id_token"


class Known(View):
    """A page that exists only where a provider is configured, and whose failures are one page."""

    @method_decorator(never_cache)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer, or say what went wrong."""
        if not provider.configuration().signs_in:
            raise Http404
        try:
            return super().dispatch(request, *args, **kwargs)
        except SignInRefused as refusal:
            record("session.sign-in", outcome="refused", reason=refusal.code, how="oidc")
            return refused(request, str(refusal), 403)
        except ProviderUnreachable as error:
            log.error("a sign-in could not be completed", reason=str(error))
            record("session.sign-in", outcome="refused", reason="provider_unreachable", how="oidc")
            return refused(request, "Your identity provider does not answer as it should. Try again in a moment, or ask an IT administrator.", 503)


class Start(Known, OIDCAuthenticationRequestView):
    """Send the visitor to the provider."""

    get_settings = staticmethod(library_setting)

    def get(self, request: HttpRequest) -> HttpResponse:
        """Keep state, nonce and code verifier in the session, and redirect."""
        self.OIDC_OP_AUTH_ENDPOINT = provider.current().endpoints["authorization_endpoint"]
        answer: HttpResponse = super().get(request)
        return answer

    def get_extra_params(self, request: HttpRequest) -> dict[str, str]:
        """Return our address as the provider knows it."""
        return {"redirect_uri": address_of(request, "oidc-callback")}


class Callback(Known, OIDCAuthenticationCallbackView):
    """Take the visitor back from the provider."""

    get_settings = staticmethod(library_setting)

    def get(self, request: HttpRequest) -> HttpResponse:
        """Sign in whom the provider vouches for; every state is good once and not for long. Raises SignInRefused, ProviderUnreachable."""
        known = request.session.get(STATES)
        state = request.GET.get("state", "")
        kept = known.pop(state, None) if isinstance(known, dict) else None
        if kept is None or time.time() - kept["added_on"] > STATE_LASTS_S:
            raise SignInRefused("state", "This sign-in was not started in this browser, or too long ago. Start again.")
        request.session.modified = True
        request.session.save()
        _check_sender(request)
        if "error" in request.GET:
            raise SignInRefused("provider_refused", "Your identity provider did not sign you in.")
        flow = CodeFlow()
        user = flow.authenticate(request, nonce=kept["nonce"], code_verifier=kept["code_verifier"])
        if user is None:
            raise SignInRefused("no_code", "Your identity provider sent nothing to go by. Start again.")
        target = request.session.get(NEXT) or "/"
        sign_in(request, user, How.OIDC, is_strong=flow.has_second_factor)
        if flow.has_second_factor:
            request.session[PROVED_AT] = flow.proved_at_s
        request.session[ID_TOKEN] = flow.id_token
        return HttpResponseRedirect(target)


class Leave(Known):
    """Sign out here and at the provider."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        """End the session, then lead the visitor to the provider's own sign-out (RP-initiated logout)."""
        id_token = request.session.get(ID_TOKEN, "")
        sign_out(request)
        endpoint = provider.current().endpoints.get("end_session_endpoint")
        if not endpoint or not id_token:
            return HttpResponseRedirect("/")
        told = {"id_token_hint": id_token, "client_id": provider.configuration().client_id, "post_logout_redirect_uri": address_of(request, "oidc-left")}
        # by the Refresh header, because form-action forbids a form to lead anywhere else, even by a redirect
        target = f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(told)}"
        answer = render(request, "sign_in/leaving.html", {"provider": provider.configuration().name, "target": target})
        answer.headers["Refresh"] = f"0; url={target}"
        return answer


class Left(Known):
    """Where the provider sends who has signed out there."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Lead to the first page."""
        return HttpResponseRedirect("/")


def refused(request: HttpRequest, why: str, status: int) -> HttpResponse:
    """Return the page that ends a sign-in."""
    return render(request, "sign_in/refused.html", {"why": why}, status=status)


def _check_sender(request: HttpRequest) -> None:
    """Raise SignInRefused when the answer comes from another issuer than was asked (RFC 9207)."""
    named = request.GET.get("iss")
    if named is None and not provider.current().names_itself:
        return
    if named is None or not hmac.compare_digest(named.encode(), provider.configuration().issuer.encode()):
        raise SignInRefused("issuer", "The answer comes from another identity provider than was asked. Start again.")
