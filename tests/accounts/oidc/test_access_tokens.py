"""Access tokens of the OpenID provider on the management API."""

from typing import Any

import pytest
from django.test import Client

from accounts import actions
from accounts.models import BusinessUnit, IssuerDocument, Membership, Project, User
from accounts.oidc import people
from gateway.models import Change, Revision
from gateway.people import compile_people, compile_signer
from gateway.terms import Person
from tests.accounts.oidc.conftest import tell
from tests.fakes.openid import AUDIENCE, OpenId

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada(openid: OpenId) -> User:
    user = actions.save_user(User(email="ada@example.com"))
    people.link(user, openid.origin, "sub-1")
    return user


def project_of(user: User, name: str = "Search", role: str = "developer") -> Project:
    unit = BusinessUnit.objects.first() or actions.save_business_unit(BusinessUnit(name="Research"))
    project = actions.save_project(Project(name=name, business_unit=unit))
    actions.save_membership(Membership(user=user, project=project, role=role))
    return project


def ask(token: str, path: str = "projects") -> tuple[int, Any]:
    answer = Client().get(f"/api/v1/{path}", headers={"authorization": f"Bearer {token}"})
    return answer.status_code, answer.json()


def test_a_token_acts_as_its_person(openid: OpenId, ada: User) -> None:
    mine = project_of(ada)
    project_of(actions.save_user(User(email="eve@example.com")), "Other")
    status, body = ask(openid.access_token())
    assert (status, [row["id"] for row in body["data"]]) == (200, [f"prj_{mine.pk.hex}"])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": "symbiosis"}, "invalid_api_key"),
        ({"iss": "https://evil.example"}, "invalid_api_key"),
        ({"exp": 1}, "key_expired"),
        ({"sub": "nobody"}, "invalid_api_key"),
    ],
)
def test_a_token_that_is_not_good_is_refused(openid: OpenId, ada: User, changes: dict[str, Any], code: str) -> None:
    status, body = ask(openid.access_token(**changes))
    assert (status, body["code"]) == (401, code)


def test_other_signatures_are_refused(openid: OpenId, ada: User) -> None:
    claims = {"iss": openid.origin, "sub": "sub-1", "aud": AUDIENCE, "iat": 1, "exp": 9_999_999_999}
    for token in (openid.signed(claims, kid="key-7"), openid.signed(claims, kid="key-1", key="key-2"), openid.signed(claims, kid=None), "eyJ.eyJ.x", "eyJ"):
        assert ask(token)[0] == 401


def test_the_deactivated_are_refused_at_once(openid: OpenId, ada: User) -> None:
    token = openid.access_token()
    assert ask(token)[0] == 200
    actions.set_users_active([ada], False)
    assert ask(token)[0] == 401


def test_a_role_that_needs_a_second_factor_needs_a_token_that_says_so(openid: OpenId, ada: User) -> None:
    ada.role = "auditor"
    actions.save_user(ada)
    tell(second_factors=("otp",))
    assert [ask(openid.access_token(**claims))[0] for claims in ({}, {"amr": ["pwd"]}, {"amr": ["pwd", "otp"]})] == [403, 403, 200]


def test_a_provider_that_is_away_is_not_the_tokens_fault(openid: OpenId, ada: User) -> None:
    openid.is_down = True
    status, body = ask(openid.access_token())
    assert (status, body["code"]) == (503, "dependency_unavailable")


def test_where_none_are_taken_a_token_is_no_credential(openid: OpenId, ada: User) -> None:
    tell(audience="")
    assert ask(openid.access_token())[0] == 401


# ---- what the data plane is told ----------------------------------------------------------------------------------------


def test_the_plane_is_told_of_people_and_where_they_call(openid: OpenId, ada: User) -> None:
    mine = project_of(ada)
    project_of(ada, "Looking on", "viewer")
    actions.save_user(User(email="unlinked@example.com"))
    expected = Person(id=str(ada.pk), name="ada@example.com", is_active=True, subjects=("sub-1",), projects=(str(mine.pk),))
    assert (compile_people(), compile_people([ada.pk])) == ([expected], [expected])
    tell(audience="")
    assert (compile_people(), compile_signer()) == ([], None)


def test_every_change_of_who_may_call_is_announced(openid: OpenId, ada: User) -> None:
    Revision.objects.get_or_create(id=1)

    def announced(act: Any) -> list[tuple[str, Any]]:
        before = Revision.objects.get().number
        act()
        return [(kind, who) for kind, who in Change.objects.filter(number__gt=before).values_list("kind", "object_id") if kind == "person"]

    project = project_of(ada)
    membership = Membership.objects.get(user=ada)
    acts = [
        lambda: actions.set_users_active([ada], False),
        lambda: actions.set_users_active([ada], True),
        lambda: actions.remove(membership),
        lambda: actions.save_membership(Membership(user=ada, project=project, role="owner")),
        lambda: people.unlink(ada.identities.get()),
    ]
    assert [announced(act)[:1] for act in acts] == [[("person", ada.pk)]] * 5
    assert announced(lambda: User.objects.get(pk=ada.pk).save(update_fields=["last_login"])) == []


def test_the_providers_keys_are_announced_when_they_change(openid: OpenId, ada: User) -> None:
    Revision.objects.get_or_create(id=1)
    ask(openid.access_token())
    signer = compile_signer()
    assert signer is not None
    assert (signer.issuer, signer.audience, b'"key-1"' in signer.keys) == (openid.origin, AUDIENCE, True)
    number = Revision.objects.get().number
    IssuerDocument.objects.update(tried_at=None)
    ask(openid.signed({"iss": openid.origin, "sub": "sub-1", "aud": AUDIENCE, "iat": 1, "exp": 9_999_999_999}, kid="key-7"))
    assert Revision.objects.get().number == number
    IssuerDocument.objects.update(tried_at=None)
    openid.published = ["key-1", "key-2"]
    openid.signs_by = "key-2"
    assert (ask(openid.access_token())[0], Revision.objects.get().number) == (200, number + 1)
