"""Which rule a request falls under, and what is approved without anybody."""

import threading
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connections

from accounts.grants import Asking
from accounts.models import ApprovalRule, BusinessUnit, GrantRequest, Project
from accounts.requests import asking, deciding
from accounts.requests.approvers import open_step
from accounts.requests.welcome import welcome
from billing.models import Budget, CreditAccount, CreditGrant
from billing.standing import usable_credit
from tests.accounts.requests.people import USD, company, credit, rule, user


def granted() -> list[int]:
    return list(CreditGrant.objects.order_by("id").values_list("amount_nanousd", flat=True))


@pytest.mark.django_db
def test_a_rule_approves_by_itself_within_its_limit_and_cap() -> None:
    people = company()
    rule(name="auto", is_automatic=True, up_to_nanousd=5 * USD, cap_nanousd=9 * USD)
    states = [credit(people.dev, people.project, usd).state for usd in (5, 6, 4, 1)]
    assert (states, granted()) == (["applied", "submitted", "applied", "submitted"], [5 * USD, 4 * USD])
    first = GrantRequest.objects.order_by("created_at").first()
    assert first is not None
    assert [(note.what, note.text) for note in first.notes.all()] == [("submitted", "Load test"), ("approved", "by the rule “auto”"), ("applied", "")]
    other = Project.objects.create(name="Q", business_unit=people.unit)
    assert credit(people.it, other, 5).state == "applied"


@pytest.mark.django_db
def test_rules_are_tried_in_order_and_by_all_their_conditions() -> None:
    people = company()
    elsewhere = BusinessUnit.objects.create(name="Elsewhere")
    rule({"approver": "manager"}, name="other kind", kinds=["model"])
    rule({"approver": "manager"}, name="other unit", position=2, business_unit=elsewhere)
    rule({"approver": "manager"}, name="other environment", position=3, environment="prod")
    rule({"approver": "manager"}, name="too small", position=4, up_to_nanousd=USD)
    rule({"approver": "manager"}, name="asleep", position=5, is_active=False)
    rule({"approver": "role", "roles": ["finance"]}, name="above", position=6, business_unit=people.top)
    request = credit(people.dev, people.project)
    assert (str(request.rule), open_step(request).approver) == ("above", "role")  # type: ignore[union-attr]


@pytest.mark.django_db
def test_an_edit_above_the_automatic_limit_goes_to_people() -> None:
    people = company()
    rule({"approver": "manager"}, name="hand", position=2)
    request = credit(people.dev, people.project)
    rule(name="auto", is_automatic=True, up_to_nanousd=5 * USD)
    assert asking.edit(request, people.dev, amount_nanousd=6 * USD).state == "submitted"
    assert asking.edit(request, people.dev, amount_nanousd=5 * USD).state == "applied"


@pytest.mark.django_db
def test_no_rule_alone_gives_a_platform_role() -> None:
    people = company()
    rule(name="generous", kinds=["platform_role"], is_automatic=True, up_to_nanousd=0)
    request = asking.submit(Asking("platform_role", "it_admin", people.dev), "please")
    assert (request.state, str(request.rule)) == ("submitted", "Platform roles")
    people.dev.refresh_from_db()
    assert people.dev.role == ""


@pytest.mark.django_db
def test_a_first_sign_in_gives_a_sandbox_with_prepaid_credit_once() -> None:
    newcomer = user("new")
    request = welcome(newcomer)
    assert request is not None
    project = Project.objects.get()
    budget = Budget.objects.get()
    account = CreditAccount.objects.get(project=project)
    assert (request.state, project.name, project.is_listed, project.environment) == ("applied", "Sandbox of new@example.com", False, "dev")
    assert (project.memberships.get().user, project.memberships.get().role) == (newcomer, "owner")
    assert (budget.mode, budget.period, budget.amount, usable_credit([account])) == ("hard", "total", 0, {account.id: 5 * USD})
    assert (welcome(newcomer), Project.objects.count()) == (None, 1)


@pytest.mark.django_db
def test_no_sandbox_for_those_who_have_a_place_or_a_role_or_without_a_rule() -> None:
    people = company()
    assert [welcome(person) for person in (people.dev, people.manager, people.it)] == [None] * 3
    ApprovalRule.objects.all().delete()
    assert welcome(user("late")) is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "fields", "said"),
    [
        ("nonsense", {}, "no kind"),
        ("sandbox", {"amount_nanousd": 1}, "not asked for"),
        ("credit", {}, "how much"),
        ("credit", {"amount_nanousd": USD, "target": "prj_" + "0" * 32}, "not yours to see"),
        ("credit", {"amount_nanousd": 2**61}, "more than can be given"),
        ("credit", {"amount_nanousd": USD, "parameters": {"x": "y"}}, "no parameter"),
        ("join_project", {"amount_nanousd": USD}, "no amount"),
        ("join_project", {"target": "prj_x"}, "no such project"),
        ("join_project", {"parameters": {"role": "king"}}, "one of"),
        ("join_project", {"parameters": {"role": {"a": 1}}}, "texts"),
        ("create_project", {"target": "bu_" + "0" * 32}, "no such business unit"),
        ("platform_role", {"target": "god"}, "one of"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_in_words(kind: str, fields: dict[str, Any], said: str) -> None:
    people = company()
    with pytest.raises(ValidationError, match=said):
        asking.submit(Asking(kind, **{"target": f"prj_{people.project.pk.hex}", "actor": people.dev, **fields}), "why")
    assert GrantRequest.objects.count() == 0


@pytest.mark.django_db
def test_a_request_says_why() -> None:
    people = company()
    with pytest.raises(ValidationError, match="why"):
        asking.submit(Asking("credit", f"prj_{people.project.pk.hex}", people.dev, amount_nanousd=USD), " \0 ")


@pytest.mark.django_db
def test_approvers_are_not_flooded(monkeypatch: pytest.MonkeyPatch) -> None:
    people = company()
    monkeypatch.setattr(asking, "MOST_A_DAY", 3)
    for _ in range(3):
        asking.withdraw(credit(people.dev, people.project), people.dev)
    with pytest.raises(ValidationError, match="within a day"):
        credit(people.dev, people.project)
    request = credit(people.owner, people.project)
    for usd in range(asking.MOST_VERSIONS - 1):
        request = asking.edit(request, people.owner, amount_nanousd=(usd + 1) * USD)
    with pytest.raises(asking.OutOfTurn, match="ask anew"):
        asking.edit(request, people.owner, amount_nanousd=USD)


@pytest.mark.django_db
def test_an_unlisted_project_cannot_be_asked_for() -> None:
    people = company()
    stranger = user("stranger")
    wanted = Asking("join_project", f"prj_{people.project.pk.hex}", stranger)
    assert deciding.approve(asking.submit(wanted, "work"), people.manager).state == "applied"
    people.project.is_listed = False
    people.project.save()
    with pytest.raises(ValidationError, match="no such project"):
        asking.submit(Asking("join_project", f"prj_{people.project.pk.hex}", user("other")), "work")


@pytest.mark.django_db(transaction=True)
def test_automatic_requests_at_once_stay_within_the_cap() -> None:
    people = company()
    rule(name="auto", is_automatic=True, up_to_nanousd=5 * USD, cap_nanousd=10 * USD)
    _at_once(lambda: credit(people.dev, people.project, 5), 6)
    assert (granted(), GrantRequest.objects.filter(state="submitted").count()) == ([5 * USD] * 2, 4)


@pytest.mark.django_db(transaction=True)
def test_approvals_at_once_count_once() -> None:
    people = company()
    rule({"approver": "people", "people": [people.manager, people.boss], "quorum": 2})
    request = credit(people.dev, people.project)
    _at_once(lambda: deciding.approve(request, people.manager), 5)
    assert (GrantRequest.objects.get().state, granted()) == ("submitted", [])
    _at_once(lambda: deciding.approve(request, people.boss), 5)
    assert (GrantRequest.objects.get().state, granted()) == ("applied", [20 * USD])


@pytest.mark.django_db(transaction=True)
def test_newcomers_at_once_get_a_sandbox_each_and_no_more() -> None:
    rule(name="sandboxes", kinds=["sandbox"], is_automatic=True, up_to_nanousd=5 * USD)
    newcomers = [user(f"new{number}") for number in range(3)] * 2
    _at_once(lambda: welcome(newcomers.pop()), 6)
    projects = Project.objects.order_by("name")
    assert [(str(project), str(project.business_unit)) for project in projects] == [(f"Sandbox of new{n}@example.com", "Sandboxes") for n in range(3)]
    assert (granted(), BusinessUnit.objects.count()) == ([5 * USD] * 3, 1)


def _at_once(act: Any, times: int) -> None:
    gate = threading.Barrier(times)

    def run() -> None:
        gate.wait()
        try:
            act()
        except ValidationError:
            pass  # all but one are out of turn
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
