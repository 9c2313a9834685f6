"""Every kind that can be asked for has a form: it asks for just that, and changes what was asked; what was given is taken back."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts import grants
from accounts.grants import Asking
from accounts.models import AuditEvent, BusinessUnit, GrantRequest, Membership, Project, VirtualKey
from accounts.requests import asking
from billing.budgets import save_budget, save_limit
from billing.credits import account_of
from billing.models import Budget, CreditGrant, Limit
from billing.standing import usable_credit
from gateway.actions import create_virtual_key
from gateway.forms_requests import FORMS
from gateway.models import Model
from tests.gateway.portal.company import USD, Company, again, company, visitor

pytestmark = pytest.mark.django_db


@pytest.fixture
def here(db: None) -> Company:
    return company()


def key_of(here: Company, models: list[str]) -> VirtualKey:
    return create_virtual_key(project=here.project, name="app", models=models, expires_at=timezone.now() + timedelta(days=9))[0]


def day(days: int) -> str:
    return f"{timezone.now() + timedelta(days=days):%Y-%m-%d}"


def things(here: Company) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Return for each kind the fields of its form, and the request they become."""
    Model.objects.create(name="m")
    Model.objects.create(name="n")
    key, project, unit = key_of(here, ["m"]), f"prj_{here.project.pk.hex}", f"bu_{here.project.business_unit.pk.hex}"
    budget = save_budget(Budget(name="B", project=here.project, mode="hard", period="monthly", amount=USD))
    limit = save_limit(Limit(project=here.project, kind="rpm", amount=60))
    return {
        "credit": ({"scope": project, "amount_usd": "12.5"}, {"target": project, "amount_nanousd": 12_500_000_000}),
        "budget_raise": ({"budget": budget.pk, "amount_usd": "3", "until": day(5)}, {"target": f"bud_{budget.pk}", "amount_nanousd": 3 * USD}),
        "limit": ({"limit": limit.pk, "to": "600"}, {"target": f"lim_{limit.pk}", "parameters": {"to": 600}}),
        "model": ({"project": here.project.pk, "key": key.pk, "model": Model.objects.get(name="n").pk}, {"target": "n", "parameters": {"key": key.shown_id}}),
        "data_class": ({"project": here.project.pk, "data_class": "restricted"}, {"target": "restricted", "parameters": {"project": project}}),
        "production_key": ({"key": key.pk}, {"target": key.shown_id, "environment": "prod"}),
        "join_project": ({"project": here.project.pk, "role": "owner"}, {"target": project, "parameters": {"role": "owner"}}),
        "create_project": (
            {"unit": here.project.business_unit.pk, "name": "New one", "environment": "test"},
            {"target": unit, "parameters": {"name": "New one", "environment": "test"}},
        ),
        "platform_role": ({"role": "finance"}, {"target": "finance"}),
    }


def test_there_is_a_form_for_every_kind_that_is_asked_for() -> None:
    assert set(FORMS) == {kind for kind, grant in grants.kinds().items() if grant.is_asked_for}


@pytest.mark.parametrize("kind", FORMS)
def test_a_form_foresees_files_and_changes_its_kind(here: Company, kind: str) -> None:
    fields, wanted = things(here)[kind]
    browser = here.dev.browser
    assert FORMS[kind].heading in here.dev.page(f"/requests/new/{kind}")
    foreseen = browser.post(f"/requests/new/{kind}", {**fields, "reason": "work", "foresee": "1"}).content.decode()
    assert ("To be approved by" in foreseen, GrantRequest.objects.count()) == (True, 0)
    answer = browser.post(f"/requests/new/{kind}", {**fields, "reason": "work", "file": "1"})
    row = GrantRequest.objects.get()
    assert (answer.status_code, row.kind, {name: getattr(row, name) for name in wanted}) == (302, kind, wanted)
    assert [step.state for step in row.steps.all()] == ["open"]
    form = browser.get(f"/requests/{row.shown_id}/edit").context["form"]
    shown = {name: form[name].value() for name in form.fields if form[name].value() not in (None, "")}
    kept = {name: getattr(value, "pk", value) for name, value in shown.items()}
    sent = {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in kept.items()}
    assert browser.post(f"/requests/{row.shown_id}/edit", {**sent, "reason": "more work", "file": "1"}).status_code == 302
    row = again(row)
    assert (row.version, row.reason, {name: getattr(row, name) for name in wanted}) == (2, "more work", wanted)


def test_a_change_voids_the_approvals_so_far_and_asks_again(here: Company) -> None:
    row = asking.submit(Asking("credit", f"prj_{here.project.pk.hex}", here.dev.user, {}, 50 * USD), "load test")
    assert "Change" in here.dev.page(f"/requests/{row.shown_id}")
    assert "version 2" in here.dev.page(f"/requests/{row.shown_id}/edit")
    sent = {"scope": row.target, "amount_usd": "80", "reason": "longer", "until": day(9), "file": "1"}
    assert here.dev.browser.post(f"/requests/{row.shown_id}/edit", sent).status_code == 302
    row = again(row)
    states = [(step.version, step.state) for step in row.steps.order_by("version")]
    assert (row.version, row.amount_nanousd, row.until is not None, states) == (2, 80 * USD, True, [(1, "closed"), (2, "open")])
    assert here.boss.browser.post(f"/requests/{row.shown_id}/approve", {"version": "1"}).status_code == 400
    page = here.boss.page(f"/approvals/{row.shown_id}")
    assert ('value="80"' in page, "Edited: this is version 2" in page) == (True, True)
    assert here.boss.browser.post(f"/requests/{row.shown_id}/approve", {"version": "2", "amount_usd": "60"}).status_code == 302
    assert CreditGrant.objects.get().amount_nanousd == 60 * USD
    assert "$80.00 asked, $60.00 granted" in here.dev.page(f"/requests/{row.shown_id}")
    assert here.dev.browser.get(f"/requests/{row.shown_id}/edit").status_code == 302


def test_only_whoever_asked_changes_a_request(here: Company) -> None:
    row = asking.submit(Asking("credit", f"prj_{here.project.pk.hex}", here.dev.user, {}, 50 * USD), "load test")
    sent = {"scope": row.target, "amount_usd": "1", "reason": "less", "file": "1"}
    assert here.boss.browser.post(f"/requests/{row.shown_id}/edit", sent).headers["Location"] == f"/requests/{row.shown_id}"
    assert visitor("eve").browser.post(f"/requests/{row.shown_id}/edit", sent).status_code == 404
    row = again(row)
    assert (row.version, row.amount_nanousd) == (1, 50 * USD)


def test_a_question_is_answered_where_it_is_asked(here: Company) -> None:
    row = asking.submit(Asking("credit", f"prj_{here.project.pk.hex}", here.dev.user, {}, 50 * USD), "load test")
    here.boss.browser.post(f"/requests/{row.shown_id}/ask", {"version": "1", "comment": "what for?"})
    page = here.dev.page(f"/requests/{row.shown_id}")
    assert ("You are asked for more information" in page, "what for?" in page) == (True, True)
    here.dev.browser.post(f"/requests/{row.shown_id}/comment", {"text": "for Friday"})
    assert (again(row).state, "for Friday" in here.boss.page(f"/approvals/{row.shown_id}")) == ("submitted", True)


def test_what_was_given_is_taken_back_by_who_decided_it_and_nobody_else(here: Company) -> None:
    row = asking.submit(Asking("credit", f"prj_{here.project.pk.hex}", here.dev.user, {}, 50 * USD), "load test")
    here.boss.browser.post(f"/requests/{row.shown_id}/approve", {"version": "1", "amount_usd": "50"})
    assert ("Take it back" in here.dev.page(f"/requests/{row.shown_id}"), "Take it back" in here.boss.page(f"/requests/{row.shown_id}")) == (False, True)
    assert here.dev.browser.post(f"/requests/{row.shown_id}/take-back", {"reason": "mine"}).status_code == 400
    assert here.boss.browser.post(f"/requests/{row.shown_id}/take-back", {"reason": ""}).status_code == 400
    assert again(row).state == "applied"
    assert here.boss.browser.post(f"/requests/{row.shown_id}/take-back", {"reason": "the test was called off"}).status_code == 302
    account = account_of(here.project)
    assert (again(row).state, usable_credit([account])) == ("revoked", {account.id: 0})
    assert AuditEvent.objects.filter(action="request.take_back", face="portal").exists()


def test_the_address_fills_in_a_form_with_what_is_ones_own(here: Company) -> None:
    foreign, project = company_of_others(), f"prj_{here.project.pk.hex}"
    for name in ("project", "scope"):
        form = here.dev.browser.get(f"/requests/new/credit?{name}={project}&amount_usd=50&reason=%3Cb%3E").context["form"]
        assert (form["scope"].value(), form["amount_usd"].value(), form["reason"].value()) == (project, "50", "<b>")
        for wrong in (f"prj_{foreign}", "prj_x", "prj_", "\0", "x" * 5000):
            assert here.dev.browser.get("/requests/new/credit", {name: wrong}).context["form"]["scope"].value() is None
    Model.objects.create(name="m")
    assert here.dev.browser.get("/requests/new/model?model=m").context["form"]["model"].value() == Model.objects.get().pk
    key = key_of(here, ["m"])
    form = here.dev.browser.get(f"/requests/new/model?key={key.shown_id}&model=m").context["form"]
    assert [form[name].value() for name in ("project", "key", "model")] == [here.project.pk, key.pk, Model.objects.get().pk]


def test_the_address_of_a_refused_call_asks_for_what_its_budget_belongs_to(here: Company) -> None:
    key, unit = key_of(here, ["*"]), here.project.business_unit
    scopes = {"project": here.project, "key": key, "business_unit": unit}
    budgets = {name: save_budget(Budget(name=name, mode="hard", period="total", amount=USD, **{name: row})) for name, row in scopes.items()}
    wanted = {"project": f"prj_{here.project.pk.hex}", "key": key.shown_id, "business_unit": f"bu_{unit.pk.hex}"}
    for name, budget in budgets.items():
        form = here.dev.browser.get(f"/requests/new/credit?budget=bud_{budget.pk}").context["form"]
        assert form["scope"].value() == wanted[name]
        answer = here.dev.browser.post("/requests/new/credit", {"scope": wanted[name], "amount_usd": "5", "reason": "more", "file": "1"})
        assert (answer.status_code, GrantRequest.objects.latest("created_at").target) == (302, wanted[name])
    eve = visitor("eve")
    form = eve.browser.get(f"/requests/new/credit?budget=bud_{budgets['project'].pk}").context["form"]
    assert (form["scope"].value(), form.fields["scope"].choices) == (None, [])
    foreign = eve.browser.post("/requests/new/credit", {"scope": wanted["business_unit"], "amount_usd": "5", "reason": "more", "file": "1"})
    assert (foreign.status_code, GrantRequest.objects.count()) == (200, 3)


def company_of_others() -> str:
    return str(Project.objects.create(name="Q", business_unit=BusinessUnit.objects.create(name="V"), is_listed=False).pk.hex)


def test_a_form_without_anything_to_choose_says_so(here: Company) -> None:
    assert "nothing to choose under “Limit”" in here.dev.page("/requests/new/limit")
    assert "nothing to choose under “For”" in visitor("eve").page("/requests/new/credit")


def test_a_key_of_another_project_is_refused(here: Company) -> None:
    fields, _ = things(here)["model"]
    other = visitor("both", project=here.project, role="developer")
    project = Project.objects.create(name="Q", business_unit=BusinessUnit.objects.create(name="V"))
    Membership.objects.create(user=other.user, project=project, role="developer")
    answer = other.browser.post("/requests/new/model", {**fields, "project": project.pk, "reason": "r", "file": "1"})
    assert ("This key belongs to P" in answer.content.decode(), GrantRequest.objects.count()) == (True, 0)


def test_who_decides_about_roles_and_production_proves_first_to_be_there(here: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    key, admin = key_of(here, ["*"]), visitor("it", role="it_admin")
    monkeypatch.setattr("accounts.signin.stepup.is_fresh", lambda request: False)
    for kind, target, who in (("platform_role", "finance", admin), ("production_key", key.shown_id, here.boss)):
        row = asking.submit(Asking(kind, target, here.dev.user), "work")
        led = who.browser.post(f"/requests/{row.shown_id}/approve", {"version": "1"})
        told = who.browser.post(f"/api/v1/access-requests/{row.shown_id}/approve", {}, content_type="application/json")
        assert (led.headers["Location"].startswith("/login/confirm"), told.status_code, told.json()["code"]) == (True, 403, "step_up_required")
        assert again(row).state == "submitted"
    row = asking.submit(Asking("join_project", f"prj_{here.project.pk.hex}", visitor("new").user), "work")
    assert here.boss.browser.post(f"/requests/{row.shown_id}/approve", {"version": "1"}).headers["Location"] == f"/requests/{row.shown_id}"
    assert again(row).state == "applied"
