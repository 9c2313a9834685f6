"""Changing a key in the portal, and the fresh proof that keys for production need."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import AuditEvent, VirtualKey
from gateway.actions import create_virtual_key
from tests.gateway.portal.company import Company, company, visitor

pytestmark = pytest.mark.django_db


@pytest.fixture
def here(db: None) -> Company:
    return company()


@pytest.fixture
def stale(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr("accounts.signin.stepup.is_fresh", lambda request: False)
    return monkeypatch


def key_of(here: Company, **fields: Any) -> VirtualKey:
    given = {"name": "app", "models": ["*"], "expires_at": timezone.now() + timedelta(days=9), "tags": {"team": "a"}, "allowed_ips": ["10.0.0.0/8"]}
    return create_virtual_key(project=here.project, **(given | fields))[0]


def as_shown(here: Company, row: VirtualKey, **changed: str) -> dict[str, str]:
    form = here.owner.browser.get(f"/keys/{row.shown_id}/edit").context["form"]
    return {name: str(form[name].value() or "") for name in form.fields} | changed


def new(here: Company, **fields: str) -> dict[str, str]:
    day = f"{timezone.now() + timedelta(days=30):%Y-%m-%d}"
    return {"project": str(here.project.pk), "name": "live", "environment": "prod", "expires_on": day, "models": "*", "budget_period": "monthly"} | fields


def test_a_key_is_changed_and_what_stays_stays_to_the_second(here: Company) -> None:
    row = key_of(here)
    before = row.expires_at
    assert "Change" in here.owner.page(f"/keys/{row.shown_id}")
    sent = as_shown(here, row, name="app <2>", tags="team=b, env=x", allowed_ips="")
    answer = here.owner.browser.post(f"/keys/{row.shown_id}/edit", sent)
    row.refresh_from_db()
    assert (answer.status_code, row.name, row.tags, row.allowed_ips, row.expires_at, row.models) == (
        302, "app <2>", {"team": "b", "env": "x"}, [], before, ["*"],
    )  # fmt: skip
    event = AuditEvent.objects.filter(object_id=row.shown_id).latest("seq")
    assert (event.face, sorted(event.texts["changes"]["value"])) == ("portal", ["allowed_ips", "name", "tags"])
    later = f"{before + timedelta(days=2):%Y-%m-%d}"
    here.owner.browser.post(f"/keys/{row.shown_id}/edit", as_shown(here, row, expires_on=later))
    row.refresh_from_db()
    assert f"{row.expires_at:%Y-%m-%d %H:%M}" == f"{later} 23:59"


def test_a_revoked_key_is_not_changed(here: Company) -> None:
    row = key_of(here)
    sent = as_shown(here, row, name="late")
    here.owner.browser.post(f"/keys/{row.shown_id}/revoke", {"name": "app"})
    assert here.owner.browser.post(f"/keys/{row.shown_id}/edit", sent).headers["Location"] == f"/keys/{row.shown_id}"
    assert VirtualKey.objects.get().name == "app"


def test_nothing_changed_is_nothing_recorded(here: Company) -> None:
    row = key_of(here)
    so_far = AuditEvent.objects.count()
    assert here.owner.browser.post(f"/keys/{row.shown_id}/edit", as_shown(here, row)).status_code == 302
    assert AuditEvent.objects.count() == so_far


def test_what_the_action_refuses_stands_in_the_form_and_the_key_is_as_it_was(here: Company) -> None:
    row = key_of(here)
    for changed, words in (
        ({"models": "gone"}, "Not in the catalogue: gone."),
        ({"expires_on": "2199-01-01"}, "allows no longer life"),
        ({"allowed_ips": "nowhere"}, "is no IP range"),
        ({"tags": "team"}, "Write tags as name=value"),
    ):
        answer = here.owner.browser.post(f"/keys/{row.shown_id}/edit", as_shown(here, row, **changed))
        assert (answer.status_code, words in answer.content.decode()) == (200, True), changed
    kept = VirtualKey.objects.get()
    assert (kept.models, kept.expires_at, kept.allowed_ips, kept.tags) == (row.models, row.expires_at, row.allowed_ips, row.tags)


def test_who_may_not_change_a_key_does_not_and_a_foreign_one_is_not_found(here: Company) -> None:
    row = key_of(here)
    sent = as_shown(here, row, name="mine")
    assert "Change" not in here.dev.page(f"/keys/{row.shown_id}")
    for who, status in ((here.dev, 403), (visitor("eve"), 404)):
        assert [who.browser.get(f"/keys/{row.shown_id}/edit").status_code, who.browser.post(f"/keys/{row.shown_id}/edit", sent).status_code] == [status] * 2
    mine = key_of(here, name="own", owner=here.dev.user)
    assert here.dev.browser.post(f"/keys/{mine.shown_id}/edit", as_shown(here, mine, name="renamed")).status_code == 302
    to_prod = here.dev.browser.post(f"/keys/{mine.shown_id}/edit", as_shown(here, mine, environment="prod"))
    assert "Developers manage their own keys" in to_prod.content.decode()
    assert list(VirtualKey.objects.order_by("name").values_list("name", "environment")) == [("app", "dev"), ("renamed", "dev")]


def test_a_key_for_production_needs_a_fresh_proof_over_which_the_form_is_kept(here: Company, stale: pytest.MonkeyPatch) -> None:
    browser = here.owner.browser
    sent = new(here, purpose="checkout", rpm="60")
    answer = browser.post("/keys/new", sent, headers={"referer": "http://testserver/keys/new"})
    assert (answer.status_code, answer.headers["Location"], VirtualKey.objects.count()) == (302, "/login/confirm?next=/keys/new", 0)
    form = browser.get("/keys/new").context["form"]
    assert {name: form[name].value() for name in sent} == sent
    assert browser.get("/keys/new").context["form"]["name"].value() is None
    assert browser.post("/keys/new", new(here, environment="test", name="t")).status_code == 200
    stale.undo()
    browser.post("/keys/new", sent)
    assert sorted(VirtualKey.objects.values_list("name", "environment")) == [("live", "prod"), ("t", "test")]


def test_so_does_a_key_that_becomes_one_for_production_and_the_api_for_sessions(here: Company, stale: pytest.MonkeyPatch) -> None:
    row = key_of(here)
    answer = here.owner.browser.post(f"/keys/{row.shown_id}/edit", as_shown(here, row, environment="prod"))
    assert (answer.status_code, answer.headers["Location"].startswith("/login/confirm")) == (302, True)
    body = {"project": f"prj_{here.project.pk.hex}", "name": "live", "models": ["*"], "environment": "prod"}
    made = here.owner.browser.post("/api/v1/keys", body, content_type="application/json")
    changed = here.owner.browser.patch(f"/api/v1/keys/{row.shown_id}", {"environment": "prod"}, content_type="application/merge-patch+json")
    assert [(one.status_code, one.json().get("code")) for one in (made, changed)] == [(403, "step_up_required")] * 2
    assert list(VirtualKey.objects.values_list("name", "environment")) == [("app", "dev")]
    assert here.owner.browser.post("/api/v1/keys", {**body, "environment": "test"}, content_type="application/json").status_code == 201
