"""The acceptable-use policy: pages and keys stay closed until its newest version is accepted, on the record."""

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.utils import timezone

from accounts import acceptable_use
from accounts.models import Acceptance, AuditEvent, BusinessUnit, Membership, Project, UsePolicy, User, VirtualKey
from gateway import keymaking

pytestmark = pytest.mark.django_db


def published(text: str = "Be <b>kind</b>.") -> UsePolicy:
    return acceptable_use.publish(UsePolicy(text=text), None)


def visitor(name: str = "ada", **fields: Any) -> tuple[User, Client]:
    user, client = User.objects.create_user(f"{name}@example.com", **fields), Client()
    client.force_login(user)
    return user, client


def accepted(client: Client, version: int, onward: str = "/keys") -> Any:
    return client.post("/acceptable-use", {"version": version, "is_accepted": "on", "next": onward})


def test_pages_are_closed_until_the_policy_is_accepted_and_again_on_a_new_version() -> None:
    user, client = visitor()
    assert client.get("/keys").status_code == 200
    published()
    led = [client.get(path).headers["Location"] for path in ("/keys?state=all", "/", "/requests/new/credit")]
    assert led == [f"/acceptable-use?next={path}" for path in ("/keys%3Fstate%3Dall", "/", "/requests/new/credit")]
    assert client.post("/keys/new", {}).headers["Location"] == "/acceptable-use"
    page = client.get("/acceptable-use?next=/keys").content.decode()
    assert ("Be &lt;b&gt;kind" in page, "<b>kind" in page, 'value="/keys"' in page) == (True, False, True)
    answer = accepted(client, 1)
    assert (answer.status_code, answer.headers["Location"], client.get("/keys").status_code) == (302, "/keys", 200)
    published("Be kinder.")
    page = client.get("/acceptable-use").content.decode()
    assert (client.get("/keys").status_code, "since you accepted version 1" in page) == (302, True)
    assert (accepted(client, 2).status_code, client.get("/keys").status_code) == (302, 200)
    assert list(Acceptance.objects.filter(user=user).order_by("at").values_list("policy", flat=True)) == [1, 2]
    events = AuditEvent.objects.filter(action="use-policy.accept").order_by("seq")
    assert [(event.actor_id, event.face, event.object_kind) for event in events] == [(f"usr_{user.pk.hex}", "portal", "acceptance")] * 2


def test_what_is_accepted_is_the_version_that_was_read() -> None:
    _, client = visitor()
    published()
    published("Be kinder.")
    answer = accepted(client, 1)
    assert (answer.status_code, "There is a newer version" in answer.content.decode(), Acceptance.objects.count()) == (400, True, 0)
    assert client.post("/acceptable-use", {"version": 2}).status_code == 400
    assert (Acceptance.objects.count(), client.get("/keys").status_code) == (0, 302)
    for version in ("x", "", "99999999999999999999"):
        assert client.post("/acceptable-use", {"version": version, "is_accepted": "on"}).status_code == 400


def test_the_way_onward_leads_nowhere_else_and_newcomers_to_their_first_steps() -> None:
    published()
    assert accepted(visitor("eve")[1], 1, "https://evil.example/").headers["Location"] == "/onboarding"
    assert accepted(visitor("bob")[1], 1, "//evil.example/").headers["Location"] == "/onboarding"
    assert accepted(visitor("ann")[1], 1, "/tokens").headers["Location"] == "/tokens"


def test_accepting_twice_is_once() -> None:
    user, client = visitor()
    published()
    assert [accepted(client, 1).status_code, accepted(client, 1).status_code, Acceptance.objects.filter(user=user).count()] == [302, 302, 1]


def test_one_may_secure_the_account_before_accepting() -> None:
    _, client = visitor()
    published()
    assert client.get("/account").status_code == 200


def test_no_key_is_made_by_or_for_who_has_not_accepted() -> None:
    project = Project.objects.create(name="P", business_unit=BusinessUnit.objects.create(name="U"))
    owner, dev = (User.objects.create_user(f"{role}@example.com") for role in ("owner", "developer"))
    for user, role in ((owner, "owner"), (dev, "developer")):
        Membership.objects.create(user=user, project=project, role=role)
    published()
    for actor, given in ((dev, {}), (owner, {}), (owner, {"owner": dev})):
        with pytest.raises(PermissionDenied, match="has not accepted version 1"):
            keymaking.make_for(actor, project=project, models=["*"], name="app", **given)
    acceptable_use.accept(owner, 1)
    with pytest.raises(PermissionDenied, match=r"developer@example\.com has not accepted"):
        keymaking.make_for(owner, project=project, models=["*"], name="app", owner=dev)
    assert VirtualKey.objects.count() == 0
    acceptable_use.accept(dev, 1)
    row, _ = keymaking.make_for(dev, project=project, models=["*"], name="app")
    assert (row.owner, row.expires_at > timezone.now()) == (dev, True)


def test_a_change_in_the_admin_is_a_new_version_and_old_ones_stay() -> None:
    published("First.")
    admin, client = visitor("it", role="it_admin", is_staff=True)
    form = client.get("/admin/accounts/usepolicy/add/").content.decode()
    assert "First." in form
    assert client.post("/admin/accounts/usepolicy/add/", {"text": "Second.\r\nMore."}).status_code == 302
    rows = UsePolicy.objects.order_by("version").values_list("version", "text", "published_by")
    assert list(rows) == [(1, "First.", None), (2, "Second.\nMore.", admin.pk)]
    event = AuditEvent.objects.get(action="use-policy.publish", object_id="aup_2")
    assert (event.actor_id, event.face) == (f"usr_{admin.pk.hex}", "admin")
    same = client.post("/admin/accounts/usepolicy/add/", {"text": " Second.\nMore. "})
    assert ("text of version 2" in same.content.decode(), UsePolicy.objects.count()) == (True, 2)
    client.post("/admin/accounts/usepolicy/1/change/", {"text": "Changed."})
    assert client.post("/admin/accounts/usepolicy/1/delete/", {"post": "yes"}).status_code == 403
    assert (UsePolicy.objects.get(version=1).text, client.get("/admin/accounts/usepolicy/").status_code) == ("First.", 200)


def test_an_empty_policy_is_none() -> None:
    with pytest.raises(ValidationError, match="Write the policy"):
        published(" \0\r\n ")
    assert acceptable_use.current() is None
