"""The OpenAPI document: valid, complete, browsable, and true under hostile input."""

import json
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
import yaml
from django.conf import settings as django_settings
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from accounts.access.matrix import PUBLIC, ROUTES
from gateway.api.openapi import document as written
from tests.gateway.api.callers import service_account
from tests.gateway.api.company import BODIES, MADE_IN, at, company, undone

EXAMPLES_PER_ROUTE = 12


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    answer = Client(headers={"host": "localhost"}).get("/api/schema/")
    assert answer.status_code == 200
    read: dict[str, Any] = yaml.load(answer.content, yaml.CSafeLoader)
    return read


def test_the_document_kept_in_the_documentation_is_the_one_that_is_served_and_was_made_without_doubts(document: dict[str, Any]) -> None:
    text, is_sure = written()
    kept = (Path(django_settings.BASE_DIR) / "docs" / "reference" / "openapi.yaml").read_text()
    assert (is_sure, kept == text, yaml.load(kept, yaml.CSafeLoader) == document) == (True, True, True), "run manage.py openapi"


def test_the_document_is_given_as_json_to_the_page_which_asks_for_that(document: dict[str, Any]) -> None:
    answer = Client(headers={"host": "localhost", "accept": "application/json,*/*"}).get("/api/schema/")
    assert (answer.headers["Content-Type"].split(";")[0], json.loads(answer.content)) == ("application/json", document)


def test_every_route_says_what_it_does_how_it_is_called_and_how_it_refuses(document: dict[str, Any]) -> None:
    wrong = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            answers = set(operation["responses"])
            asked = {"200", "201", "202", "204"} & answers and ({"401", "403"} <= answers or f"{method.upper()} {path[8:]}" in PUBLIC) and "default" in answers
            asked = asked and ("404" in answers) == ("{id}" in path) and (method == "get" or "400" in answers)
            if not (asked and operation["summary"] and len(operation["summary"]) <= 120):
                wrong.append((method, path, sorted(answers), operation.get("summary")))
    assert wrong == []


def test_every_example_is_what_its_route_takes(document: dict[str, Any]) -> None:
    resolver = {"components": document["components"]}
    wrong = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for media, content in operation.get("requestBody", {}).get("content", {}).items():
                found = OAS31Validator({**content["schema"], **resolver}).iter_errors(content["example"])
                wrong += [(method, path, media, error.message) for error in found]
    assert wrong == []


def test_bodies_refuse_other_fields_in_the_document_as_in_the_api(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert [schemas[name]["additionalProperties"] for name in ("KeyGiven", "BudgetGiven", "ScopeGiven", "PatchedKeyChange")] == [False] * 4
    assert schemas["ProviderGiven"]["properties"]["credential"]["writeOnly"] is True
    assert "credential" not in schemas["ProviderShown"]["properties"]


def test_the_document_is_valid_and_names_every_route_with_its_scope(document: dict[str, Any]) -> None:
    validate(document)  # type: ignore[arg-type]
    told = {
        (method.upper(), path.removeprefix("/api/v1/"), operation["description"].rpartition("Scope: ")[2].strip("`"))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert told == {(route.method, route.path, route.scope or "none") for route in ROUTES.values()} | {(*route.split(" "), "none") for route in PUBLIC}


def test_the_page_needs_no_inline_script_and_no_other_host() -> None:
    browser = Client(headers={"host": "localhost"})
    page = browser.get("/api/docs/")
    html = page.content.decode()
    assert "unsafe-inline" not in page.headers["Content-Security-Policy"]
    assert ("<script>" in html, "style=" in html, "http://" in html, "https://" in html) == (False, False, False, False)
    script = browser.get("/api/docs/?script=")
    assert (script.status_code, script.headers["Content-Type"].split(";")[0]) == (200, "application/javascript")


@pytest.fixture(scope="module")
def schema(document: dict[str, Any]) -> Any:
    return schemathesis.openapi.from_dict(document)


def unlike(document: dict[str, Any], path: str, method: str, answer: Any) -> list[str]:
    """Return in what an answer differs from what the document says of its status."""
    told = document["paths"][path][method.lower()]["responses"]
    said = told.get(str(answer.status_code), told["default"])
    if "$ref" in said:
        said = document["components"]["responses"][said["$ref"].rpartition("/")[2]]
    media = str(answer.headers.get("content-type", "")).partition(";")[0]
    if media not in said.get("content", {"": {}}):
        return [f"{answer.status_code} as {media!r}"]
    if not media.endswith("json") or answer.streaming:
        return []
    return [error.message for error in OAS31Validator({**said["content"][media]["schema"], "components": document["components"]}).iter_errors(answer.json())]


@pytest.mark.once
@pytest.mark.django_db
def test_answers_about_what_is_there_are_as_the_document_says(document: dict[str, Any]) -> None:
    made = company()
    wrong, seen = [], set()
    for role in ("it_admin", "finance"):
        asking = made.caller(role)
        for route in ROUTES.values():
            sample = next((sample.id for sample in made.samples.get(route.resource, []) if sample.place != "foreign"), "")
            place = MADE_IN.get(route.resource, ("platform",))[0]
            makes = route.method == "POST" and route.path == route.resource and route.resource in BODIES
            body = BODIES[route.resource](at(made, place)) if makes else {} if route.method in ("POST", "PATCH") else None
            with undone():
                answer = asking.ask(route.method, route.path.replace("{id}", sample), body)
            seen |= {route.name} if answer.status_code < 300 else set()
            wrong += [(route.name, answer.status_code, said) for said in unlike(document, f"/api/v1/{route.path}", route.method, answer)]
    assert wrong == []
    shown = {f"GET {resource}{end}" for resource in made.samples for end in ("", "/{id}")} - {"GET exports/{id}", "GET personal-tokens/{id}"}
    assert shown - seen == set()


@pytest.mark.once
@pytest.mark.django_db
@pytest.mark.parametrize(("method", "route"), [(route.method, route.path) for route in ROUTES.values()])
def test_no_input_makes_the_api_fail_and_every_answer_is_as_the_document_says(method: str, route: str, document: dict[str, Any], schema: Any) -> None:
    token = service_account()[1]
    browser = Client(raise_request_exception=False)
    operation = schema[f"/api/v1/{route}"][method]
    cases = operation.as_strategy() | operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE)

    @settings(max_examples=EXAMPLES_PER_ROUTE, deadline=None, database=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def probe(case: Any) -> None:
        made = requests.Request(**case.as_transport_kwargs(base_url="http://localhost")).prepare()
        headers = {**made.headers, "authorization": f"Bearer {token}", "host": "localhost"}
        content_type = headers.pop("Content-Type", "application/json")
        answer = browser.generic(str(made.method), made.path_url, made.body or b"", content_type, headers=headers)
        assert answer.status_code < 500, (case.as_curl_command(), answer.content)
        assert unlike(document, f"/api/v1/{route}", method, answer) == [], (case.as_curl_command(), answer.content)

    probe()
