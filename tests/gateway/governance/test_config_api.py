"""The document by API: administrators of the platform only, never a secret in it, and nothing done when refused."""

import pytest

from accounts.models import ApprovalRule, AuditEvent, BusinessUnit, Project
from gateway.governance.document import read
from tests.gateway.api.callers import Caller, company, person, program

pytestmark = pytest.mark.django_db
SMALL = "version: 1\nbusiness_units:\n- path: [Acme]\n"


def test_what_is_given_can_be_given_back_and_changes_nothing() -> None:
    company()
    caller = person("it_admin", "it")
    answer = caller.get("config")
    assert (answer.headers["content-type"], caller.post("config/plan", {"document": answer.content.decode()}).json()) == (
        "application/yaml; charset=utf-8", {"steps": []},
    )  # fmt: skip
    assert read(answer.content.decode())


def test_a_plan_does_nothing_and_applying_does_it_once_with_a_reason() -> None:
    caller = person("it_admin", "it")
    steps = {"steps": [{"verb": "make", "section": "business_units", "name": ["Acme"], "fields_changed": []}]}
    assert (caller.post("config/plan", {"document": SMALL}).json(), BusinessUnit.objects.count()) == (steps, 0)
    assert caller.post("config/apply", {"document": SMALL}).status_code == 400
    assert caller.post("config/apply", {"document": SMALL, "reason": "ticket 17"}).json() == steps
    assert caller.post("config/apply", {"document": SMALL, "reason": "ticket 17"}).json() == {"steps": []}
    event = AuditEvent.objects.filter(action="config.apply", object_kind="business-unit").get()
    assert (event.face, event.texts["reason"]["value"], BusinessUnit.objects.get().name) == ("api", "ticket 17", "Acme")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("version: 1\nprojects: [{name: P, business_unit: [None]}]", "line 2: projects: None / P: business_unit: There is no business unit None"),
        ("a: [", "This is not YAML"),
        (
            "version: 1\nprovider_accounts:\n- {slug: evil, provider: vllm, base_url: 'http://127.0.0.1:9999/v1', credential: {file: /etc/passwd}}",
            "line 3: provider_accounts: evil: credential is read on the gateway's host",
        ),
    ],
)
def test_a_mistake_is_told_and_nothing_is_done(document: str, said: str) -> None:
    answer = person("it_admin", "it").post("config/apply", {"document": document, "reason": "x"})
    assert (answer.status_code, answer.json()["errors"][0]["field"], said in answer.content.decode(), Project.objects.count()) == (400, "document", True, 0)


def test_a_program_of_a_unit_has_no_document() -> None:
    _, unit, *_ = company()
    caller: Caller = program(business_unit=unit)
    plan, apply = {"document": SMALL}, {"document": SMALL, "reason": "x"}
    answers = [caller.get("config"), caller.post("config/plan", plan), caller.post("config/apply", apply)]
    assert [answer.status_code for answer in answers] == [403] * 3
    assert ApprovalRule.objects.exists()
