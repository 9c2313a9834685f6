"""The pages of keys: made and shown once, rotated, paused and revoked by whoever may, and not found by anybody else."""

from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import actions, credentials
from accounts.models import AuditEvent, BusinessUnit, Membership, Project, User, VirtualKey
from billing.models import Budget, Limit
from gateway.actions import create_virtual_key
from gateway.settings import settings

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return Project.objects.create(name="Mine", business_unit=BusinessUnit.objects.create(name="Unit"))


def visitor(role: str, project: Project, name: str = "") -> tuple[User, Client]:
    user = User.objects.create_user(f"{name or role}@example.com")
    Membership.objects.create(user=user, role=role, project=project)
    client = Client()
    client.force_login(user)
    return user, client


def key_of(project: Project, name: str = "app", **fields: Any) -> VirtualKey:
    return create_virtual_key(project=project, name=name, models=["*"], expires_at=timezone.now() + timedelta(days=9), **fields)[0]


def asked(project: Project, **fields: str) -> dict[str, str]:
    expires_on = f"{timezone.now() + timedelta(days=30):%Y-%m-%d}"
    return {"project": str(project.pk), "name": "app", "environment": "dev", "expires_on": expires_on, "models": "*", "budget_period": "monthly"} | fields


class Values(HTMLParser):
    """The value of the input with id new-key."""

    found = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if told.get("id") == "new-key":
            self.found = told.get("value") or ""


def told(answer: Any) -> str:
    reader = Values()
    reader.feed(answer.content.decode())
    return reader.found


def test_a_new_key_is_shown_once_and_holds_all_that_was_asked(project: Project) -> None:
    owner, client = visitor("owner", project)
    answer = client.post(
        "/keys/new", asked(project, purpose="checkout", allowed_ips="10.0.0.0/8\n2001:db8::/32", tags="team=a", rpm="60", budget_usd="12.50", personal="on")
    )
    row, text = VirtualKey.objects.get(), told(answer)
    assert (text[:17], credentials.is_good(row, text.encode(), settings.peppers), "no-store" in answer.headers["Cache-Control"]) == (
        f"sgw_vk_{row.public_id}", True, True,
    )  # fmt: skip
    assert (row.purpose, row.allowed_ips, row.tags, row.owner, row.created_by) == ("checkout", ["10.0.0.0/8", "2001:db8::/32"], {"team": "a"}, owner, owner)
    assert [(limit.kind, limit.amount, limit.key) for limit in Limit.objects.all()] == [("rpm", 60, row)]
    assert [(budget.amount, budget.period, budget.key) for budget in Budget.objects.all()] == [(12_500_000_000, "monthly", row)]
    for path in ("/keys", f"/keys/{row.shown_id}"):
        page = client.get(path).content.decode()
        assert (row.public_id in page, text in page) == (True, False)


def test_a_developers_key_is_the_developers_own_and_never_for_prod(project: Project) -> None:
    user, client = visitor("developer", project)
    assert told(client.post("/keys/new", asked(project)))
    assert VirtualKey.objects.get().owner == user
    refused = client.post("/keys/new", asked(project, name="live", environment="prod"))
    assert (refused.status_code, "Developers manage their own keys" in refused.content.decode(), VirtualKey.objects.count()) == (200, True, 1)


def test_what_the_action_refuses_stands_in_the_form(project: Project) -> None:
    _, client = visitor("owner", project)
    far = f"{timezone.now() + timedelta(days=3000):%Y-%m-%d}"
    for fields, words in (
        ({"expires_on": far}, "the policy for virtual keys: dev allows no longer life"),
        ({"models": "gone"}, "Not in the catalogue: gone."),
        ({"allowed_ips": "nowhere"}, "is no IP range"),
        ({"tags": "team"}, "Write tags as name=value"),
        ({"name": ""}, "This field is required"),
    ):
        assert words in client.post("/keys/new", asked(project, **fields)).content.decode()
    assert VirtualKey.objects.count() == 0


def test_a_name_that_is_taken_is_told_beside_the_field(project: Project) -> None:
    _, client = visitor("owner", project)
    row = key_of(project, "App")
    answer = client.post("/keys/new", asked(project))
    assert (answer.context["form"].errors.get("name"), VirtualKey.objects.count()) == (
        ["The project has a key of this name. Choose another, so that they can be told apart."], 1,
    )  # fmt: skip
    client.post(f"/keys/{row.shown_id}/revoke", {"name": "App"})
    assert (told(client.post("/keys/new", asked(project)))[:7], VirtualKey.objects.count()) == ("sgw_vk_", 2)


def test_a_key_is_rotated_paused_resumed_and_revoked_by_typing_its_name(project: Project) -> None:
    _, client = visitor("owner", project)
    row = key_of(project, "app <b>")
    path = f"/keys/{row.shown_id}"
    new = told(client.post(f"{path}/rotate", {"overlap_hours": "24"}))
    row.refresh_from_db()
    assert (credentials.is_good(row, new.encode(), settings.peppers), row.previous_until is not None) == (True, True)
    states = []
    for verb, form in (("end-overlap", {}), ("suspend", {"reason": "holiday"}), ("resume", {}), ("revoke", {"name": "app"}), ("revoke", {"name": "app <b>"})):
        answer = client.post(f"{path}/{verb}", form)
        row.refresh_from_db()
        states.append((answer.status_code, row.state, row.state_reason))
    assert states == [(302, "active", ""), (302, "suspended", "holiday"), (302, "active", ""), (400, "active", ""), (302, "revoked", "")]
    assert row.previous_until is None
    page = client.get(path).content.decode()
    assert ("app &lt;b&gt;" in page, "app <b>" in page, "Rotate" in page, "Revoke" in page) == (True, False, False, False)
    assert AuditEvent.objects.filter(object_id=row.shown_id, face="portal").count() == 5


def test_a_compromised_key_is_revoked_as_such(project: Project) -> None:
    _, client = visitor("owner", project)
    row = key_of(project)
    client.post(f"/keys/{row.shown_id}/revoke", {"name": "app", "compromised": "on", "reason": "in a ticket"})
    row.refresh_from_db()
    assert (row.state, row.is_compromised, row.state_reason) == ("revoked", True, "in a ticket")


def test_a_foreign_key_is_not_found_and_one_merely_seen_is_not_changed(project: Project) -> None:
    foreign = key_of(Project.objects.create(name="Other", business_unit=project.business_unit), "foreign")
    seen = key_of(project)
    for role in ("developer", "viewer"):
        _, client = visitor(role, project)
        unseen = (client.get(f"/keys/{foreign.shown_id}"), client.post(f"/keys/{foreign.shown_id}/revoke", {"name": "foreign"}))
        assert [answer.status_code for answer in unseen] == [404, 404]
        assert client.get(f"/keys/{seen.shown_id}").status_code == 200
        assert [client.post(f"/keys/{seen.shown_id}/{verb}", {"name": "app"}).status_code for verb in ("rotate", "suspend", "revoke")] == [403] * 3
    assert {key.state for key in VirtualKey.objects.all()} == {"active"}


def test_the_list_is_narrowed_by_the_address_and_empty_lists_say_what_to_do(project: Project) -> None:
    _, client = visitor("viewer", project)
    assert "Join a project as a developer" in client.get("/keys").content.decode()
    credentials.set_state(key_of(project, "gone"), "revoked")
    key_of(project, "there")
    pages = {query: client.get(f"/keys{query}").content.decode() for query in ("", "?state=revoked", "?state=all", f"?project=prj_{project.pk.hex}")}
    assert {query: (">gone<" in page, ">there<" in page) for query, page in pages.items()} == {
        "": (False, True), "?state=revoked": (True, False), "?state=all": (True, True), f"?project=prj_{project.pk.hex}": (False, True),
    }  # fmt: skip


def test_a_key_whose_secret_somebody_who_left_knows_says_so_until_it_is_rotated(project: Project) -> None:
    leaver, _ = visitor("owner", project, "leaver")
    _, client = visitor("owner", project)
    key = key_of(project, created_by=leaver)
    actions.set_users_active([leaver], False)

    def said() -> list[bool]:
        pages = [client.get(address).content.decode() for address in ("/keys", f"/keys/{key.shown_id}")]
        return [">rotate</span>" in page for page in pages]

    before = said()
    credentials.rotate(VirtualKey.objects.get(), pepper=settings.peppers[1], pepper_version=1, overlap=timedelta(0))
    assert (before, said()) == ([True, True], [False, False])


def test_strangers_sign_in_first_and_only_posts_act(project: Project) -> None:
    row = key_of(project)
    assert [Client().get(path).status_code for path in ("/keys", "/keys/new", f"/keys/{row.shown_id}")] == [302] * 3
    _, client = visitor("owner", project)
    assert [client.get(f"/keys/{row.shown_id}/revoke").status_code, client.post(f"/keys/{row.shown_id}/destroy").status_code] == [405, 404]
