"""No mutation without an event: every route that writes is taken until it succeeds, and each success is in the audit trail."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings

from accounts.access.matrix import ROUTES, Route
from accounts.models import AuditEvent, User
from gateway.api.examples import example
from tests.gateway.api.company import BODIES, MADE_IN, Company, Sample, at, company, export_of, undone

DOCUMENT = yaml.load((Path(settings.BASE_DIR) / "docs" / "reference" / "openapi.yaml").read_text(), yaml.CSafeLoader)
pytestmark = pytest.mark.django_db
ROLES = ("it_admin", "finance", "manager", "owner", "developer")
# What has to be done first, so that there is something to undo.
BEFORE = {"resume": "suspend", "activate": "disable", "unfreeze": "freeze", "renew-verification": "verify", "end-overlap": "rotate"}
# Bodies of actions where the example of the document is about other things than this company has.
OTHERS: dict[str, Any] = {
    "PATCH memberships/{id}": {"role": "developer"},
    "PATCH service-accounts/{id}": {"name": "Renamed"},
    "PATCH keys/{id}": {"name": "Renamed"},
    "POST credit-accounts/{id}/grant": {"amount": "1.00", "reason": "r"},
    "POST approval-rules": {"name": "New"},
    "PATCH credit-requests/{id}": {"reason": "another"},
}
# Nothing changes: a plan is taken back.
CHANGES_NOTHING = {"POST config/plan"}
# Take what one test of its own each sets up: a vote, an answer, what was asked for and lapses, a signature, a message that was sent, an end of month.
TESTED_ELSEWHERE = {
    *(f"POST {kind}/{{id}}/{verb}" for kind in ("approvals", "access-requests", "credit-requests") for verb in ("withdraw", "revoke", "approve")),
    "PATCH access-requests/{id}", "PATCH credit-requests/{id}", "POST access-requests", "POST credit-requests",
    "POST webhooks/{id}/resend", "POST credit-accounts/{id}/move", "POST reports", "POST budgets/{id}/raise",
    "POST prices/{id}/withdraw", "POST personal-tokens/{id}/revoke",
}  # fmt: skip


def takes_body(route: Route) -> bool:
    """Say whether the document has a body for a route."""
    return "requestBody" in DOCUMENT["paths"][f"/api/v1/{route.path}"][route.method.lower()]


def body_of(route: Route, made: Company) -> Any:
    """Return a body that the route takes."""
    if route.method == "DELETE":
        return {"reason": "r"}
    if route.name in OTHERS:
        return OTHERS[route.name]
    if route.method == "POST" and route.path in BODIES:
        return BODIES[route.path](at(made, MADE_IN[route.path][0]))
    return example(route.name) if route.method == "PATCH" or takes_body(route) else None


def test_every_route_that_writes_leaves_an_event_when_it_succeeds() -> None:
    made = company()
    User.objects.create_user("new-one@example.com")
    made.samples["exports"].append(Sample(f"exp_{export_of(made.people['it_admin']).pk.hex}", "platform", mine=True))
    silent, never = [], set()
    for route in ROUTES.values():
        if route.method == "GET" or route.name in CHANGES_NOTHING | TESTED_ELSEWHERE:
            continue
        ids = [sample.id for sample in made.samples.get(route.resource, [])] if "{id}" in route.path else [""]
        never.add(route.name)
        for role, number in ((role, number) for role in ROLES for number in ids):
            asking, path, body = made.caller(role), route.path.replace("{id}", number), body_of(route, made)
            with undone():
                verb = route.path.rpartition("/")[2]
                if verb in BEFORE:
                    first = f"{route.path.rpartition('/')[0]}/{BEFORE[verb]}"
                    asking.ask("POST", first.replace("{id}", number), body_of(ROUTES[f"POST {first}"], made))
                known = set(AuditEvent.objects.values_list("id", flat=True))
                answer = asking.ask(route.method, path, body)
                is_done = answer.status_code < 300
                if is_done and not AuditEvent.objects.exclude(id__in=known).exclude(outcome="refused").exists():
                    silent.append((route.name, role, number, answer.content[:200]))
            if is_done:
                never.discard(route.name)
                break
    assert [(one[0], one[1]) for one in silent] == []
    assert sorted(never) == []
