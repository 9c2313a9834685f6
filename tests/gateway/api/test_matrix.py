"""The access matrix, run in full: every route, every role and kind of program, own, foreign and no objects."""

from collections.abc import Iterator
from typing import Any

import pytest

from accounts.access.matrix import NARROWED_FIELDS, PEOPLE_ONLY, PUBLIC, RESOURCES, ROLES, ROUTES, Route
from accounts.models import User
from accounts.service_accounts import SCOPES
from gateway.api.routes import resource_urls
from tests.gateway.api.callers import Caller, service_account
from tests.gateway.api.company import BODIES, HELD_IN, MADE_IN, PLACES, SAMPLES, Company, Sample, at, company, export_of, own_keys, token_of, undone

pytestmark = [pytest.mark.django_db, pytest.mark.once]
PROGRAMS = ("program:it_admin", "program:manager", "program:owner")
DONE = frozenset({200, 201, 204, 400, 409})


def covers(cell: str, role: str, sample: Sample) -> bool:
    """Say, in the test's own words, whether a cell of the matrix reaches an object."""
    above, held = PLACES[sample.place.removesuffix(" unit")], HELD_IN.get(role)
    return {
        "all": True,
        "named": True,
        "here": held in above,
        "below": held in above[1:],
        "mine": held in above and sample.mine and not sample.prod,
        "own": sample.mine,
        "-": False,
    }[cell]


def reaches(route: Route, caller: str, sample: Sample) -> bool:
    """Say whether a caller may take a route for an object."""
    role = caller.removeprefix("program:")
    if caller not in ROLES and route.name in PEOPLE_ONLY:
        return False
    return covers(route.cells[role], role, sample) or (caller in ROLES and covers(route.cells["anyone"], "anyone", sample))


def decides_itself(route: Route, caller: str) -> bool:
    """Say whether the resource decides for which of its objects a caller may take a route."""
    return "named" in (route.cells[caller.removeprefix("program:")], route.cells["anyone"] if caller in ROLES else "-")


def may(route: Route, caller: str) -> bool:
    """Say whether a caller may take a route for any object at all."""
    if caller not in ROLES and route.name in PEOPLE_ONLY:
        return False
    cells = {route.cells[caller.removeprefix("program:")], route.cells["anyone"] if caller in ROLES else "-"}
    return cells != {"-"}


def served() -> set[str]:
    """Return every method and path the router answers."""
    found = set()
    for pattern in resource_urls:
        route = str(pattern.pattern).lstrip("^").rstrip("$").rstrip("\\Z").replace("(?P<id>[^/]+)", "{id}").replace("<str:id>", "{id}")
        actions = getattr(pattern.callback, "actions", None) or {method: "" for method in pattern.callback.view_class().allowed_methods if method != "OPTIONS"}
        found |= {f"{method.upper()} {route}" for method in actions if method != "head"}
    return found


def test_every_route_of_the_api_is_declared_and_every_declared_one_is_served() -> None:
    assert served() == {*ROUTES, *PUBLIC}
    assert {route.resource for route in ROUTES.values() if "{id}" in route.path} == set(SAMPLES)
    posts = {route.resource for route in ROUTES.values() if route.method == "POST" and route.path == route.resource}
    assert posts - {"personal-tokens"} == set(BODIES) == set(MADE_IN)


def test_every_resource_has_scopes_and_every_scope_a_resource() -> None:
    assert {scope.partition(":")[0] for scope in SCOPES} == set(RESOURCES)
    assert {route.scope for route in ROUTES.values()} - {""} <= set(SCOPES)


@pytest.mark.parametrize("caller", [*ROLES, *PROGRAMS])
def test_the_matrix_holds(caller: str) -> None:
    made = company()
    User.objects.create_user("new-one@example.com")
    if caller in ROLES:
        made.samples["keys"] += own_keys(made, made.people[caller])
        made.samples["exports"].append(Sample(f"exp_{export_of(made.people[caller]).pk.hex}", "platform", mine=True))
        made.samples["personal-tokens"].append(Sample(f"pt_{token_of(made.people[caller]).public_id}", "platform", mine=True))
    else:
        made.samples["personal-tokens"] = []
    asking = made.caller(caller)
    wrong = []
    for route in ROUTES.values():
        for sample, target, body, expected in trials(route, caller, made):
            with undone():
                answer = asking.ask(route.method, target, body)
            if answer.status_code not in expected:
                wrong.append((route.name, sample, answer.status_code, sorted(expected)))
    assert wrong == []


def trials(route: Route, caller: str, made: Company) -> Iterator[tuple[str, str, Any, frozenset[int]]]:
    """Return what to ask on a route, and with which statuses it may be answered."""
    body: Any = {} if route.method in ("POST", "PATCH") else None
    if "{id}" in route.path:
        reading = ROUTES[f"GET {route.resource}/{{id}}"]
        for sample in made.samples[route.resource]:
            seen = reaches(reading, caller, sample)
            allowed = DONE if reaches(route, caller, sample) else frozenset({403})
            allowed |= {403} if decides_itself(route, caller) else set()
            allowed |= {404} if decides_itself(reading, caller) else set()
            told = f"{sample.place}{' mine' if sample.mine else ''}{' prod' if sample.prod else ''}"
            yield told, route.path.replace("{id}", sample.id), body, allowed if seen else frozenset({404})
    elif route.method == "POST" and route.resource in BODIES:
        for place in MADE_IN[route.resource]:
            if decides_itself(route, caller) or place == "platform":
                yield place, route.path, BODIES[route.resource](at(made, place)), DONE if may(route, caller) else frozenset({403})
                continue
            # what a developer makes is the developer's own
            allowed = reaches(route, caller, Sample("", place, mine=True))
            seen = reaches(ROUTES[f"GET {'projects' if 'project' in at(made, place) else 'business-units'}"], caller, Sample("", place.removesuffix(" unit")))
            is_visible = seen or (place == "key" and reaches(ROUTES["GET keys"], caller, Sample("", "key")))
            refused = frozenset({400 if not is_visible and may(route, caller) else 403})
            yield place, route.path, BODIES[route.resource](at(made, place)), DONE - {400} if allowed else refused
    elif route.name == "POST personal-tokens":
        yield "", route.path, {"name": "New", "scopes": ["keys:read"]}, frozenset({201}) if caller in ROLES else frozenset({403})
    elif route.path == route.resource:
        # a list holds nothing for whom it is not meant; the configuration is one object
        yield "", route.path, body, frozenset({200 if route.resource != "config" or may(route, caller) else 403})
    else:
        yield "", route.path, body, DONE if may(route, caller) else frozenset({403})


@pytest.mark.parametrize("caller", [*ROLES, *PROGRAMS])
def test_lists_hold_what_the_matrix_lets_one_read_and_nothing_else(caller: str) -> None:
    made = company()
    asking = made.caller(caller)
    for resource, samples in made.samples.items():
        listed = set(asking.ids(f"{resource}?limit=200"))
        # programs have no personal tokens, whatever they stand for
        seen = samples if caller in ROLES or resource != "personal-tokens" else []
        if decides_itself(ROUTES[f"GET {resource}"], caller):
            seen = []  # the objects say who reads them; nobody reads foreign ones
        readable = {sample.id for sample in seen if reaches(ROUTES[f"GET {resource}/{{id}}"], caller, sample)}
        judged = {sample.id for sample in samples if seen or sample.place == "foreign"}
        if seen or caller in HELD_IN or caller == "anyone":
            assert judged & listed == readable, resource


def test_strangers_are_told_to_sign_in_on_every_route() -> None:
    made = company()
    for route in ROUTES.values():
        target = route.path.replace("{id}", made.samples[route.resource][0].id) if "{id}" in route.path else route.path
        assert Caller().ask(route.method, target, {} if route.method in ("POST", "PATCH") else None).status_code == 401, route.name


def test_a_route_takes_its_scope_and_no_other() -> None:
    made = company()
    held = {scope: service_account(scope, (scope,))[1] for scope in SCOPES}
    for route in ROUTES.values():
        if not route.scope:
            continue
        target = route.path.replace("{id}", made.samples[route.resource][0].id) if "{id}" in route.path else route.path
        body = {} if route.method in ("POST", "PATCH") else None
        other = service_account(f"all but {route.name}"[:100], tuple(scope for scope in SCOPES if scope != route.scope))[1]
        with undone():
            refused = Caller(other).ask(route.method, target, body)
        with undone():
            allowed = Caller(held[route.scope]).ask(route.method, target, body)
        assert (refused.status_code, refused.json()["code"], route.scope in refused.json()["detail"]) == (403, "not_allowed", True), route.name
        is_others = route.cells["it_admin"] in ("named", "own") or route.name in PEOPLE_ONLY
        expected = DONE | ({403, 404} if is_others else set())
        assert allowed.status_code in expected, (route.name, allowed.content)


@pytest.mark.parametrize(("name", "field"), [(name, field) for name, fields in NARROWED_FIELDS.items() for field in fields])
def test_a_field_only_some_roles_write_is_refused_to_the_others(name: str, field: str) -> None:
    made = company()
    route = ROUTES[name]
    values = {"business_unit": f"bu_{made.unit.pk.hex}", "environment": "prod", "owner": "it_admin@example.com"}
    sample = next(sample for sample in made.samples[route.resource] if sample.place == "project")
    for role in ROLES:
        if not reaches(route, role, sample):
            continue
        body = {**(BODIES[route.resource](at(made, "project")) if route.method == "POST" else {}), field: values[field]}
        with undone():
            answer = made.caller(role).ask(route.method, route.path.replace("{id}", sample.id), body)
        told = [error["field"] for error in answer.json().get("errors", [])]
        assert (answer.status_code == 400, told) == ((False, []) if role in NARROWED_FIELDS[name][field] else (True, [field])), (role, answer.content)


def test_unknown_and_unwritable_fields_are_refused_by_name_and_change_nothing() -> None:
    made = company()
    asking = made.caller("it_admin")
    for route in ROUTES.values():
        if route.method not in ("POST", "PATCH") or (route.method == "POST" and "{id}" in route.path):
            continue
        target = route.path.replace("{id}", made.samples[route.resource][0].id) if "{id}" in route.path else route.path
        for field in ("id", "state", "digest", "is_demo", "created_by", "is_superuser"):
            with undone():
                answer = asking.ask(route.method, target, {field: "x"})
            named = [error["field"] for error in answer.json().get("errors", [])]
            assert (answer.status_code, field in named) == (400, True), (route.name, field, answer.content)
