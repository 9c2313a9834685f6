"""From the claims of a sign-in to a person here: by issuer and subject alone, never by e-mail address."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError
from django.utils import timezone

from accounts import actions, audit, four_eyes
from accounts.audit.origin import here
from accounts.groups import apply_groups
from accounts.models import DirectoryPerson, OidcIdentity, User
from accounts.models.identity import PRIVILEGED_ROLES
from accounts.oidc.configuration import Configuration

MOST_GROUPS = 1000
MOST_ID_CHARACTERS = 255
ACT = "act.identity"


class SignInRefused(Exception):
    """This sign-in ends here: `code` is for the audit trail, the message for the person."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def sign_in_by(claims: Mapping[str, Any], told: Configuration) -> User:
    """Return the person of an identity, made at the first sign-in where that is allowed, with what their groups give now. Raises SignInRefused.

    Whom the provider says is active no more leaves here too.
    """
    if says_inactive(claims, told):
        leave(told.issuer, claims["sub"])
        raise SignInRefused("inactive", "Your identity provider says that your account is not active. Ask its administrator.")
    return _signed_in(claims, told)


@audit.act("identity.leave")
def leave(issuer: str, subject: str) -> None:
    """Close the account of whoever an identity signs in as, if there is one."""
    actions.set_users_active(list(User.objects.filter(identities__issuer=issuer, identities__subject=subject)), False)


@audit.act()
def _signed_in(claims: Mapping[str, Any], told: Configuration) -> User:
    identity = OidcIdentity.objects.select_for_update().select_related("user").filter(issuer=told.issuer, subject=claims["sub"]).first()
    if identity is None:
        identity = _first_sign_in(claims, told)
    user = identity.user
    if not user.is_active:
        raise SignInRefused("inactive", "Your account is deactivated. Ask an IT administrator.")
    identity.groups, identity.last_sign_in_at = groups_in(claims, told.groups_claim), timezone.now()
    identity.external_id = external_id_in(claims, told)
    identity.save(update_fields=["groups", "external_id", "last_sign_in_at"])
    apply_groups(user)
    return user


def _first_sign_in(claims: Mapping[str, Any], told: Configuration) -> OidcIdentity:
    user = _provisioned(claims, told) or _new_user(claims, told)
    try:
        return link(user, told.issuer, claims["sub"])
    except ValidationError as error:  # the same person at the same moment in another tab
        raise SignInRefused("busy", "Your first sign-in is under way already. Try again.") from error


@audit.act("identity.link")
def link(user: User, issuer: str, subject: str, by: User | None = None) -> OidcIdentity:
    """Let an identity sign in as a person. Raises ValidationError when it belongs to somebody already.

    For somebody else who holds a privileged role it waits for a second person, else one would be both of two (`four_eyes.held` tells).
    """
    identity = OidcIdentity(user=user, issuer=issuer, subject=subject, linked_by=by)
    identity.full_clean()
    who = here().who()
    if four_eyes.is_needed() and user.role in PRIVILEGED_ROLES and who is not None and who.pk != user.pk:
        wanted = {"user": user.pk.hex, "issuer": issuer, "subject": subject}
        four_eyes.hold(ACT, row=identity, title=f"{subject} at {issuer} signs in as {user}", target=f"usr_{user.pk.hex}", parameters=wanted)
        return identity
    try:
        identity.save()
    except IntegrityError as error:
        raise ValidationError("This identity belongs to a person already.") from error
    return identity


@audit.act("identity.unlink")
def unlink(identity: OidcIdentity) -> None:
    """Let an identity sign in no more; what its groups gave is taken away."""
    user = identity.user
    actions.remove(identity)
    apply_groups(user)


def _provisioned(claims: Mapping[str, Any], told: Configuration) -> User | None:
    """Return the person whom the provider announced by SCIM under this very id, where an administrator said which claim that is."""
    said = external_id_in(claims, told)
    if not said:
        return None
    rows = list(DirectoryPerson.objects.select_related("user").filter(external_id=said, user__identities=None)[:2])
    return rows[0].user if len(rows) == 1 else None


def _new_user(claims: Mapping[str, Any], told: Configuration) -> User:
    if not told.creates_users:
        raise SignInRefused("unknown_person", "You have no account here yet. Ask an IT administrator for one.")
    email = verified_email(claims, told)
    if not email:
        raise SignInRefused("no_email", "Your identity provider gave no verified e-mail address of yours. Ask its administrator.")
    if told.email_domains and email.rpartition("@")[2] not in told.email_domains:
        raise SignInRefused("email_domain", "Addresses of your domain may not sign in here. Ask an IT administrator.")
    if User.objects.filter(email=email).exists():
        # never taken over: whoever owns an address at the provider need not be whom it belonged to when the account was made
        raise SignInRefused(
            "account_exists",
            "An account with your e-mail address exists and is not linked to your identity. Sign in to it and link it in your profile, "
            "or ask an IT administrator to link it.",
        )
    name = claims.get("name")
    user = User(email=email, full_name=name.replace("\0", "")[:200] if isinstance(name, str) else "")
    try:
        return actions.save_user(user)
    except (ValidationError, IntegrityError) as error:
        raise SignInRefused("account_refused", "No account could be made of what your identity provider said. Ask an IT administrator.") from error


def verified_email(claims: Mapping[str, Any], told: Configuration) -> str:
    """Return the e-mail address the provider vouches for, in lower case, "" when it vouches for none."""
    email = claims.get("email")
    is_verified = claims.get("email_verified") is True or (told.trusts_email and "email_verified" not in claims)
    if not isinstance(email, str) or not is_verified:
        return ""
    try:
        validate_email(email)
    except ValidationError:
        return ""
    return email.strip().lower()


def external_id_in(claims: Mapping[str, Any], told: Configuration) -> str:
    """Return the directory's id of a person, where an administrator said which claim that is, else ""."""
    said = claims.get(told.external_id_claim) if told.external_id_claim else None
    return said if isinstance(said, str) and len(said) <= MOST_ID_CHARACTERS and "\0" not in said else ""


def says_inactive(claims: Mapping[str, Any], told: Configuration) -> bool:
    """Say whether the claim that tells whether somebody is active, where there is one, says no. A claim left out says nothing."""
    said = claims.get(told.active_claim) if told.active_claim else None
    return said is False or (isinstance(said, str) and said.strip().lower() in ("false", "0", "no", "inactive"))


def groups_in(claims: Mapping[str, Any], name: str) -> list[str]:
    """Return the groups a claim names, none for a claim of another shape."""
    said = claims.get(name)
    listed = said if isinstance(said, list) else [said]
    return sorted({group for group in listed if isinstance(group, str) and 0 < len(group) <= 255 and "\0" not in group})[:MOST_GROUPS]


def has_second_factor(claims: Mapping[str, Any], told: Configuration) -> bool:
    """Say whether the provider states, in `acr` or `amr`, a value this installation takes for a second factor."""
    methods = claims.get("amr")
    said = [claims.get("acr"), *(methods if isinstance(methods, list) else ())]
    return any(isinstance(value, str) and value in told.second_factors for value in said)
