"""Who is who: the directory and the identity provider speak of the same person by externalId and (issuer, subject), never by address."""

from typing import Any

import pytest

from accounts import actions
from accounts.models import DirectoryPerson, OidcIdentity, User
from accounts.oidc.configuration import Configuration
from accounts.oidc.people import SignInRefused, sign_in_by
from tests.accounts.scim.conftest import USER, Directory

pytestmark = pytest.mark.django_db
ISSUER = "https://idp.example"
ADA = {"sub": "42", "oid": "x-1", "email": "ada@example.com", "email_verified": True}


@pytest.fixture(autouse=True)
def told(settings: Any) -> Configuration:
    settings.OIDC = Configuration(issuer=ISSUER, client_id="gateway", external_id_claim="oid")
    return settings.OIDC  # type: ignore[no-any-return]


def test_who_was_provisioned_signs_in_to_that_account(directory: Directory, told: Configuration) -> None:
    made = directory.create("ada@example.com", externalId="x-1")
    assert (str(sign_in_by(ADA, told).pk), OidcIdentity.objects.get().external_id) == (made["id"], "x-1")
    assert str(sign_in_by({**ADA, "email": "ada.king@example.com"}, told).pk) == made["id"]


def test_who_signed_in_first_is_provisioned_into_that_account(directory: Directory, told: Configuration) -> None:
    ada = sign_in_by(ADA, told)
    made = directory.create("ada.king@example.com", externalId="x-1")
    assert (made["id"], User.objects.get().email, DirectoryPerson.objects.get().user) == (str(ada.pk), "ada.king@example.com", ada)


def test_the_subject_is_known_before_the_next_sign_in(directory: Directory, settings: Any) -> None:
    ada = User.objects.create_user("ada@example.com")
    OidcIdentity.objects.create(user=ada, issuer=ISSUER, subject="42")
    OidcIdentity.objects.create(user=User.objects.create_user("eve@example.com"), issuer="https://other.example", subject="42")
    settings.OIDC = Configuration(issuer=ISSUER, client_id="gateway", external_id_claim="sub")
    assert directory.create("ada@example.com", externalId="42")["id"] == str(ada.pk)


def test_an_address_alone_links_nobody(directory: Directory, told: Configuration) -> None:
    directory.create("ada@example.com", externalId="x-9")
    with pytest.raises(SignInRefused) as refused:
        sign_in_by(ADA, told)
    eve = sign_in_by({**ADA, "sub": "7", "oid": "x-7", "email": "eve@example.com"}, told)
    answer = directory.ask("post", "Users", {"schemas": [USER], "userName": "eve@example.com", "externalId": "x-8"})
    assert (refused.value.code, answer.status_code, DirectoryPerson.objects.filter(pk=eve.pk).exists()) == ("account_exists", 409, False)


def test_an_id_of_two_people_links_neither(directory: Directory, told: Configuration) -> None:
    for name in ("a@example.com", "b@example.com"):
        directory.create(name, externalId="x-1")
    sign_in_by({**ADA, "email": "c@example.com"}, told)
    assert (User.objects.count(), OidcIdentity.objects.get().user.email) == (3, "c@example.com")


def test_an_administrators_account_is_not_linked_by_a_token_that_may_give_no_such_role(directory: Directory, told: Configuration) -> None:
    ada = sign_in_by(ADA, told)
    User.objects.filter(pk=ada.pk).update(role="it_admin", is_staff=True)
    body = {"schemas": [USER], "userName": "ada@example.com", "externalId": "x-1"}
    assert (directory.ask("post", "Users", body).status_code, DirectoryPerson.objects.count()) == (403, 0)
    assert Directory("trusted", may_give_privileged=True).ask("post", "Users", body).status_code == 201


def test_who_was_closed_here_is_not_opened_by_the_directory(directory: Directory, told: Configuration) -> None:
    ada = sign_in_by(ADA, told)
    actions.set_users_active([ada], False)
    answer = directory.ask("post", "Users", {"schemas": [USER], "userName": "other@example.com", "externalId": "x-1"})
    assert (answer.status_code, User.objects.get().is_active) == (409, False)


def test_a_closure_here_outlasts_what_the_directory_repeats(directory: Directory) -> None:
    made = directory.create("ada@example.com")
    body = {"schemas": [USER], "userName": "ada@example.com", "active": True}
    states = []
    for change in (None, False, True):
        actions.set_users_active([User.objects.get()], False)
        directory.ask("put", f"Users/{made['id']}", {**body, "active": True if change is None else change})
        states.append(User.objects.get().is_active)
    assert states == [False, False, True]


def test_whoever_is_deleted_takes_nothing_along(directory: Directory, told: Configuration) -> None:
    made = directory.create("ada@example.com", externalId="x-1")
    first = sign_in_by(ADA, told)
    directory.ask("delete", f"Users/{made['id']}")
    second = directory.create("ada@example.com", externalId="x-1")
    assert (str(sign_in_by(ADA, told).pk), first.pk != OidcIdentity.objects.get().user_id) == (second["id"], True)
