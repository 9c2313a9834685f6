"""From a business unit to a recorded call, through the management API alone."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import VirtualKey
from tests.gateway.api.callers import call, program

pytestmark = pytest.mark.django_db


def test_a_unit_a_project_and_a_key_are_made_and_found() -> None:
    it = program()
    unit = it.made("business-units", {"name": "Retail"})
    shop = it.made("business-units", {"name": "Shop", "parent": unit["id"]})
    project = it.made("projects", {"name": "Checkout", "business_unit": shop["id"]})
    key = it.made("keys", {"project": project["id"], "name": "backend", "models": ["*"]})
    row = VirtualKey.objects.get()
    assert (key["id"], key["key"][:18], key["state"], key["environment"]) == (f"key_{row.public_id}", f"sgw_vk_{row.public_id}_", "active", "dev")
    assert (shop["parent"], project["business_unit"], key["project"]) == (unit["id"], shop["id"], project["id"])
    shown = it.get(f"keys/{key['id']}").json()
    assert {**shown, "key": key["key"]} == key
    assert (it.ids("keys"), it.ids(f"projects?business_unit={unit['id']}"), it.ids(f"business-units?parent={unit['id']}")) == (
        [key["id"]],
        [],
        [shop["id"]],
    )


def test_calls_are_shown_with_what_they_cost() -> None:
    it = program()
    unit = it.made("business-units", {"name": "Retail"})
    project = it.made("projects", {"name": "Checkout", "business_unit": unit["id"]})
    key = it.made("keys", {"project": project["id"], "name": "backend", "models": ["*"]})
    row = VirtualKey.objects.select_related("project").get()
    call(row.project, row.public_id, "call_1", client_request_id="mine-1")
    call(row.project, "someother1", "call_2", status=502, outcome="failed", cost_nanousd=0)
    found = it.get(f"calls?key={key['id']}&project={project['id']}").json()
    wanted = {
        "id": "call_1", "model": "m", "provider": "openai", "status": 200, "input_tokens": 7, "output_tokens": 3, "cost_usd": "0.0015",
        "usage_source": "provider", "guardrails": [], "key": key["id"], "project": project["id"], "business_unit": unit["id"],
        "attempts": [
            {
                "deployment": "a/m", "account": "a", "provider": "openai", "outcome": "ok", "status": 200, "elapsed_ms": 9, "quote_revision": None,
                "price": None, "usage_source": "provider", "flags": [], "input_tokens": 7, "cached_tokens": 0, "output_tokens": 3, "reasoning_tokens": 0,
                "web_searches": 0, "cost_usd": "0.0015",
            },
        ],
    }  # fmt: skip
    assert {name: found["data"][0][name] for name in wanted} == wanted
    assert (len(found["data"]), found["has_more"], found["next_cursor"]) == (1, False, None)
    assert (it.ids("calls?request_id=call_2"), it.ids("calls?request_id=mine-1"), it.ids("calls?outcome=failed")) == (["call_2"], ["call_1"], ["call_2"])
    assert it.get("calls/call_1").json() == found["data"][0]


def test_every_attempt_of_a_call_is_shown_with_what_it_cost() -> None:
    it = program()
    unit = it.made("business-units", {"name": "Retail"})
    it.made("keys", {"project": it.made("projects", {"name": "Checkout", "business_unit": unit["id"]})["id"], "name": "backend", "models": ["*"]})
    row, price = VirtualKey.objects.select_related("project").get(), "0198c0de-0000-7000-8000-000000000003"
    broken = ["a/m", "a", "reset", 200, 9, ["azure", "m", price, "estimated", "usage_missing", 20, 0, 0, 0, 5, 0, 0, 700_000], 417]
    served = ["c/m", "c", "ok", 200, 9, ["openai", "m", price, "provider", "", 7, 1, 0, 0, 3, 2, 0, 800_000], 417]
    attempts = [broken, ["b/m", "b", "503", 503, 2, None, 417], served]
    call(row.project, row.public_id, "call_1", attempts=attempts, flags="attempts_billed", usage_source="estimated", quote_nanousd=9)
    shown = it.get("calls/call_1").json()
    fields = ("account", "provider", "outcome", "price", "usage_source", "flags", "input_tokens", "output_tokens", "cost_usd", "quote_revision")
    assert [tuple(attempt[name] for name in fields) for attempt in shown["attempts"]] == [
        ("a", "azure", "reset", price, "estimated", ["usage_missing"], 20, 5, "0.0007", 417),
        ("b", "", "503", None, "none", [], 0, 0, "0.00", 417),
        ("c", "openai", "ok", price, "provider", [], 7, 3, "0.0008", 417),
    ]
    assert (shown["cost_usd"], shown["flags"], shown["quote_id"]) == ("0.0015", ["attempts_billed"], "quo_1")


def test_a_clients_own_request_id_is_looked_for_within_31_days() -> None:
    it = program()
    unit = it.made("business-units", {"name": "Retail"})
    project = it.made("projects", {"name": "Checkout", "business_unit": unit["id"]})
    it.made("keys", {"project": project["id"], "name": "backend", "models": ["*"]})
    row, now = VirtualKey.objects.select_related("project").get(), timezone.now()
    for call_id, days in (("call_1", 1), ("call_40", 40)):
        call(row.project, row.public_id, call_id, client_request_id="mine-1", started_at=now - timedelta(days=days))
    until = f"{now - timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}"
    assert (it.ids("calls?request_id=mine-1"), it.ids(f"calls?request_id=mine-1&until={until}"), it.ids("calls?request_id=call_40")) == (
        ["call_1"],
        ["call_40"],
        ["call_40"],
    )
    assert it.get("calls?request_id=mine-1&until=x").status_code == 400


def test_a_key_is_suspended_resumed_and_revoked() -> None:
    it = program()
    unit = it.made("business-units", {"name": "Retail"})
    project = it.made("projects", {"name": "Checkout", "business_unit": unit["id"]})
    key = it.made("keys", {"project": project["id"], "name": "backend", "models": ["*"]})
    states = [it.post(f"keys/{key['id']}/{verb}").json()["state"] for verb in ("suspend", "resume", "revoke")]
    refused = it.post(f"keys/{key['id']}/resume")
    assert states == ["suspended", "active", "revoked"]
    assert (refused.status_code, refused.json()["detail"]) == (400, "backend is revoked and stays so. Create a new key.")


def test_a_project_is_suspended_and_resumed() -> None:
    it = program()
    unit = it.made("business-units", {"name": "Retail"})
    project = it.made("projects", {"name": "Checkout", "business_unit": unit["id"]})
    assert [it.post(f"projects/{project['id']}/{verb}").json()["state"] for verb in ("suspend", "resume")] == ["suspended", "active"]
