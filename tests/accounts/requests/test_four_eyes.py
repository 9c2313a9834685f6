"""Acts that take two people, tried by every road there is: the row stays as it was until a second person agrees."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from accounts import actions, audit, four_eyes, groups
from accounts.models import AuditEvent, GrantRequest, GroupMapping, OutboxMessage, User
from accounts.requests import asking, deciding, schedule
from billing.budgets import archive, save_budget
from billing.credits import raise_temporarily
from billing.models import Budget, CreditGrant
from gateway.actions import opened_credential, save_provider_account
from gateway.models import ProviderAccount
from tests.accounts.requests.people import USD, company, user
from tests.gateway.api.callers import Caller

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> SimpleNamespace:
    found = company()
    found.security = user("security", "security_officer")
    return found


@pytest.fixture
def by_it(people: SimpleNamespace) -> Iterator[None]:
    with audit.from_here("admin", actor=people.it):
        yield


def approve(request: GrantRequest, person: User) -> GrantRequest:
    with audit.from_here("portal", actor=person):
        return deciding.approve(request, person)


def role_of(person: User) -> str:
    return User.objects.get(pk=person.pk).role


@pytest.mark.parametrize("role", ["it_admin", "security_officer"])
def test_a_privileged_role_waits_for_a_second_person(role: str, people: SimpleNamespace, by_it: None) -> None:
    people.dev.role, people.dev.full_name = role, "Dev"
    saved = actions.save_user(people.dev)
    request = four_eyes.held(saved)
    assert request is not None
    assert (role_of(people.dev), User.objects.get(pk=people.dev.pk).full_name, request.state) == ("", "Dev", "submitted")
    for person in (people.it, people.finance, people.manager, people.dev):
        with pytest.raises(PermissionDenied):
            approve(request, person)
    assert (approve(request, people.security).state, role_of(people.dev)) == ("applied", role)
    assert AuditEvent.objects.filter(object_id=f"usr_{people.dev.pk.hex}", actor_id=f"usr_{people.security.pk.hex}", action="request.approve").exists()


def test_other_roles_need_nobody_else(people: SimpleNamespace, by_it: None) -> None:
    people.dev.role = "auditor"
    assert (four_eyes.held(actions.save_user(people.dev)), role_of(people.dev)) == (None, "auditor")


def test_whoever_gains_cannot_be_the_second_person(people: SimpleNamespace, by_it: None) -> None:
    people.security.role = "it_admin"
    request = four_eyes.held(actions.save_user(people.security))
    assert request is not None
    with pytest.raises(PermissionDenied, match="what is for them"):
        approve(request, people.security)
    assert role_of(people.security) == "security_officer"


def test_a_new_person_gets_the_role_later(people: SimpleNamespace, by_it: None) -> None:
    made = actions.save_user(User(email="new@example.com", role="it_admin"))
    request = four_eyes.held(made)
    assert request is not None and role_of(made) == ""
    approve(request, people.security)
    assert (role_of(made), User.objects.get(pk=made.pk).is_staff) == ("it_admin", True)


def test_the_same_act_filed_again_is_one_request(people: SimpleNamespace, by_it: None) -> None:
    for role in ("it_admin", "it_admin", "security_officer"):
        people.dev.role = role
        actions.save_user(people.dev)
    assert list(GrantRequest.objects.order_by("created_at").values_list("state", "parameters__role")) == [
        ("withdrawn", "it_admin"),
        ("submitted", "security_officer"),
    ]


def test_alone_an_act_waits_a_day_told_to_all_and_cancellable(people: SimpleNamespace) -> None:
    from accounts.models import NotificationChannel

    NotificationChannel.objects.create(name="all", kind="webhook")
    User.objects.filter(pk=people.security.pk).update(is_active=False)
    with time_machine.travel(datetime(2026, 11, 27, 9, tzinfo=UTC), tick=False) as clock:
        with audit.from_here("admin", actor=people.it):
            for person in (people.dev, people.owner):
                person.role = "it_admin"
                actions.save_user(person)
        first, second = GrantRequest.objects.order_by("title")
        assert first.runs_at == datetime(2026, 11, 28, 9, tzinfo=UTC)
        assert OutboxMessage.objects.filter(kind="four-eyes.waiting", severity="critical").count() == 2
        asking.withdraw(second, people.it)
        clock.shift(timedelta(hours=23))
        assert (schedule.pass_time(), role_of(people.dev)) == (0, "")
        clock.shift(timedelta(hours=2))
        assert schedule.pass_time() == 1
    assert (role_of(people.dev), role_of(people.owner)) == ("it_admin", "")


def test_a_second_person_found_meanwhile_has_to_agree(people: SimpleNamespace) -> None:
    User.objects.filter(pk=people.security.pk).update(is_active=False)
    with audit.from_here("admin", actor=people.it):
        people.dev.role = "it_admin"
        actions.save_user(people.dev)
    User.objects.filter(pk=people.security.pk).update(is_active=True)
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        schedule.pass_time()
    assert (role_of(people.dev), GrantRequest.objects.get().runs_at) == ("", None)


def test_nobody_takes_over_the_account_of_the_other_of_two(people: SimpleNamespace, by_it: None) -> None:
    with pytest.raises(ValidationError, match="password"):
        actions.save_user(people.security, "x" * 20)
    people.security.email = "mine@example.com"
    with pytest.raises(ValidationError, match="address"):
        actions.save_user(people.security)
    assert User.objects.get(pk=people.security.pk).email == "security@example.com"


def test_a_group_that_gives_a_privileged_role_waits(people: SimpleNamespace, by_it: None) -> None:
    mapping = groups.save_mapping(GroupMapping(group="admins", role="it_admin"))
    request = four_eyes.held(mapping)
    assert request is not None and GroupMapping.objects.count() == 0
    approve(request, people.security)
    assert GroupMapping.objects.get().role == "it_admin"
    assert four_eyes.held(groups.save_mapping(GroupMapping(group="readers", role="auditor"))) is None


def account() -> ProviderAccount:
    return save_provider_account(ProviderAccount(slug="acme", name="Acme", provider="openai", base_url="http://127.0.0.1:9001/v1"), "first-credential")


def test_a_credential_goes_to_another_host_only_by_two(people: SimpleNamespace) -> None:
    row = account()
    with audit.from_here("admin", actor=people.it):
        row.base_url, row.name = "http://127.0.0.1:9002/v1", "Renamed"
        request = four_eyes.held(save_provider_account(row, "second-credential"))
    stored = ProviderAccount.objects.get()
    assert request is not None
    assert (stored.base_url, stored.name, opened_credential(stored)) == ("http://127.0.0.1:9001/v1", "Renamed", "first-credential")
    assert "second-credential" not in str(GrantRequest.objects.values()) + str(list(AuditEvent.objects.values_list("texts", flat=True)))
    approve(request, people.security)
    stored = ProviderAccount.objects.get()
    assert (stored.base_url, opened_credential(stored)) == ("http://127.0.0.1:9002/v1", "second-credential")


def budgets(people: SimpleNamespace) -> Budget:
    save_budget(Budget(name="unit", business_unit=people.unit, amount=100 * USD))
    return save_budget(Budget(name="project", project=people.project, amount=50 * USD))


def test_a_budget_above_its_units_limit_takes_two(people: SimpleNamespace, by_it: None) -> None:
    budget = budgets(people)
    budget.amount = 90 * USD
    assert four_eyes.held(save_budget(budget, people.it, "more")) is None
    budget.amount, budget.name = 200 * USD, "renamed"
    request = four_eyes.held(save_budget(budget, people.it, "even more"))
    assert request is not None
    assert (Budget.objects.get(pk=budget.pk).amount, Budget.objects.get(pk=budget.pk).name) == (90 * USD, "renamed")
    approve(request, people.finance)
    assert Budget.objects.get(pk=budget.pk).amount == 200 * USD


def test_no_other_way_around_the_units_limit(people: SimpleNamespace, by_it: None) -> None:
    budget = budgets(people)
    until = timezone.now() + timedelta(days=1)
    assert (archive(budget, people.it, "x"), raise_temporarily(budget, 60 * USD, until, people.it, "x")) == (False, None)
    for field, value in (("mode", "soft"), ("period", "daily")):
        row = Budget.objects.get(pk=budget.pk)
        setattr(row, field, value)
        assert four_eyes.held(save_budget(row, people.it, "x")) is not None
    stored = Budget.objects.get(pk=budget.pk)
    assert (stored.is_archived, stored.mode, stored.period, CreditGrant.objects.count()) == (False, "hard", "monthly", 0)


def test_the_api_says_what_waits(people: SimpleNamespace) -> None:
    budget = budgets(people)
    it = Caller(user=people.it)
    answer = it.patch(f"budgets/bud_{budget.pk}", {"amount": "500", "reason": "sale"})
    assert (answer.status_code, answer.json()["amount"], answer.headers["X-Sgw-Waits-For"][:4]) == (202, "50.00", "arq_")
    raised = it.post(f"budgets/bud_{budget.pk}/raise", {"amount": "500", "until": "2030-01-01T00:00:00Z", "reason": "sale"})
    assert (raised.status_code, CreditGrant.objects.count()) == (202, 0)
    finance = Caller(user=people.finance)
    waiting = raised.headers["X-Sgw-Waits-For"]
    assert it.post(f"access-requests/{waiting}/approve", {}).status_code == 403
    assert finance.post(f"approvals/{waiting}/approve", {}).json()["state"] == "applied"
    assert CreditGrant.objects.get().amount_nanousd == 500 * USD


def test_the_admin_says_what_waits(people: SimpleNamespace, client: Any) -> None:
    client.force_login(people.it)
    page = f"/admin/accounts/user/{people.dev.pk}/change/"
    form = {"email": people.dev.email, "full_name": "Dev", "role": "it_admin", "is_active": "on", "new_password": ""}
    answer = client.post(page, form, follow=True, headers={"host": "localhost"})
    assert "waits for a second person" in answer.content.decode()
    assert (role_of(people.dev), GrantRequest.objects.get().requester) == ("", people.it)


def test_acts_cannot_be_asked_for_nor_approved_by_a_rule(people: SimpleNamespace, by_it: None) -> None:
    from accounts.grants import Asking
    from accounts.models import ApprovalRule
    from accounts.requests.rules import save_rule

    with pytest.raises(ValidationError, match="not asked for"):
        asking.submit(Asking("act.role", f"usr_{people.dev.pk.hex}", people.dev), "please")
    with pytest.raises(ValidationError, match="second person"):
        save_rule(ApprovalRule(name="x", kinds=["act.role"], is_automatic=True, up_to_nanousd=0), [])
    ApprovalRule.objects.create(name="smuggled", position=0, kinds=["act.role"], is_automatic=True, up_to_nanousd=0)
    people.dev.role = "it_admin"
    request = four_eyes.held(actions.save_user(people.dev))
    assert request is not None and (request.state, role_of(people.dev)) == ("submitted", "")


def test_the_hosts_operator_needs_nobody(people: SimpleNamespace) -> None:
    with audit.from_here("command"):
        people.dev.role = "it_admin"
        assert four_eyes.held(actions.save_user(people.dev)) is None
    assert role_of(people.dev) == "it_admin"
