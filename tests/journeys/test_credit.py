"""A call refused for want of money, a request for more, and the same call passing seconds later: by rule alone, by a manager over the API, and everywhere."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.fakes.service import Service, wait_for
from tests.journeys.budgets import Budgeted, ask
from tests.journeys.siege import Siege

pytestmark = pytest.mark.journey
WITHIN_S = 60


def api(service: Service, token: str) -> httpx.Client:
    return httpx.Client(base_url=f"{service.origin}/api/v1/", headers={"authorization": f"Bearer {token}"}, timeout=30)


def broke(service: Service) -> Budgeted:
    """Return a project whose budget pays for one call and has: the next is refused."""
    budgeted = Budgeted(service, "0.01", scope="project")
    assert called(service, budgeted) == (200, "")
    wait_for(lambda: called(service, budgeted) == (402, "budget_exceeded"), WITHIN_S, "the budget is spent")
    return budgeted


def called(service: Service, budgeted: Budgeted) -> tuple[int, str]:
    """Call the model whose price is 0.01 USD; return status and code."""
    status, _, body = service.post("/v1/chat/completions", ask("hello"), budgeted.key)
    return status, "" if status == 200 else body["error"]["code"]


def asked(client: httpx.Client, budgeted: Budgeted, amount: str) -> Any:
    made = client.post("credit-requests", json={"project": budgeted.project, "amount": amount, "reason": "The load test"})
    assert made.status_code == 201, made.text
    return made.json()


def passes(services: list[Service], budgeted: Budgeted, begun: float, record: Callable[[str, object], None], name: str) -> None:
    """Wait until the call passes everywhere; record how long that took from the question, or its approval, on."""
    for service in services:
        wait_for(lambda: called(service, budgeted)[0] == 200, WITHIN_S, f"the credit is there at {service.origin}")  # noqa: B023  # waited for at once
    took_s = round(time.monotonic() - begun, 2)
    record(name, took_s)
    print(f"{name}: {took_s}")


def test_without_a_human_the_rule_grants_and_the_same_call_passes(service: Service, record_property: Any) -> None:
    budgeted = broke(service)
    begun = time.monotonic()
    given = asked(budgeted.api, budgeted, "0.02")
    assert (given["state"], given["automatic"], given["rule"], given["requester"]) == ("applied", True, "A little credit for development", None)
    passes([service], budgeted, begun, record_property, "credit_by_rule_passes_after_s")
    assert called(service, budgeted) == (200, "")
    assert called(service, budgeted) == (402, "budget_exceeded")  # two calls' worth, no more
    events = budgeted.api.get("audit-events", params={"object": given["id"]}).json()["data"]
    assert {event["actor_kind"] for event in events if event["action"].startswith("request.")} == {"service_account"}


def test_a_manager_approves_over_the_api_and_the_same_call_passes(service: Service, record_property: Any) -> None:
    budgeted, tokens = broke(service), service.demo["tokens"]
    dev, manager = api(service, tokens["dev"]), api(service, tokens["manager"])
    for client, role, place in ((dev, "developer", {"project": budgeted.project}), (manager, "manager", {"business_unit": budgeted.unit})):
        budgeted.made("memberships", {"user": client.get("me").json()["id"], "role": role, **place})
    given = asked(dev, budgeted, "5.00")
    assert (given["state"], called(service, budgeted)) == ("submitted", (402, "budget_exceeded"))
    assert dev.post(f"credit-requests/{given['id']}/approve", json={}).status_code == 403
    begun = time.monotonic()
    approved = manager.post(f"credit-requests/{given['id']}/approve", json={"version": given["version"], "amount": "0.02", "comment": "half of it"})
    assert (approved.status_code, approved.json()["state"], approved.json()["granted"]) == (200, "applied", "0.02")
    passes([service], budgeted, begun, record_property, "credit_by_manager_passes_after_s")
    assert [called(service, budgeted)[0] for _ in range(2)] == [200, 402]


def test_credit_asked_for_at_one_instance_is_there_at_every_other(besieged: Siege, record_property: Any) -> None:
    one, two = besieged.services
    budgeted = broke(one)
    wait_for(lambda: called(two, budgeted)[0] == 402, WITHIN_S, "the budget is spent for the other instance too")
    begun = time.monotonic()
    assert asked(budgeted.api, budgeted, "0.02")["state"] == "applied"
    passes([two, one], budgeted, begun, record_property, "credit_at_two_instances_passes_after_s")
    wait_for(lambda: {called(service, budgeted)[0] for service in (one, two)} == {402}, WITHIN_S, "it is spent everywhere")
