"""First steps: what is ticked is what is so, and what can be copied works here."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import acceptable_use, actions
from accounts.models import ApprovalRule, BusinessUnit, Membership, Project, UsePolicy, User
from accounts.requests.welcome import welcome
from billing.models import Price, UsageRecord
from gateway.actions import create_virtual_key
from gateway.first_steps import FirstSteps, first_steps
from gateway.models import Deployment, Model, ProviderAccount
from tests.accounts.signin.people import PASSWORD, first_step, person
from tests.billing.usage import add_calls

pytestmark = pytest.mark.django_db
FREE = {"input_nanousd": 0, "output_nanousd": 0}


def newcomer(name: str = "ada") -> tuple[User, Client]:
    user, client = actions.save_user(User(email=f"{name}@example.com")), Client()
    client.force_login(user)
    return user, client


def model(name: str, kind: str = "chat", **price: int) -> Model:
    account, _ = ProviderAccount.objects.get_or_create(slug="acc", defaults={"name": "A", "provider": "openai", "base_url": "https://a.example/v1"})
    row = Model.objects.create(name=name, kind=kind)
    cost = Price.objects.create(provider="openai", upstream_model=name, source="simulated", valid_from=timezone.now() - timedelta(days=1), **(FREE | price))
    Deployment.objects.create(model=row, account=account, upstream_model=name, price=cost)
    return row


def ticks(found: FirstSteps) -> dict[str, bool]:
    return {step.name: step.is_done for step in found.steps}


def key_of(user: User, project: Project, models: list[str], name: str = "app", days: int = 9) -> Any:
    given = {"name": name, "models": models, "expires_at": timezone.now() + timedelta(days=days)}
    return create_virtual_key(project=project, owner=user, created_by=user, **given)[0]


def test_a_first_sign_in_through_the_pages_gives_a_sandbox_and_a_second_nothing_more() -> None:
    user = person(email="new@example.com")
    client, answer = first_step(user)
    assert (answer.status_code, [str(row.project) for row in Membership.objects.filter(user=user)]) == (302, ["Sandbox of new@example.com"])
    page = client.get("/onboarding").content.decode()
    assert ("Sandbox of new@example.com" in page, "$5.00 left" in page, "Create a key" in page) == (True, True, True)
    first_step(user, password=PASSWORD)
    assert Membership.objects.filter(user=user).count() == 1


def test_steps_are_done_when_they_are_done() -> None:
    user, client = newcomer()
    assert ticks(first_steps(user)) == {"project": False, "key": False, "call": False}
    acceptable_use.publish(UsePolicy(text="Be kind."), None)
    assert ticks(first_steps(user)) == {"policy": False, "project": False, "key": False, "call": False}
    acceptable_use.accept(user, 1)
    assert welcome(user) is not None
    assert ticks(first_steps(user)) == {"policy": True, "project": True, "key": False, "call": False}
    project = Project.objects.get()
    model("m")
    key = key_of(user, project, ["*"])
    assert ticks(first_steps(user)) == {"policy": True, "project": True, "key": True, "call": False}
    add_calls(timezone.now(), 1, key=key.public_id, project=project.pk, outcome="refused", status=402)
    assert not first_steps(user).is_done
    assert 'hx-trigger="every 4s"' in client.get("/onboarding").content.decode()
    asked_again = [client.get(f"/onboarding?done={done}", headers={"HX-Request": "true"}).status_code for done in (3, 2)]
    assert (asked_again, client.get("/onboarding?done=3").status_code) == ([204, 200], 200)
    add_calls(timezone.now(), 1, key=key.public_id, project=project.pk, outcome="ok", model="m")
    page = client.get("/onboarding").content.decode()
    assert (first_steps(user).is_done, "Your first call has landed" in page, "hx-trigger" in page) == (True, True, False)


def test_another_ones_key_and_call_are_not_mine() -> None:
    user, _ = newcomer()
    other, _ = newcomer("bob")
    project = Project.objects.create(name="P", business_unit=BusinessUnit.objects.create(name="U"))
    for who in (user, other):
        Membership.objects.create(user=who, project=project, role="developer")
    model("m")
    key = key_of(other, project, ["*"])
    add_calls(timezone.now(), 1, key=key.public_id, project=project.pk, outcome="ok")
    assert ticks(first_steps(user)) == {"project": True, "key": False, "call": False}


def test_the_call_to_copy_names_a_model_the_key_may_call_and_the_true_address() -> None:
    user, client = newcomer()
    welcome(user)
    model("a-embed", "embeddings", input_nanousd=1)
    model("b-dear", input_nanousd=2_500_000_000, output_nanousd=10_000_000_000)
    model("c-fine", input_nanousd=150_000_000, output_nanousd=600_000_000)
    page = client.get("/onboarding").content.decode()
    assert (page.count("&quot;b-dear&quot;") + page.count('"b-dear"'), "$2.50<" in page, "$10.00<" in page, "Data up to" in page) == (3, True, True, True)
    key_of(user, Project.objects.get(), ["c-fine"])
    page = client.get("/onboarding").content.decode()
    assert (page.count('"c-fine"'), page.count('"b-dear"'), "http://testserver/v1" in page) == (3, 0, True)
    assert (first_steps(user).open_models, "?model=b-dear" in page, "?model=c-fine" in page) == (frozenset({"c-fine"}), True, False)


def test_models_that_cannot_be_called_are_not_offered() -> None:
    user, client = newcomer()
    dark, lost = model("dark"), model("lost")
    Deployment.objects.filter(model=dark).update(state="disabled")
    lost.is_active = False
    lost.save()
    page = client.get("/onboarding").content.decode()
    assert ("dark" in page.split("Models</h2>")[1], "lost" in page, "The catalogue is empty" in page) == (False, False, True)
    assert first_steps(user).model == ""


def test_without_the_rule_there_is_no_sandbox_and_the_page_says_what_to_ask_for() -> None:
    ApprovalRule.objects.all().delete()
    user = person(email="new@example.com")
    client, _ = first_step(user)
    page = client.get("/onboarding").content.decode()
    assert ("No project yet" in page, "/requests/new/join_project" in page, UsageRecord.objects.count()) == (True, True, 0)


def test_asking_for_a_model_tells_what_it_costs() -> None:
    user, client = newcomer()
    welcome(user)
    cheap, dear = model("cheap", input_nanousd=1), model("dear", input_nanousd=2_500_000_000, output_nanousd=10_000_000_000)
    key = key_of(user, Project.objects.get(), ["cheap"])
    asked = {"project": key.project.pk, "key": key.pk, "model": dear.pk, "reason": "better", "foresee": "1"}
    page = client.post("/requests/new/model", asked).content.decode()
    assert ("A million tokens, USD" in page, "2.5 in, 10 out" in page, "cheap, dear" in page) == (True, True, True)
    Deployment.objects.filter(model=dear).update(state="disabled")
    assert "not known" in client.post("/requests/new/model", asked).content.decode()
    assert cheap.name in key.models
