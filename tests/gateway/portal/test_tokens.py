"""Personal tokens: made by a person who is signed in, shown once, bound to the person, revoked."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts import actions
from accounts.models import BusinessUnit, Membership, PersonalToken, Project, User
from tests.gateway.api.callers import Caller

pytestmark = pytest.mark.django_db


def signed_in(name: str) -> tuple[User, Client]:
    user, client = User.objects.create_user(f"{name}@example.com"), Client()
    client.force_login(user)
    return user, client


def form(**fields: object) -> dict[str, object]:
    return {"name": "script", "scopes": ["projects:read", "keys:write"], "expires_on": f"{timezone.now() + timedelta(days=9):%Y-%m-%d}"} | fields


def made(client: Client) -> str:
    (token,) = re.findall(r"sgw_pt_\w{49}", client.post("/tokens", form()).content.decode())
    return str(token)


def test_a_token_acts_as_its_person_within_scopes_and_ends_with_the_person() -> None:
    user, client = signed_in("dev")
    project = Project.objects.create(name="P", business_unit=BusinessUnit.objects.create(name="U"))
    membership = Membership.objects.create(user=user, project=project, role="developer")
    token = made(client)
    caller = Caller(token)
    assert token not in client.get("/tokens").content.decode()
    assert (caller.ids("projects"), caller.get("keys").status_code) == ([f"prj_{project.pk.hex}"], 403)
    key = {"project": f"prj_{project.pk.hex}", "name": "k", "models": ["*"]}
    assert caller.made("keys", key)["owner"] == f"usr_{user.pk.hex}"
    me = caller.get("me").json()
    assert (me["name"], me["scopes"], me["memberships"][0]["role"]) == ("dev@example.com", ["keys:write", "projects:read"], "developer")
    membership.delete()
    assert caller.post("keys", {**key, "name": "other"}).status_code == 403
    actions.set_users_active([user], False)
    assert caller.get("projects").status_code == 401


def test_a_key_made_by_token_ends_with_the_token_at_the_latest() -> None:
    user, client = signed_in("dev")
    project = Project.objects.create(name="P", business_unit=BusinessUnit.objects.create(name="U"))
    Membership.objects.create(user=user, project=project, role="owner")
    caller, row = Caller(made(client)), PersonalToken.objects.get()
    body = {"project": f"prj_{project.pk.hex}", "name": "k", "models": ["*"]}
    late = caller.post("keys", {**body, "expires_at": (row.expires_at + timedelta(hours=1)).isoformat()})
    assert (late.status_code, "your own rights end then" in late.json()["detail"]) == (400, True)
    assert caller.made("keys", body)["expires_at"] == row.expires_at.isoformat().replace("+00:00", "Z")


def test_a_token_makes_no_tokens_and_is_revoked_by_its_person_alone() -> None:
    _, client = signed_in("dev")
    token = made(client)
    assert Caller(token).post("personal-tokens", {"name": "more", "scopes": ["keys:read"]}).status_code == 403
    row = PersonalToken.objects.get()
    assert signed_in("other")[1].post(f"/tokens/pt_{row.public_id}/revoke").status_code == 404
    assert client.post(f"/tokens/pt_{row.public_id}/revoke").status_code == 302
    assert (Caller(token).get("me").status_code, row.public_id in client.get("/tokens").content.decode()) == (401, False)


def test_what_the_action_refuses_stands_in_the_form() -> None:
    _, client = signed_in("dev")
    far = f"{timezone.now() + timedelta(days=3000):%Y-%m-%d}"
    assert "allows no longer life" in client.post("/tokens", form(expires_on=far)).content.decode()
    assert "Select a valid choice" in client.post("/tokens", form(scopes=["everything:write"])).content.decode()
    assert PersonalToken.objects.count() == 0
