"""Passkeys: registered, used to sign in or to confirm, renamed, removed. The ceremonies are the library's; who may hold them is ours."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django_otp_webauthn.exceptions import OTPWebAuthnApiError
from django_otp_webauthn.helpers import WebAuthnHelper
from django_otp_webauthn.models import WebAuthnCredential
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import AuthenticatorSelectionCriteria, ResidentKeyRequirement, UserVerificationRequirement

from accounts import audit
from accounts.models import User

REFUSED = "This passkey was not accepted. Try again, or use another way."
# In the session: the challenge of a ceremony under way.
REGISTERING, PROVING = "passkey_registering", "passkey_proving"
MOST_PASSKEYS = 20


def relying_party(request: HttpRequest) -> str:
    """Return the domain that passkeys are bound to: that of SYMBIOSIS_PUBLIC_URL."""
    return urlsplit(settings.PUBLIC_URL or f"//{request.get_host()}").hostname or ""


class Ceremonies(WebAuthnHelper):
    """The library's ceremonies for the one origin this installation has; a passkey always asks its owner for a PIN or a finger."""

    def get_allowed_origins(self) -> list[str]:
        """Return the origin of the portal."""
        return [settings.PUBLIC_URL or f"{self.request.scheme}://{self.request.get_host()}"]

    def get_generate_registration_options_kwargs(self, *, user: User) -> dict[str, Any]:
        """Ask for a passkey that can sign in alone."""
        wanted: dict[str, Any] = super().get_generate_registration_options_kwargs(user=user)
        wanted["authenticator_selection"] = AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        )
        return wanted


def begin_registration(request: HttpRequest, user: User) -> dict[str, Any]:
    """Return what the browser needs to make a passkey. Raises ValidationError when there are too many."""
    if WebAuthnCredential.objects.filter(user=user).count() >= MOST_PASSKEYS:
        raise ValidationError(f"You have {MOST_PASSKEYS} passkeys. Remove one first.")
    options, request.session[REGISTERING] = Ceremonies(request).register_begin(user)
    return dict(options)


def register(request: HttpRequest, user: User, answer: Any, name: str) -> WebAuthnCredential:
    """Store the passkey that the browser made. Raises ValidationError for an answer that does not fit the challenge, which counts once."""
    state = request.session.pop(REGISTERING, None)
    if state is None:
        raise ValidationError(REFUSED)
    with audit.act("factor.add"):
        made = _ceremony(lambda: Ceremonies(request).register_complete(user, state, answer))
        made.name = named(name)
        made.save(update_fields=["name"])
    return made


def begin_proof(request: HttpRequest, user: User | None = None) -> dict[str, Any]:
    """Return the challenge for a passkey: any, or one of a person who is known already."""
    options, request.session[PROVING] = Ceremonies(request).authenticate_begin(user, require_user_verification=True)
    return dict(options)


def prove(request: HttpRequest, answer: Any, user: User | None = None) -> WebAuthnCredential:
    """Return the passkey that answered the challenge, which counts once. Raises ValidationError for any other answer and for a closed account."""
    state = request.session.pop(PROVING, None)
    if state is None:
        raise ValidationError(REFUSED)
    found = _ceremony(lambda: Ceremonies(request).authenticate_complete(user, state, answer))
    if not found.confirmed or not found.user.is_active:
        raise ValidationError(REFUSED)
    return found


def _ceremony(step: Any) -> WebAuthnCredential:
    try:
        found: WebAuthnCredential = step()
    except (OTPWebAuthnApiError, WebAuthnException, ValueError, TypeError, KeyError) as refusal:
        raise ValidationError(REFUSED) from refusal
    return found


def named(name: str) -> str:
    """Return a name for a passkey: what was typed, else the day."""
    return " ".join(name.replace("\0", "").split())[:64] or f"Passkey of {timezone.now():%Y-%m-%d}"


@audit.act("factor.rename")
def rename(passkey: WebAuthnCredential, name: str) -> None:
    """Give a passkey another name."""
    passkey.name = named(name)
    passkey.save(update_fields=["name"])


@audit.act("factor.remove")
def remove(passkey: WebAuthnCredential) -> None:
    """Take a passkey out of use."""
    passkey.delete()
