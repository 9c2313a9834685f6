"""A document makes the installation what it says, once; a plan shows it first; a broken one changes nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.actions import save_membership, save_user
from accounts.models import ApprovalRule, AuditEvent, BusinessUnit, Membership, NotificationChannel, Project, User
from accounts.outbox import OutboxMessage
from billing.budgets import save_budget
from billing.models import Budget, BudgetChange, Limit
from gateway.governance import Hand, shelf
from gateway.governance.carry import Step, apply, plan
from gateway.governance.document import Refused, read
from gateway.governance.export import export
from gateway.models import Deployment, Model, ProviderAccount
from tests.accounts.notices import SECRET

pytestmark = pytest.mark.django_db

DOCUMENT = """
version: 1
business_units:
- path: [Acme]
- {path: [Acme, Digital], code: "4711"}
projects:
- {name: Checkout, business_unit: [Acme, Digital], environment: prod}
memberships:
- {person: Ada@Example.com, role: owner, project: [Acme, Digital, Checkout]}
- {person: ada@example.com, role: manager, business_unit: [Acme, Digital]}
provider_accounts:
- slug: local
  provider: openai_compatible
  base_url: http://127.0.0.1:9999/v1
  credential: {env: TEST_CREDENTIAL}
  max_parallel: 5
models:
- {name: small, unknown_price: free, description: A small one}
deployments:
- {model: small, account: local, upstream_model: small-8b, weight: 10}
budgets:
- {name: Month, project: [Acme, Digital, Checkout], amount: "1500.00", period: monthly}
- {name: Day, business_unit: [Acme], amount: "20000", unit: tokens, period: daily, mode: soft, thresholds: [50, 90]}
limits:
- {kind: rpm, project: [Acme, Digital, Checkout], amount: 600}
channels:
- name: ticketing
  kind: webhook
  options: {url: "http://127.0.0.1:9999/hook"}
  secret: {env: TEST_SECRET}
  time_zone: Europe/Berlin
  event_types: [key.*]
approval_rules:
- name: Small credit in Acme
  position: 5
  kinds: [credit]
  business_unit: [Acme]
  up_to: "100.00"
  steps:
  - {approver: people, people: [ada@example.com, it@example.com], quorum: 2}
  - {approver: external, channel: ticketing}
"""


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Hand:
    monkeypatch.setenv("TEST_CREDENTIAL", "sk-first-credential")
    monkeypatch.setenv("TEST_SECRET", SECRET)
    ApprovalRule.objects.all().delete()
    save_user(User(email="ada@example.com"))
    return Hand(save_user(User(email="it@example.com", role="it_admin")), "ticket 17")


def carried(hand: Hand, text: str = DOCUMENT, **options: bool) -> list[str]:
    return [f"{step.verb} {step.section} {'/'.join(step.name)}" for step in apply(read(text), hand, **options)]


def planned(hand: Hand, text: str = DOCUMENT, **options: bool) -> list[Step]:
    return plan(read(text), hand, **options)


def test_a_document_makes_everything_once(hand: Hand) -> None:
    assert carried(hand) == [
        "make business_units Acme", "make business_units Acme/Digital", "make projects Acme/Digital/Checkout",
        "make memberships ada@example.com/project/Acme/Digital/Checkout", "make memberships ada@example.com/business unit/Acme/Digital",
        "make provider_accounts local", "make models small", "make deployments small/local/small-8b",
        "make budgets project/Acme/Digital/Checkout/Month", "make budgets business unit/Acme/Day",
        "make limits project/Acme/Digital/Checkout/rpm", "make channels ticketing", "make approval_rules Small credit in Acme",
    ]  # fmt: skip
    project = Project.objects.get()
    assert (project.name, project.environment, project.business_unit.code, str(project.business_unit.parent)) == ("Checkout", "prod", "4711", "Acme")
    assert sorted((m.user.email, m.role) for m in Membership.objects.all()) == [("ada@example.com", "manager"), ("ada@example.com", "owner")]
    assert [(b.name, b.amount, b.unit) for b in Budget.objects.order_by("name")] == [("Day", 20_000, "tokens"), ("Month", 1_500_000_000_000, "nanousd")]
    assert (Deployment.objects.get().weight, NotificationChannel.objects.get().event_types, planned(hand), carried(hand)) == (10, ["key.*"], [], [])


def test_a_plan_does_nothing_and_says_what_would_be(hand: Hand) -> None:
    events, messages = AuditEvent.objects.count(), OutboxMessage.objects.count()
    assert len([step for step in planned(hand) if step.verb == "make"]) == 13
    assert (BusinessUnit.objects.count(), ProviderAccount.objects.count()) == (0, 0)
    assert (AuditEvent.objects.count(), OutboxMessage.objects.count()) == (events, messages)


def test_what_is_exported_changes_nothing_here_and_makes_the_same_elsewhere(hand: Hand) -> None:
    carried(hand)
    text = export()
    assert planned(hand, text) == []
    assert ("sk-first" in text, SECRET in text, "whsec" in text) == (False, False, False)
    assert set(read(text)) == {kind for kind in shelf() if kind.read()}
    Budget.objects.all().delete()
    Limit.objects.all().delete()
    assert [step for step in carried(hand, text) if step.startswith("make")] == [
        "make budgets business unit/Acme/Day", "make budgets project/Acme/Digital/Checkout/Month", "make limits project/Acme/Digital/Checkout/rpm",
    ]  # fmt: skip


def test_drift_is_shown_with_both_values_and_put_right(hand: Hand) -> None:
    carried(hand)
    budget = Budget.objects.get(name="Month")
    budget.amount = 1
    save_budget(budget, None, "by hand")
    Project.objects.update(state="suspended")
    stated = DOCUMENT.replace("environment: prod", "environment: prod, state: active")
    found = planned(hand, stated)
    assert [(step.verb, step.section, step.changes) for step in found] == [
        ("change", "projects", {"state": ("suspended", "active")}),
        ("change", "budgets", {"amount": ("0.000000001", "1500")}),
    ]
    carried(hand, stated)
    assert (planned(hand, stated), Project.objects.get().state) == ([], "active")
    assert BudgetChange.objects.latest("id").reason == "ticket 17"


def test_what_is_not_stated_stays_and_is_shown_until_it_is_pruned(hand: Hand) -> None:
    carried(hand)
    save_membership(Membership(user=save_user(User(email="bob@example.com")), project=Project.objects.get(), role="viewer"))
    less = DOCUMENT.replace('- {name: Day, business_unit: [Acme], amount: "20000", unit: tokens, period: daily, mode: soft, thresholds: [50, 90]}\n', "")
    assert [(step.verb, step.section) for step in planned(hand, less)] == [("keep", "budgets"), ("keep", "memberships")]
    assert carried(hand, less, prune=True) == [
        "remove budgets business unit/Acme/Day", "remove memberships bob@example.com/project/Acme/Digital/Checkout",
    ]  # fmt: skip
    assert (Budget.objects.get(name="Day").is_archived, Membership.objects.filter(user__email="bob@example.com").count()) == (True, 0)
    assert planned(hand, less) == []


def test_a_section_that_is_missing_is_left_alone(hand: Hand) -> None:
    carried(hand)
    assert planned(hand, "version: 1\nmodels:\n- {name: small}\n", prune=True) == []


def test_another_credential_is_a_change_that_is_not_shown(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    carried(hand)
    monkeypatch.setenv("TEST_CREDENTIAL", "sk-second-credential")
    (step,) = planned(hand)
    assert (step.section, step.changes) == ("provider_accounts", {"credential": ("(secret)", "(secret)")})
    carried(hand)
    assert (planned(hand), "second" in str(AuditEvent.objects.latest("seq").texts)) == ([], False)


@pytest.mark.parametrize(
    ("find", "replace", "line", "said"),
    [
        ("version: 1", "version: 2", 1, "version: 1"),
        ("limits:", "limit:", 23, "There is no section 'limit'"),
        ("environment: prod", "environment: production", 6, "projects[0].environment: Invalid enum value 'production'"),
        ("max_parallel: 5", "max_paralel: 5", 11, "max_paralel"),
        ('amount: "1500.00"', "amount: 1500.5", 21, "budgets[0].amount: Expected `str`, got `float`"),
        ('amount: "1500.00"', 'amount: "-1"', 21, "Write dollars"),
        ("kind: rpm, project: [Acme, Digital, Checkout]", "kind: rpm, project: [Acme, Digital, Nowhere]", 24, "There is no project Nowhere"),
        ("Ada@Example.com", "eve@example.com", 8, "Nobody with the address"),
        ("env: TEST_CREDENTIAL", "env: TEST_MISSING", 11, "TEST_MISSING is not set"),
        ("env: TEST_CREDENTIAL", "file: /nowhere", 11, "/nowhere cannot be read"),
        ("provider: openai_compatible", "provider: nobody", 11, "There is no provider"),
        ("- path: [Acme]\n", "- &a {path: [Acme]}\n", 3, "Anchors and aliases"),
        ("- path: [Acme]\n", "- path: [Acme]\n- path: [Acme]\n", 4, "stated twice, first at line 3"),
        ("- path: [Acme]\n", "- path: [Acme\n", 4, "not YAML"),
        ("event_types: [key.*]", "event_types: [KEY]", 26, "These are no types"),
        ("kinds: [credit]", "kinds: [gold]", 33, "Kinds are:"),
        ("it@example.com], quorum", "nobody@example.com], quorum", 33, "Nobody has the address nobody@example.com"),
        ("channel: ticketing}", "channel: other}", 33, "There is no channel other"),
        ("role: owner", "role: it_admin", 8, "memberships[0].role: Invalid enum value 'it_admin'"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_nothing_is_changed(hand: Hand, find: str, replace: str, line: int, said: str) -> None:
    assert find in DOCUMENT
    with pytest.raises(Refused) as refused:
        apply(read(DOCUMENT.strip().replace(find, replace, 1)), hand)
    told = [(mistake.line, mistake.text) for mistake in refused.value.mistakes]
    assert any(at == line and said in text for at, text in told), told
    assert (BusinessUnit.objects.count(), Project.objects.count(), ProviderAccount.objects.count(), Model.objects.count()) == (0, 0, 0, 0)


def test_every_mistake_is_told_at_once(hand: Hand) -> None:
    with pytest.raises(Refused) as refused:
        apply(read(DOCUMENT.replace("Ada@Example.com", "eve@example.com").replace("weight: 10", "weight: 0")), hand)
    assert [mistake.text.split(":")[0] for mistake in refused.value.mistakes] == ["memberships", "deployments"]


@pytest.mark.parametrize("text", ["", "[]", "version: 1\nmodels: {}", "a: b: c", "version: 1\nmodels:\n- 5", "\x00", "? [1]\n: 2", "version: 1\nversion: 1\n"])
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        read(text)


# ---- the commands -----------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "state.yaml"
    path.write_text(DOCUMENT)
    return path


def test_the_command_plans_applies_and_exports(hand: Hand, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as planned_exit:
        call_command("apply", "-f", str(file), "--plan", "--json")
    steps: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert (planned_exit.value.code, len([s for s in steps if s["verb"] == "make"]), Project.objects.count()) == (3, 13, 0)
    call_command("apply", "-f", str(file), "--by", "it@example.com", "--reason", "ticket 17")
    assert capsys.readouterr().out.splitlines()[-1] == "13 done."
    event = AuditEvent.objects.get(action="config.apply", object_kind="")
    assert (event.actor_id, event.face, event.texts["reason"]["value"]) == (f"usr_{hand.actor.pk.hex if hand.actor else ''}", "command", "ticket 17")
    call_command("export", "-o", str(tmp_path / "exported.yaml"))
    call_command("apply", "-f", str(tmp_path / "exported.yaml"), "--plan")
    assert capsys.readouterr().out == "No difference.\n"


@pytest.mark.parametrize("options", [[], ["--by", "it@example.com"], ["--by", "ada@example.com", "--reason", "x"], ["--reason", "x"]])
def test_applying_needs_an_administrator_and_a_reason(hand: Hand, file: Path, options: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("apply", "-f", str(file), *options)
    assert Project.objects.count() == 0


def test_a_file_that_cannot_be_read_is_said(hand: Hand, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("apply", "-f", str(tmp_path / "none.yaml"), "--plan")
