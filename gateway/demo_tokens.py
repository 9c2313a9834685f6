"""Personal tokens of demo people, so that a script can play every persona."""

from collections.abc import Mapping
from datetime import timedelta

from django.utils import timezone

from accounts import credentials
from accounts.models import CredentialPolicy, PersonalToken, User
from accounts.personal_tokens import find_person, make_personal_token
from accounts.service_accounts import SCOPES
from gateway.actions import newest_pepper
from gateway.settings import settings

NAME = "Demo script"
BEARERS = ("dev", "manager", "security")


def are_good(tokens: Mapping[str, str]) -> bool:
    """Say whether these are the usable tokens of the demo people, with every scope there is."""
    return set(tokens) == set(BEARERS) and all(_is_good(name, text) for name, text in tokens.items())


def _is_good(name: str, text: str) -> bool:
    user = find_person(text.encode(), settings.peppers)
    token = user.__dict__["token"] if user is not None else None
    if user is None or token is None:
        return False
    return bool(user.email == f"{name}@demo.local" and set(token.scopes) == set(SCOPES) and token.expires_at > timezone.now() + timedelta(days=1))


def renewed(tokens: Mapping[str, str]) -> dict[str, str]:
    """Return the tokens told last time where they are still good, else new ones in their place."""
    return {name: tokens[name] if name in tokens and _is_good(name, tokens[name]) else _make(name) for name in BEARERS}


def _make(name: str) -> str:
    user = User.objects.get(email=f"{name}@demo.local")
    for old in PersonalToken.objects.filter(user=user, is_demo=True).exclude(state=PersonalToken.State.REVOKED):
        credentials.set_state(old, PersonalToken.State.REVOKED)
    expires_at = credentials.latest_expiry(credentials.policy(CredentialPolicy.Kind.PERSONAL_TOKEN))
    return make_personal_token(user=user, name=NAME, scopes=SCOPES, expires_at=expires_at, is_demo=True, **newest_pepper())[1]
