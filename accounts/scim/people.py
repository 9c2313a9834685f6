"""People of the directory: made, changed and closed as it says."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import Q, QuerySet
from scim2_models import Context, InvalidValueException, UniquenessException

from accounts import actions, audit, four_eyes
from accounts.groups import apply_groups
from accounts.models import DirectoryPerson, Membership, OidcIdentity, User
from accounts.models.identity import PRIVILEGED_ROLES
from accounts.oidc.provider import configuration
from accounts.scim.resources import Email, GroupOfPerson, Name, Person
from accounts.scim.versions import meta_of

KEPT_AS_SENT = ("displayName", "name", "emails")
# What a filter asks of these is asked of the database, whatever its case.
LOOK_UPS = {"username": "user_name__iexact", "externalid": "external_id", "id": "pk"}


def rows() -> QuerySet[DirectoryPerson]:
    """Return everybody the directory keeps, in a lasting order."""
    return DirectoryPerson.objects.select_related("user").prefetch_related("user__directory_groups").order_by("created_at", "pk")


def resource_of(row: DirectoryPerson, origin: str) -> Person:
    """Return a person as the directory sees them."""
    sent: Mapping[str, Any] = row.attributes
    name = sent.get("name")
    found = Person(
        id=str(row.pk),
        external_id=row.external_id or None,
        user_name=row.user_name,
        name=Name(family_name=name.get("familyName"), given_name=name.get("givenName")) if name else None,
        display_name=sent.get("displayName"),
        emails=[Email(**email) for email in sent.get("emails", ())] or None,
        active=row.active,
        groups=[GroupOfPerson(value=str(group.pk), display=group.name) for group in row.user.directory_groups.all()] or None,
    )
    found.meta = meta_of(found, "User", f"{origin}/scim/v2/Users/{row.pk}", row.created_at, row.updated_at)
    return found


@audit.act("directory-person.create")
def create(told: Person) -> DirectoryPerson:
    """Make a person: the account of whoever signed in under this very externalId, else a new one.

    Raises UniquenessException when name or address are taken: no account is ever taken over by them.
    """
    user = _signed_in_as(told)
    if user is None:
        user = User()
        user.email = f"{user.pk.hex}@directory.invalid"
    return _store(DirectoryPerson(user=user), user, told)


@audit.act("directory-person.save")
def save(row: DirectoryPerson, told: Person) -> DirectoryPerson:
    """Change a person; whoever is active no more is signed out everywhere, and what was theirs alone is revoked. Raises as `create`."""
    return _store(row, User.objects.select_for_update().get(pk=row.pk), told)


@audit.act("directory-person.remove")
def remove(row: DirectoryPerson) -> None:
    """Close a person's account for good: nothing of it passes to whoever gets the same name or address later."""
    user = User.objects.select_for_update().get(pk=row.pk)
    for owned in (*OidcIdentity.objects.filter(user=user), *Membership.objects.filter(user=user)):
        actions.remove(owned)
    user.directory_groups.clear()
    user.group_grants.all().delete()
    user.is_active, user.role = False, ""
    actions.save_user(user)
    user.email = f"{user.pk.hex}@closed.invalid"
    actions.save_user(user)
    actions.remove(row)


def _signed_in_as(told: Person) -> User | None:
    """Return who signed in by the claim that equals the directory's externalId, if an administrator said which claim that is and they are new here."""
    provider_told = configuration()
    if not (told.external_id and provider_told.external_id_claim):
        return None
    same = Q(external_id=told.external_id)
    if provider_told.external_id_claim == "sub":
        same |= Q(subject=told.external_id)
    found = list(OidcIdentity.objects.filter(same, issuer=provider_told.issuer, user__directory_person=None).values_list("user", flat=True)[:2])
    user = User.objects.select_for_update().get(pk=found[0]) if len(found) == 1 else None
    if user is not None and not user.is_active:
        raise UniquenessException(detail="The account of this person is deactivated here. An IT administrator can activate it.")
    return user


def _store(row: DirectoryPerson, user: User, told: Person) -> DirectoryPerson:
    sent = told.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
    known_as = (row.external_id, user.email, user.is_active)
    _open_or_close(row, user, told.active)
    row.user_name, row.external_id = told.user_name or "", told.external_id or ""
    row.attributes = {name: sent[name] for name in KEPT_AS_SENT if name in sent}
    user.email = _address(told, user.email)
    user.full_name = (told.display_name or _joined(told.name) or user.full_name)[:200]
    if user.role in PRIVILEGED_ROLES and (row._state.adding or known_as != (row.external_id, user.email, user.is_active or known_as[2])):
        # an address gets a link to a new password, an externalId a sign-in: either would be the role
        four_eyes.check_token()
    taken = DirectoryPerson.objects.filter(user_name__iexact=row.user_name).exclude(pk=user.pk).exists()
    if taken or User.objects.filter(email=user.email).exclude(pk=user.pk).exists():
        raise UniquenessException(detail="An account of this userName or e-mail address exists already. An IT administrator can hand it over.")
    try:
        actions.save_user(user)
        row.full_clean()
    except ValidationError as error:
        raise InvalidValueException(detail=" ".join(error.messages)) from error
    row.save()
    apply_groups(user)
    return row


def _open_or_close(row: DirectoryPerson, user: User, said: bool | None) -> None:
    """Close an account whenever the directory says so; open it when it says so anew: what was closed here stays closed while it repeats itself."""
    if said is None and row._state.adding:
        said = True
    if said is False:
        user.is_active = False
    elif said and row.active is not True:
        user.is_active = True
    row.active = said


def _joined(name: Name | None) -> str:
    return " ".join(filter(None, (name.given_name, name.family_name))) if name is not None else ""


def _address(told: Person, present: str) -> str:
    """Return a person's address: the primary one, else the first, else a userName that is one, else the present one."""
    listed = sorted((email for email in told.emails or () if email.value), key=lambda email: not email.primary)
    if listed:
        return str(listed[0].value).lower()
    try:
        validate_email(told.user_name)
    except ValidationError:
        return present
    return str(told.user_name).lower()
