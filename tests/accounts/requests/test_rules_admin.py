"""Approval rules and delegations in the admin: made whole, ordered, switched, foreseen; a seat is its owner's to lend."""

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import ApprovalRule, AuditEvent, Delegation, RuleStep, User
from accounts.requests import rules
from tests.accounts.requests.people import USD, company, credit, delegate, rule, user

pytestmark = pytest.mark.django_db
LIST = reverse("admin:accounts_approvalrule_changelist")
FORM = {
    "name": "Large credit", "position": "5", "is_active": "on", "kinds": ["credit"], "business_unit": "", "environment": "", "up_to_nanousd": "1000.50",
    "cap_nanousd": "", "cap_days": "30", "remind_days": "1", "escalate_days": "3", "expire_days": "15",
}  # fmt: skip


def steps(*rows: dict[str, Any], initial: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = {"steps-TOTAL_FORMS": len(rows), "steps-INITIAL_FORMS": initial}
    for number, row in enumerate(rows):
        for name, value in {"position": number + 1, "quorum": 1, **row}.items():
            found[f"steps-{number}-{name}"] = value
    return found


@pytest.fixture
def people() -> SimpleNamespace:
    ApprovalRule.objects.all().delete()
    return company()


@pytest.fixture
def client(people: SimpleNamespace) -> Client:
    found = Client()
    found.force_login(people.it)
    return found


def stored() -> list[tuple[str, list[str], int]]:
    return list(RuleStep.objects.values_list("approver", "roles", "quorum"))


def test_a_rule_is_made_with_its_steps_in_one_act(client: Client, people: SimpleNamespace) -> None:
    two = steps({"approver": "manager"}, {"approver": "people", "people": [str(people.boss.pk), str(people.owner.pk)], "quorum": 2})
    answer = client.post(reverse("admin:accounts_approvalrule_add"), {**FORM, **two})
    assert answer.status_code == 302
    made = ApprovalRule.objects.get()
    assert (made.name, made.kinds, made.up_to_nanousd, stored()) == ("Large credit", ["credit"], 1_000_500_000_000, [("manager", [], 1), ("people", [], 2)])
    assert AuditEvent.objects.filter(action="approval-rule.save", face="admin").exists()


def test_steps_that_do_not_go_with_the_rule_are_refused_and_nothing_is_stored(client: Client) -> None:
    for wrong, said in (
        ({**FORM, **steps({"approver": "role"})}, "names some of"),
        ({**FORM, **steps({"approver": "manager"}), "is_automatic": "on"}, "has no steps"),
        ({**FORM, **steps(), "is_automatic": "on", "up_to_nanousd": ""}, "needs an amount"),
        ({**FORM, **steps(), "is_automatic": "on", "kinds": ["act.role"]}, "second person"),
        ({**FORM, **steps(), "kinds": ["nonsense"]}, "nonsense is not one of"),
    ):
        answer: Any = client.post(reverse("admin:accounts_approvalrule_add"), wrong)
        assert (answer.status_code, said in answer.content.decode()) == (200, True), said
    assert ApprovalRule.objects.count() == 0


def test_a_change_replaces_steps_and_requests_under_way_keep_theirs(client: Client, people: SimpleNamespace) -> None:
    made = rules.save_rule(ApprovalRule(name="r", kinds=["credit"]), [rules.Step("role", ["finance"])])
    row = credit(people.dev, people.project)
    old = made.steps.get()
    page = reverse("admin:accounts_approvalrule_change", args=[made.pk])
    assert client.get(page).status_code == 200
    again = steps({"id": old.pk, "rule": str(made.pk), "approver": "role", "roles": ["it_admin"]}, initial=1)
    assert client.post(page, {**FORM, "name": "r2", **again}).status_code == 302
    assert (stored(), [(step.approver, step.roles) for step in row.steps.all()]) == ([("role", ["it_admin"], 1)], [("role", ["finance"])])
    gone = steps({"id": RuleStep.objects.get().pk, "rule": str(made.pk), "approver": "role", "roles": ["it_admin"], "DELETE": "on"}, initial=1)
    assert (client.post(page, {**FORM, **gone}).status_code, stored()) == (302, [])


def test_rules_are_switched_and_ordered_in_the_list(client: Client) -> None:
    first, second = (rules.save_rule(ApprovalRule(name=name, kinds=["credit"], position=number), []) for name, number in (("a", 1), ("b", 2)))
    client.post(LIST, {"action": "switch_off", "_selected_action": [str(first.pk), str(second.pk)]})
    client.post(LIST, {"action": "switch_on", "_selected_action": [str(second.pk)]})
    moved: dict[str, Any] = {"form-TOTAL_FORMS": 2, "form-INITIAL_FORMS": 2}
    for number, (row, position) in enumerate(((first, 9), (second, 2))):
        moved |= {f"form-{number}-id": str(row.pk), f"form-{number}-position": position}
    assert client.post(LIST, {**moved, "_save": "Save", "form-0-is_automatic": "on", "form-0-name": "smuggled"}).status_code == 302
    assert list(ApprovalRule.objects.values_list("name", "position", "is_active", "is_automatic")) == [("b", 2, True, False), ("a", 9, False, False)]
    done = AuditEvent.objects.filter(action__startswith="approval-rule.").order_by("seq").values_list("action", flat=True)
    assert list(done)[-4:] == ["approval-rule.disable", "approval-rule.disable", "approval-rule.enable", "approval-rule.save"]


def test_changing_rules_takes_a_fresh_proof(client: Client) -> None:
    made = rules.save_rule(ApprovalRule(name="a", kinds=["credit"]), [])
    session = client.session
    session["proved_at"] = 0
    session.save()
    for target, form in (
        (LIST, {"action": "switch_off", "_selected_action": str(made.pk)}),
        (reverse("admin:accounts_approvalrule_add"), {**FORM, **steps()}),
        (reverse("admin:accounts_approvalrule_change", args=[made.pk]), {**FORM, **steps()}),
    ):
        assert client.post(target, form).headers["Location"].startswith("/login/confirm")
    assert list(ApprovalRule.objects.values_list("name", "is_active")) == [("a", True)]


@pytest.mark.parametrize("role", ["finance", "auditor", "security_officer"])
def test_only_it_writes_rules(role: str, people: SimpleNamespace) -> None:
    made, client = rules.save_rule(ApprovalRule(name="a", kinds=["credit"]), []), Client()
    client.force_login(user("other", role))
    statuses = [
        client.post(reverse("admin:accounts_approvalrule_add"), {**FORM, **steps()}).status_code,
        client.post(reverse("admin:accounts_approvalrule_change", args=[made.pk]), {**FORM, **steps()}).status_code,
        client.post(reverse("admin:accounts_approvalrule_delete", args=[made.pk]), {"post": "yes"}).status_code,
    ]
    client.post(LIST, {"action": "switch_off", "_selected_action": str(made.pk)})
    assert (statuses, list(ApprovalRule.objects.values_list("name", "is_active"))) == ([403] * 3, [("a", True)])


def foreseen(client: Client, **given: str) -> str:
    answer: Any = client.get(reverse("admin:accounts_approvalrule_foresee"), given)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_the_preview_names_who_would_have_to_decide(client: Client, people: SimpleNamespace) -> None:
    rule({"approver": "role", "roles": ["finance"]}, {"approver": "manager"}, up_to_nanousd=100 * USD)
    rule(name="small", position=0, is_automatic=True, up_to_nanousd=5 * USD, cap_nanousd=10 * USD)
    delegate(people.manager, people.owner)
    asked = {"kind": "credit", "project": str(people.project.pk), "asker": people.dev.email}
    small, middle, large = (foreseen(client, **asked, amount=amount) for amount in ("5", "50", "5000"))
    assert "Approved by itself" in small
    assert [name in middle for name in ("finance@example.com", "manager@example.com", "owner@example.com for manager@example.com")] == [True] * 3
    assert ("No rule is about it" in large, "manager@example.com" in large, "boss@example.com" in large) == (True, True, False)
    own = foreseen(client, **{**asked, "asker": people.manager.email}, amount="5000")
    assert ("boss@example.com" in own, "owner@example.com for" in own) == (True, False)


def test_the_preview_takes_a_request_that_is_filed(client: Client, people: SimpleNamespace) -> None:
    row = credit(people.dev, people.project)
    rule({"approver": "role", "roles": ["it_admin"]})
    assert ("it@example.com" in foreseen(client, request=row.shown_id), "no such request" in foreseen(client, request="crq_x")) == (True, True)
    assert "Nobody signs in with this address" in foreseen(client, kind="credit", asker="nobody@example.com")


MOMENTS = {"starts_at_0": "2030-01-01", "starts_at_1": "00:00:00", "ends_at_0": "2030-01-09", "ends_at_1": "00:00:00"}


def test_everybody_here_delegates_their_own_seat_only(people: SimpleNamespace) -> None:
    client = Client()
    client.force_login(people.finance)
    form = {"delegate": str(people.dev.pk), "delegator": str(people.it.pk), "reason": "away", **MOMENTS}
    assert client.post(reverse("admin:accounts_delegation_add"), form).status_code == 302
    made = Delegation.objects.get()
    assert (made.delegator, made.delegate) == (people.finance, people.dev)
    itself: Any = client.post(reverse("admin:accounts_delegation_add"), {**form, "delegate": str(people.finance.pk)})
    assert (itself.status_code, "Name somebody else" in itself.content.decode(), Delegation.objects.count()) == (200, True, 1)


def test_a_second_delegation_of_the_same_days_is_said_in_the_form(people: SimpleNamespace) -> None:
    client = Client()
    client.force_login(people.finance)
    form = {"delegate": str(people.dev.pk), **MOMENTS}
    answers: list[Any] = [client.post(reverse("admin:accounts_delegation_add"), form) for _ in range(2)]
    assert ([answer.status_code for answer in answers], "End that first" in answers[1].content.decode()) == ([302, 200], True)


def test_a_delegation_is_ended_by_either_of_the_two_and_nobody_else(people: SimpleNamespace) -> None:
    row = delegate(people.finance, User.objects.get(pk=people.dev.pk))
    page = reverse("admin:accounts_delegation_act", args=[row.pk, "end"])
    it, finance = Client(), Client()
    it.force_login(people.it)
    finance.force_login(people.finance)
    assert (it.post(page).status_code, Delegation.objects.get().ended_at) == (403, None)
    assert (finance.post(page).status_code, Delegation.objects.get().standing) == (302, "over")
