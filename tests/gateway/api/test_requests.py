"""Requests, approvals and rules over the API."""

from typing import Any

import pytest

from accounts.models import ApprovalRule, AuditEvent, GrantRequest, Membership, User
from billing.models import CreditGrant
from tests.accounts.requests.people import USD, company, rule, user
from tests.gateway.api.callers import Caller, program, service_account

pytestmark = pytest.mark.django_db


def caller(person: User) -> Caller:
    return Caller(user=person)


def ask_credit(who: Caller, project: Any, amount: str = "20.00", **more: str) -> Any:
    return who.post("credit-requests", {"project": f"prj_{project.pk.hex}", "amount": amount, "reason": "Load test", **more})


def test_credit_is_asked_for_and_approved() -> None:
    people = company()
    made = ask_credit(caller(people.dev), people.project)
    told = made.json()
    assert (made.status_code, told["id"][:4], told["state"], told["amount"], told["currency"]) == (201, "crq_", "submitted", "20.00", "USD")
    assert told["preview"] == [{"what": "Credit of P", "before": "0.00", "after": "20.00"}]
    assert made.headers["Location"] == f"/api/v1/credit-requests/{told['id']}"
    manager = caller(people.manager)
    assert [row["id"] for row in manager.get("approvals").json()["data"]] == [told["id"]]
    done = manager.post(f"credit-requests/{told['id']}/approve", {"comment": "go", "amount": "12.50"})
    assert (done.status_code, done.json()["state"], done.json()["granted"], manager.get("approvals").json()["data"]) == (200, "applied", "12.50", [])
    (step,) = done.json()["steps"]
    assert [(one["verdict"], one["approver"], one["on_behalf_of"], one["comment"]) for one in step["decisions"]] == [
        ("approved", f"usr_{people.manager.pk.hex}", None, "go")
    ]
    assert CreditGrant.objects.get().amount_nanousd == 12 * USD + USD // 2
    assert [note["what"] for note in done.json()["notes"]] == ["submitted", "amount", "approved", "applied"]


def test_what_is_approved_twice_or_after_its_end_conflicts() -> None:
    people = company()
    crq = ask_credit(caller(people.dev), people.project).json()["id"]
    manager = caller(people.manager)
    assert [manager.post(f"approvals/{crq}/approve", {}).status_code for _ in range(2)] == [200, 409]


def test_a_read_version_is_what_is_approved() -> None:
    people = company()
    dev, manager = caller(people.dev), caller(people.manager)
    crq = ask_credit(dev, people.project).json()["id"]
    etag = dev.get(f"credit-requests/{crq}").headers["ETag"]
    assert dev.patch(f"credit-requests/{crq}", {"amount": "500"}, if_match=etag).json()["version"] == 2
    assert dev.patch(f"credit-requests/{crq}", {"amount": "600"}, if_match=etag).status_code == 412
    assert manager.post(f"credit-requests/{crq}/approve", {"version": 1}).status_code == 412
    assert manager.post(f"credit-requests/{crq}/approve", {"version": 2}).json()["granted"] == "500.00"


def test_own_requests_cannot_be_approved_and_that_is_recorded() -> None:
    people = company()
    manager = caller(people.manager)
    crq = ask_credit(manager, people.project).json()["id"]
    refused = manager.post(f"credit-requests/{crq}/approve", {})
    assert (refused.status_code, refused.json()["detail"]) == (403, "Nobody decides about what they asked for, or what is for them.")
    assert (GrantRequest.objects.get().state, CreditGrant.objects.count()) == ("submitted", 0)
    event = AuditEvent.objects.filter(action="access.refuse").latest("seq")
    assert (event.actor_id, event.outcome) == (f"usr_{people.manager.pk.hex}", "refused")


def test_programs_ask_and_never_approve() -> None:
    people = company()
    bot = program(project=people.project)
    crq = ask_credit(bot, people.project).json()
    assert (crq["state"], crq["requester"], crq["service_account"][:3]) == ("submitted", None, "sa_")
    other = Caller(service_account("other")[1])
    for path in (f"credit-requests/{crq['id']}/approve", f"approvals/{crq['id']}/approve"):
        refused = other.post(path, {})
        assert (refused.status_code, refused.json()["detail"]) == (403, "Service accounts never approve.")
    assert (bot.get("approvals").json()["data"], bot.post(f"credit-requests/{crq['id']}/withdraw").json()["state"]) == ([], "withdrawn")


def test_access_is_asked_for_by_those_who_see_nothing_yet() -> None:
    people = company()
    newcomer = user("new")
    body = {"kind": "join_project", "target": f"prj_{people.project.pk.hex}", "reason": "my team", "parameters": {"role": "developer"}}
    made = caller(newcomer).post("access-requests", body)
    assert (made.status_code, made.json()["id"][:4], made.json()["state"]) == (201, "arq_", "submitted")
    assert caller(people.manager).post(f"access-requests/{made.json()['id']}/approve", {}).json()["state"] == "applied"
    assert Membership.objects.get(user=newcomer).role == "developer"


def test_a_question_and_an_answer() -> None:
    people = company()
    dev, manager = caller(people.dev), caller(people.manager)
    crq = ask_credit(dev, people.project).json()["id"]
    assert manager.post(f"approvals/{crq}/ask", {"question": "Why?"}).json()["state"] == "needs_info"
    assert dev.post(f"credit-requests/{crq}/comment", {"comment": "Because"}).json()["state"] == "submitted"
    denied = manager.post(f"approvals/{crq}/deny", {"reason": "No."})
    assert (denied.json()["state"], CreditGrant.objects.count()) == ("denied", 0)


def test_strangers_find_nothing_and_ids_keep_their_prefix() -> None:
    people = company()
    crq = ask_credit(caller(people.dev), people.project).json()["id"]
    stranger = caller(user("stranger"))
    answers = [stranger.get(f"credit-requests/{crq}"), stranger.post(f"credit-requests/{crq}/approve", {})]
    answers.append(stranger.post(f"approvals/{crq}/deny", {"reason": "x"}))
    answers += [caller(people.dev).get(f"access-requests/{crq}"), caller(people.dev).get(f"credit-requests/{crq.replace('crq', 'arq')}")]
    assert [answer.status_code for answer in answers] == [404] * 5
    assert stranger.get("credit-requests").json()["data"] == []
    assert stranger.post("credit-requests", {"project": f"prj_{people.project.pk.hex}", "amount": "5", "reason": "x"}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        {"amount": "5", "reason": "x"},
        {"project": "prj_x", "amount": "5", "reason": "x"},
        {"project": "P", "key": "K", "amount": "5", "reason": "x"},
        {"project": "P", "amount": 5, "reason": "x"},
        {"project": "P", "amount": "0", "reason": "x"},
        {"project": "P", "amount": "5", "reason": ""},
        {"project": "P", "amount": "5", "reason": "x", "state": "applied"},
        {"project": "P", "amount": "5", "reason": "x", "granted": "5"},
        {"project": "P", "amount": "5", "reason": "x", "until": "2020-01-01T00:00:00Z"},
    ],
)
def test_odd_credit_requests_are_refused(body: dict[str, Any]) -> None:
    people = company()
    body = {name: f"prj_{people.project.pk.hex}" if value == "P" else value for name, value in body.items()}
    assert caller(people.dev).post("credit-requests", body).status_code == 400
    assert GrantRequest.objects.count() == 0


def test_rules_are_made_changed_and_deleted_by_it_only() -> None:
    people = company()
    it = caller(people.it)
    body = {
        "name": "Large credit", "position": 5, "kinds": ["credit"], "up_to": "1000", "business_unit": f"bu_{people.top.pk.hex}",
        "steps": [{"approver": "manager"}, {"approver": "people", "people": ["boss@example.com", "finance@example.com"], "quorum": 2}],
    }  # fmt: skip
    made = it.made("approval-rules", body)
    assert (made["up_to"], made["steps"][1]["people"], made["steps"][1]["quorum"]) == ("1000.00", ["boss@example.com", "finance@example.com"], 2)
    request = ask_credit(caller(people.dev), people.project).json()
    assert (request["rule"], [step["approver"] for step in request["steps"]]) == ("Large credit", ["manager", "people"])
    changed = it.patch(f"approval-rules/{made['id']}", {"steps": [], "automatic": True})
    assert (changed.status_code, changed.json()["steps"], changed.json()["automatic"]) == (200, [], True)
    assert ask_credit(caller(people.dev), people.project).json()["state"] == "applied"
    assert it.ask("DELETE", f"approval-rules/{made['id']}").status_code == 204
    assert caller(people.manager).post("approval-rules", body).status_code == 403
    assert program(business_unit=people.unit).post("approval-rules", {"name": "mine"}).status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [
        {"kinds": ["nonsense"]},
        {"automatic": True, "up_to": "5", "kinds": []},
        {"automatic": True, "up_to": "5", "kinds": ["platform_role"]},
        {"automatic": True, "kinds": ["credit"]},
        {"automatic": True, "up_to": "5", "kinds": ["credit"], "steps": [{"approver": "manager"}]},
        {"steps": [{"approver": "role"}]},
        {"steps": [{"approver": "manager", "roles": ["finance"]}]},
        {"steps": [{"approver": "people", "people": ["boss@example.com"], "quorum": 2}]},
        {"steps": [{"approver": "people", "people": ["nobody@example.com"]}]},
        {"steps": [{"approver": "external"}]},
        {"up_to": 5},
        {"up_to": "-5"},
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    people = company()
    before = ApprovalRule.objects.count()
    assert caller(people.it).post("approval-rules", {"name": "wrong", **wrong}).status_code == 400
    assert ApprovalRule.objects.count() == before


def test_automatic_credit_answers_applied_at_once() -> None:
    people = company()
    rule(name="auto", is_automatic=True, up_to_nanousd=50 * USD)
    told = ask_credit(caller(people.dev), people.project).json()
    assert (told["state"], told["automatic"], told["rule"]) == ("applied", True, "auto")


def test_a_repeated_request_is_filed_once() -> None:
    people = company()
    dev = caller(people.dev)
    body = {"project": f"prj_{people.project.pk.hex}", "amount": "20", "reason": "x"}
    first, second = (dev.post("credit-requests", body, idempotency_key="k1") for _ in range(2))
    assert (first.json()["id"], GrantRequest.objects.count()) == (second.json()["id"], 1)
