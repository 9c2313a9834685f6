"""Asking and deciding in the portal: what would become of it first, nobody their own, an edit in between, nothing foreign."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import access
from accounts.grants import Asking
from accounts.models import ApprovalRule, AuditEvent, BusinessUnit, GrantRequest, Membership, Project, User
from accounts.requests import asking
from billing.models import Budget, CreditGrant

pytestmark = pytest.mark.django_db
USD = 10**9


def person(name: str, **place: Any) -> tuple[User, Client]:
    user, client = User.objects.create_user(f"{name}@example.com"), Client()
    if place:
        Membership.objects.create(user=user, **place)
    client.force_login(user)
    return user, client


@pytest.fixture
def project(db: None) -> Project:
    ApprovalRule.objects.all().delete()
    return Project.objects.create(name="P", business_unit=BusinessUnit.objects.create(name="U"))


@pytest.fixture
def dev(project: Project) -> tuple[User, Client]:
    return person("dev", project=project, role="developer")


@pytest.fixture
def boss(project: Project) -> tuple[User, Client]:
    return person("boss", business_unit=project.business_unit, role="manager")


def credit(project: Project, amount: str = "50", **more: str) -> dict[str, str]:
    return {"scope": f"prj_{project.pk.hex}", "amount_usd": amount, "reason": "load <b>test</b>", **more}


def again(row: GrantRequest) -> GrantRequest:
    return GrantRequest.objects.get(pk=row.pk)


def asked(dev: tuple[User, Client], project: Project) -> GrantRequest:
    return asking.submit(Asking("credit", f"prj_{project.pk.hex}", dev[0], {}, 50 * USD), "load test")


def test_what_would_become_of_a_request_is_shown_and_nothing_is_stored(dev: tuple[User, Client], boss: tuple[User, Client], project: Project) -> None:
    page = dev[1].post("/requests/new/credit", credit(project, foresee="1")).content.decode()
    assert ("managers of the unit" in page, GrantRequest.objects.count()) == (True, 0)


def test_a_request_is_sent_decided_and_carried_out(dev: tuple[User, Client], boss: tuple[User, Client], project: Project) -> None:
    answer = dev[1].post("/requests/new/credit", credit(project, file="1"))
    row = GrantRequest.objects.get()
    assert (answer.status_code, answer.headers["Location"], row.state) == (302, f"/requests/{row.shown_id}", "submitted")
    inbox = boss[1].get("/approvals").content.decode()
    assert (row.title in inbox, "load &lt;b&gt;test" in inbox, "<b>test" in inbox) == (True, True, False)
    page = boss[1].get(f"/approvals/{row.shown_id}").content.decode()
    assert ("Your decision" in page, "load &lt;b&gt;test" in page) == (True, True)
    decision = {"version": "1", "comment": "enough", "amount_usd": "20"}
    assert boss[1].post(f"/requests/{row.shown_id}/approve", decision).status_code == 302
    row = again(row)
    assert (row.state, row.granted_nanousd, CreditGrant.objects.get().amount_nanousd) == ("applied", 20 * USD, 20 * USD)
    event = AuditEvent.objects.filter(action="request.approve").latest("seq")
    assert (event.actor_id, event.face) == (f"usr_{boss[0].pk.hex}", "portal")
    assert "Nothing waits for you" in boss[1].get("/approvals").content.decode()


def test_nobody_decides_their_own_request(boss: tuple[User, Client], project: Project) -> None:
    row = asked(boss, project)
    page = boss[1].get(f"/requests/{row.shown_id}").content.decode()
    answer = boss[1].post(f"/requests/{row.shown_id}/approve", {"version": "1"})
    row = again(row)
    assert ("Your decision" in page, answer.status_code, row.state, CreditGrant.objects.count()) == (False, 400, "submitted", 0)


def test_a_decision_counts_for_the_version_that_was_read(dev: tuple[User, Client], boss: tuple[User, Client], project: Project) -> None:
    row = asked(dev, project)
    asking.edit(row, dev[0], amount_nanousd=500 * USD)
    answer = boss[1].post(f"/requests/{row.shown_id}/approve", {"version": "1"})
    assert (answer.status_code, "was edited" in answer.content.decode(), CreditGrant.objects.count()) == (400, True, 0)


def test_denying_needs_a_reason_and_asking_back_waits_for_an_answer(dev: tuple[User, Client], boss: tuple[User, Client], project: Project) -> None:
    row = asked(dev, project)
    assert boss[1].post(f"/requests/{row.shown_id}/deny", {"version": "1"}).status_code == 400
    assert boss[1].post(f"/requests/{row.shown_id}/ask", {"version": "1", "comment": "what for?"}).status_code == 302
    row = again(row)
    assert (row.state, "what for?" in dev[1].get(f"/requests/{row.shown_id}").content.decode()) == ("needs_info", True)
    assert dev[1].post(f"/requests/{row.shown_id}/comment", {"text": "a load test"}).status_code == 302
    row = again(row)
    assert row.state == "submitted"
    assert boss[1].post(f"/requests/{row.shown_id}/deny", {"version": "1", "comment": "next month"}).status_code == 302
    row = again(row)
    assert (row.state, CreditGrant.objects.count()) == ("denied", 0)


def test_whoever_asked_withdraws_and_nobody_else(dev: tuple[User, Client], boss: tuple[User, Client], project: Project) -> None:
    row = asked(dev, project)
    boss[1].post(f"/requests/{row.shown_id}/withdraw")
    row = again(row)
    assert row.state == "submitted"
    dev[1].post(f"/requests/{row.shown_id}/withdraw")
    row = again(row)
    assert row.state == "withdrawn"


def test_a_foreign_request_is_not_found_and_not_listed(dev: tuple[User, Client], project: Project) -> None:
    row = asked(dev, project)
    _, stranger = person("eve")
    pages = [stranger.get(f"/requests/{row.shown_id}"), stranger.get(f"/approvals/{row.shown_id}")]
    pages += [stranger.post(f"/requests/{row.shown_id}/{verb}", {"version": "1"}) for verb in ("approve", "deny", "ask", "withdraw", "comment")]
    assert [page.status_code for page in pages] == [404] * 7
    assert row.title not in stranger.get("/requests").content.decode()
    wrong = (f"/requests/arq_{row.pk.hex}", f"/requests/{row.shown_id}x", "/requests/crq_", "/requests/new/gold")
    assert [dev[1].get(path).status_code for path in wrong] == [404] * 4


def test_forms_offer_and_take_only_what_is_ones_own(dev: tuple[User, Client], project: Project) -> None:
    foreign = Project.objects.create(name="Hidden", business_unit=BusinessUnit.objects.create(name="V"), is_listed=False)
    for kind in ("credit", "model", "join_project"):
        assert "Hidden" not in dev[1].get(f"/requests/new/{kind}").content.decode()
    answer = dev[1].post("/requests/new/credit", credit(foreign, file="1"))
    assert (answer.status_code, GrantRequest.objects.count(), access.visible_projects(dev[0]).count()) == (200, 0, 1)


@pytest.mark.parametrize("amount", ["", "-1", "NaN", "1e400", "0"])
def test_an_amount_that_is_none_is_refused_in_the_form(dev: tuple[User, Client], project: Project, amount: str) -> None:
    assert dev[1].post("/requests/new/credit", credit(project, amount, file="1")).status_code == 200
    assert GrantRequest.objects.count() == 0


def test_an_act_of_two_people_asks_the_second_for_a_fresh_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.signin.stepup.is_fresh", lambda request: False)
    admin, client = person("it")
    User.objects.filter(pk=admin.pk).update(role="it_admin")
    client.force_login(User.objects.get(pk=admin.pk))
    row = GrantRequest.objects.create(kind="act.role", target="usr_1", title="Role", reason="r", expires_at="2100-01-01T00:00:00Z", parameters={})
    answer = client.post(f"/requests/{row.shown_id}/approve", {"version": "1"})
    assert (answer.status_code, "/login/confirm" in answer.headers.get("Location", "")) == (302, True)


def test_what_is_gone_meanwhile_keeps_nothing_else_from_the_inbox(dev: tuple[User, Client], boss: tuple[User, Client], project: Project) -> None:
    budget = Budget.objects.create(name="B", project=project, mode="hard", period="monthly", amount=USD)
    wanted = Asking("budget_raise", f"bud_{budget.pk}", dev[0], {}, USD, timezone.now() + timedelta(days=3))
    gone, other = asking.submit(wanted, "sale"), asked(dev, project)
    Budget.objects.update(is_archived=True)
    page = boss[1].get("/approvals").content.decode()
    assert [row.shown_id in page for row in (gone, other)] == [True, True]
    assert ["This budget is gone." in boss[1].get(f"/{where}/{gone.shown_id}").content.decode() for where in ("approvals", "requests")] == [True, True]
    api = boss[1].get("/api/v1/approvals", headers={"host": "localhost"})
    assert (api.status_code, len(api.json()["data"])) == (200, 2)
