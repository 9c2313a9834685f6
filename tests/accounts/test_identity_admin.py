"""The admin's pages of SCIM tokens, group mappings and single sign-on identities."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from accounts import actions, grants
from accounts.models import AuditEvent, DirectoryPerson, GrantRequest, GroupMapping, OidcIdentity, ScimToken, User
from accounts.requests import deciding
from accounts.scim.tokens import find_by_token

pytestmark = pytest.mark.django_db
FIELDS = {
    "name": "Entra",
    "scopes": ["users:read", "users:write"],
    "expires_at_0": f"{timezone.now() + timedelta(days=90):%Y-%m-%d}",
    "expires_at_1": "00:00:00",
}


def person(email: str, role: str = "") -> User:
    return User.objects.create_user(email, "x" * 14, is_staff=bool(role), role=role)


@pytest.fixture
def browser() -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(person("it@example.com", "it_admin"))
    return client


def shown(page: Any) -> str:
    (token,) = re.findall(r"sgw_sc_\w{49}", page.content.decode())
    return str(token)


def works(token: str) -> bool:
    return find_by_token(token.encode(), settings.KEY_PEPPERS) is not None


def second_person_agrees() -> list[tuple[str, str, str]]:
    """Decide as somebody else, and return what they saw would change."""
    request = GrantRequest.objects.get(state="submitted")
    seen = [tuple(line) for line in grants.grant_of(request.kind).preview(request)]
    deciding.approve(request, person("second@example.com", "security_officer"), version=request.version)
    return seen  # type: ignore[return-value]  # lines of three


def test_a_scim_token_is_shown_once_rotated_and_revoked(browser: Client) -> None:
    first = shown(browser.post("/admin/accounts/scimtoken/add/", FIELDS))
    row = ScimToken.objects.get()
    assert (row.name, row.scopes, str(row.created_by), row.may_give_privileged, works(first)) == ("Entra", FIELDS["scopes"], "it@example.com", False, True)
    chosen = {"_selected_action": [row.pk]}
    second = shown(browser.post("/admin/accounts/scimtoken/", {**chosen, "action": "rotate"}))
    assert (works(first), works(second)) == (True, True)
    third = shown(browser.post("/admin/accounts/scimtoken/", {**chosen, "action": "rotate_at_once"}))
    assert (works(first), works(second), works(third)) == (False, False, True)
    assert not {first, second, third} & set(re.findall(r"sgw_sc_\w+", browser.get("/admin/accounts/scimtoken/").content.decode()))
    browser.post("/admin/accounts/scimtoken/", {**chosen, "action": "revoke"})
    assert (works(third), browser.post(f"/admin/accounts/scimtoken/{row.pk}/delete/", {"post": "yes"}).status_code) == (False, 403)
    done = AuditEvent.objects.filter(object_kind="scim-token").order_by("seq").values_list("action", "actor_kind")
    assert list(done) == [("scim-token.create", "user"), ("scim-token.rotate", "user"), ("scim-token.rotate", "user"), ("scim-token.update", "user")]


def test_a_token_that_gives_privileged_roles_takes_two_people_for_every_secret(browser: Client) -> None:
    person("other@example.com", "it_admin")
    browser.post("/admin/accounts/scimtoken/add/", {**FIELDS, "may_give_privileged": "on"})
    states = [ScimToken.objects.get().may_give_privileged]
    GroupMapping.objects.create(group="Admins", role="it_admin")
    assert second_person_agrees() == [(str(ScimToken.objects.get()), "no privileged role", "Admins → it_admin")]
    states.append(ScimToken.objects.get().may_give_privileged)
    browser.post("/admin/accounts/scimtoken/", {"_selected_action": [ScimToken.objects.get().pk], "action": "rotate"})
    states.append(ScimToken.objects.get().may_give_privileged)
    request = GrantRequest.objects.get(state="submitted")
    actions_of = [(request.kind, request.target)]
    assert (states, actions_of) == ([False, True, False], [("act.scim_token", f"sct_{ScimToken.objects.get().public_id}")])


def test_what_was_agreed_for_one_secret_does_not_hold_for_the_next(browser: Client) -> None:
    person("other@example.com", "it_admin")
    browser.post("/admin/accounts/scimtoken/add/", {**FIELDS, "may_give_privileged": "on"})
    browser.post("/admin/accounts/scimtoken/", {"_selected_action": [ScimToken.objects.get().pk], "action": "rotate"})
    with pytest.raises(Exception, match="another secret by now"):
        second_person_agrees()
    assert not ScimToken.objects.get().may_give_privileged


def test_a_group_mapping_is_made_and_deleted_by_action(browser: Client) -> None:
    ada = person("ada@example.com")
    OidcIdentity.objects.create(user=ada, issuer="https://idp", subject="1", groups=["Auditors"])
    browser.post("/admin/accounts/groupmapping/add/", {"group": "Auditors", "role": "auditor", "place_role": ""})
    row = GroupMapping.objects.get()
    assert (User.objects.get(pk=ada.pk).role, browser.get("/admin/accounts/groupmapping/").status_code) == ("auditor", 200)
    assert browser.post(f"/admin/accounts/groupmapping/{row.pk}/change/", {"group": "Others", "role": "auditor"}).status_code == 403
    browser.post("/admin/accounts/groupmapping/", {"_selected_action": [row.pk], "action": "delete_selected", "post": "yes"})
    assert (GroupMapping.objects.count(), User.objects.get(pk=ada.pk).role) == (0, "")


def test_a_privileged_group_mapping_waits_and_says_so(browser: Client) -> None:
    person("other@example.com", "it_admin")
    page: Any = browser.post("/admin/accounts/groupmapping/add/", {"group": "Admins", "role": "it_admin", "place_role": ""}, follow=True)
    said = page.content.decode()
    assert (GroupMapping.objects.count(), "waits for a second person" in said, "was added" in said) == (0, True, False)
    OidcIdentity.objects.create(user=person("ada@example.com"), issuer="https://idp", subject="1", groups=["Admins"])
    assert second_person_agrees() == [("Group Admins", "nothing", "IT administrator"), ("Who is in it", "ada@example.com", "ada@example.com")]
    assert GroupMapping.objects.get().role == "it_admin"


def test_an_identity_is_linked_and_unlinked(browser: Client) -> None:
    ada = person("ada@example.com", "auditor")
    fields = {"user": ada.pk, "issuer": "https://idp.example", "subject": "42"}
    browser.post("/admin/accounts/oidcidentity/add/", fields)
    row = OidcIdentity.objects.get()
    assert (row.user, row.subject, str(row.linked_by)) == (ada, "42", "it@example.com")
    again: Any = browser.post("/admin/accounts/oidcidentity/add/", fields)
    assert (again.status_code, "belongs to a person already" in again.content.decode()) == (200, True)
    browser.post(f"/admin/accounts/oidcidentity/{row.pk}/delete/", {"post": "yes"})
    assert OidcIdentity.objects.count() == 0
    events = AuditEvent.objects.filter(object_kind="identity").order_by("seq").values_list("action", flat=True)
    assert list(events) == ["identity.link", "identity.unlink"]


def test_nobody_alone_lets_an_identity_sign_in_as_another_administrator(browser: Client) -> None:
    other = person("other@example.com", "security_officer")
    browser.post("/admin/accounts/oidcidentity/add/", {"user": other.pk, "issuer": "https://idp.example", "subject": "mine"})
    assert (OidcIdentity.objects.count(), GrantRequest.objects.get().kind) == (0, "act.identity")
    assert second_person_agrees() == [("Who signs in as other@example.com (security officer)", "nobody", "mine")]
    assert OidcIdentity.objects.get().user == other


def test_an_account_is_handed_over_to_the_directory_by_hand(browser: Client) -> None:
    ada = person("ada@example.com", "auditor")
    for _ in range(2):
        browser.post("/admin/accounts/user/", {"_selected_action": [ada.pk], "action": "hand_over"})
    row = DirectoryPerson.objects.get()
    assert (row.user, row.user_name, row.active, User.objects.get(pk=ada.pk).role) == (ada, "ada@example.com", True, "auditor")
    actions.set_users_active([ada], False)
    for page in ("directoryperson/", "directorygroup/", f"directoryperson/{ada.pk}/change/"):
        assert browser.get(f"/admin/accounts/{page}").status_code == 200, page
