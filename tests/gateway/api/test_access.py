"""Who may do what on the management API: every route against scopes, roles and ownership."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.access import OPEN_RESOURCES, RESOURCES
from accounts.grants import Asking
from accounts.models import ApprovalRule, AuditEvent, BusinessUnit, Membership, NotificationChannel, Project, User, VirtualKey
from accounts.requests.asking import submit
from accounts.service_accounts import SCOPES
from accounts.webhooks import make_webhook
from billing.budgets import save_budget, save_limit
from billing.credits import open_account
from billing.models import Budget, Limit
from gateway.actions import create_virtual_key
from gateway.api.routes import router
from tests.gateway.api.callers import Caller, call, company, person, program
from tests.gateway.api.matrix import DECISIONS, ROUTES

pytestmark = pytest.mark.django_db


def key_of(project: Project, name: str = "k") -> VirtualKey:
    return create_virtual_key(project=project, name=name, models=["*"], expires_at=timezone.now() + timedelta(days=1))[0]


def objects(project: Project) -> dict[str, str]:
    """Make one object of every kind around a project and return their ids by resource."""
    key = key_of(project)
    call(project, key.public_id, f"call_{project.name}")
    asker = User.objects.create_user(f"asker-{project.name}@example.com", "x" * 14)
    Membership.objects.create(user=asker, project=project, role="viewer")
    decider = User.objects.create_user(f"decider-{project.name}@example.com", "x" * 14)
    Membership.objects.create(user=decider, business_unit=project.business_unit, role="manager")
    credit = submit(Asking("credit", f"prj_{project.pk.hex}", asker, amount_nanousd=10**12), "why")
    joining = submit(Asking("join_project", f"prj_{project.pk.hex}", asker), "why")
    return {
        "credit-requests": credit.shown_id,
        "access-requests": joining.shown_id,
        "approvals": credit.shown_id,
        "approval-rules": f"apr_{ApprovalRule.objects.first().pk.hex}",  # type: ignore[union-attr]
        "budgets": f"bud_{save_budget(Budget(name='b', project=project, amount=10)).id}",
        "limits": f"lim_{save_limit(Limit(kind='rpm', project=project, amount=10)).id}",
        "credit-accounts": f"crd_{open_account(project, 'c').id}",
        "business-units": f"bu_{project.business_unit_id.hex}",
        "projects": f"prj_{project.id.hex}",
        "keys": f"key_{key.public_id}",
        "calls": f"call_{project.name}",
        "webhooks": f"whk_{hook_of(project).pk.hex}",
        "audit-events": f"aud_{AuditEvent.objects.filter(object_id=f'prj_{project.pk.hex}').latest('seq').id.hex}",
    }


def hook_of(project: Project) -> NotificationChannel:
    hook = NotificationChannel(name=f"hook of {project.name}", project=project, options={"url": "http://127.0.0.1:9999/"}, event_types=["key.*"])
    return make_webhook(hook)[0]


def path(route: str, ids: dict[str, str]) -> str:
    return route.replace("{id}", ids[route.split("/", maxsplit=1)[0]])


def is_of_few(method: str, route: str) -> bool:
    """Say whether only the asker or the deciders of a request may do it, whatever scope or role others have."""
    return route.endswith(DECISIONS) or (method == "PATCH" and route.split("/", maxsplit=1)[0] in OPEN_RESOURCES)


def served() -> set[tuple[str, str]]:
    """Return every method and path the router answers."""
    found = set()
    for pattern in router.urls:
        route = str(pattern.pattern).lstrip("^").rstrip("$").rstrip("\\Z").replace("(?P<id>[^/]+)", "{id}")
        found |= {(method.upper(), route) for method in pattern.callback.actions if method != "head"}
    return found


def test_every_route_is_declared() -> None:
    assert served() == {(method, route) for method, route, _ in ROUTES}
    assert {route.split("/")[0] for _, route, _ in ROUTES} == set(RESOURCES)


@pytest.mark.parametrize(("method", "route", "scope"), ROUTES)
def test_a_route_takes_its_scope_and_no_other(method: str, route: str, scope: str) -> None:
    *_, project, _ = company()
    target = path(route, objects(project))
    body = {} if method in ("POST", "PATCH") else None
    without = program("without", tuple(other for other in SCOPES if other != scope)).ask(method, target, body)
    allowed = program("with", (scope,)).ask(method, target, body)
    assert (without.status_code, without.json()["code"], scope in without.json()["detail"]) == (403, "not_allowed", True)
    refused = (403,) if is_of_few(method, route) else ()
    assert allowed.status_code in (200, 201, 204, 400, *refused), allowed.content


@pytest.mark.parametrize(("method", "route", "scope"), ROUTES)
def test_a_route_is_closed_to_strangers_and_read_only_to_people_without_a_role(method: str, route: str, scope: str) -> None:
    *_, project, _ = company()
    target = path(route, objects(project))
    body = {} if method in ("POST", "PATCH") else None
    assert Caller().ask(method, target, body).status_code == 401
    resource = route.split("/", maxsplit=1)[0]
    written = (400, 403) if resource in OPEN_RESOURCES else (403,)
    for name, role in (("finance", "finance"), ("auditor", "auditor"), ("security", "security_officer")):
        assert person(role, name).ask(method, target, body).status_code in ((200,) if method == "GET" else written)
    manager = person("", "manager", business_unit=project.business_unit, role="manager")
    if route == "approval-rules/{id}" and method == "GET":
        assert manager.ask(method, target, body).status_code == 404
    elif not route.endswith("approve"):  # which is theirs
        assert manager.ask(method, target, body).status_code in ((200,) if method == "GET" and not route.endswith("verify") else written)
    assert person("it_admin", "it").ask(method, target, body).status_code in (200, 201, 204, 400, *((403,) if is_of_few(method, route) else ()))


@pytest.mark.parametrize("kind", ["project", "business_unit", "unit above", "member", "manager"])
def test_foreign_objects_are_not_found_and_not_listed(kind: str) -> None:
    above, unit, mine, foreign = company()
    own, others = objects(mine), objects(foreign)
    who: dict[str, Any] = {
        "project": lambda: program(project=mine),
        "business_unit": lambda: program(business_unit=unit),
        "unit above": lambda: program(business_unit=above),
        "member": lambda: person(project=mine, role="developer"),
        "manager": lambda: person(business_unit=above, role="manager"),
    }
    caller = who[kind]()
    for method, route, _ in ROUTES:
        resource = route.split("/")[0]
        if resource == "approval-rules":
            continue
        if "{id}" in route and not (method != "GET" and kind in ("member", "manager")):
            assert caller.ask(method, path(route, others), {} if method != "GET" else None).status_code == 404, (method, route)
        elif route == resource and method == "GET":
            seen = caller.ids(route)
            if resource in ("approvals", "approval-rules"):
                continue  # what waits for oneself, and what is the platform's: tested beside requests
            assert others[resource] not in seen
            unseen = {
                "business-units": ("project", "member"), "audit-events": ("member",), "webhooks": ("member",),
                "credit-requests": ("member",), "access-requests": ("member",),
            }  # fmt: skip
            assert (own[resource] in seen) == (kind not in unseen.get(resource, ())), (route, seen)
    assert caller.ids(f"calls?project={others['projects']}") == caller.ids(f"calls?key={others['keys']}") == []


def test_a_program_of_a_unit_makes_things_only_below_it() -> None:
    _, unit, mine, foreign = company()
    caller = program(business_unit=unit)
    bu, theirs = f"bu_{unit.id.hex}", f"bu_{foreign.business_unit_id.hex}"
    statuses = [
        caller.post("business-units", body).status_code
        for body in ({"name": "New"}, {"name": "New", "parent": None}, {"name": "New", "parent": theirs}, {"name": "New", "parent": bu})
    ]
    assert statuses == [400, 400, 400, 201]
    assert caller.patch(f"projects/prj_{mine.id.hex}", {"business_unit": theirs}).status_code == 400
    assert caller.post("keys", {"project": f"prj_{foreign.id.hex}", "name": "k", "models": ["*"]}).status_code == 400
    assert (Project.objects.get(pk=mine.pk).business_unit_id, BusinessUnit.objects.filter(name="New").count()) == (unit.id, 1)


@pytest.mark.parametrize("place", ["project", "business_unit"])
def test_a_program_cannot_change_what_binds_itself(place: str) -> None:
    _, unit, mine, _ = company()
    scope: Any = {"project": mine, "business_unit": unit}[place]
    caller = program(**{place: scope})
    ids = {
        "budgets": f"bud_{save_budget(Budget(name='b', amount=10, **{place: scope})).id}",
        "limits": f"lim_{save_limit(Limit(kind='rpm', amount=10, **{place: scope})).id}",
        "credit-accounts": f"crd_{open_account(scope, 'c').id}",
    }
    own = {place: f"prj_{mine.id.hex}" if place == "project" else f"bu_{unit.id.hex}"}
    reason = {"reason": "more"}
    answers = [
        caller.patch(f"budgets/{ids['budgets']}", {"amount": "1000", **reason}),
        caller.post(f"budgets/{ids['budgets']}/archive", reason),
        caller.post(f"budgets/{ids['budgets']}/raise", {"amount": "5", "until": "2030-01-01T00:00:00Z", **reason}),
        caller.post("budgets", {"scope": own, "amount": "1000"}),
        caller.patch(f"limits/{ids['limits']}", {"amount": 1000}),
        caller.ask("DELETE", f"limits/{ids['limits']}", None),
        caller.post(f"credit-accounts/{ids['credit-accounts']}/grant", {"amount": "5", **reason}),
    ]
    assert [answer.status_code for answer in answers] == [403] * 7
    assert (Budget.objects.get().amount, Budget.objects.get().is_archived, Limit.objects.get().amount) == (10, False, 10)


def test_a_program_changes_what_binds_those_below_it() -> None:
    _, unit, mine, _ = company()
    budget = save_budget(Budget(name="b", amount=10, project=mine))
    assert program(business_unit=unit).patch(f"budgets/bud_{budget.id}", {"amount": "1000", "reason": "more"}).status_code == 200
