"""The OpenAPI document: valid, complete, browsable, and true under hostile input."""

from typing import Any

import pytest
import requests
import schemathesis
import yaml
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from openapi_spec_validator import validate

from accounts.access.matrix import PUBLIC, ROUTES
from tests.gateway.api.callers import service_account

EXAMPLES_PER_ROUTE = 12


@pytest.fixture
def document() -> dict[str, Any]:
    answer = Client(headers={"host": "localhost"}).get("/api/schema/")
    assert answer.status_code == 200
    read: dict[str, Any] = yaml.safe_load(answer.content)
    return read


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


@pytest.mark.django_db
@pytest.mark.parametrize(("method", "route"), [(route.method, route.path) for route in ROUTES.values()])
def test_no_input_makes_the_api_fail(method: str, route: str, document: dict[str, Any]) -> None:
    token = service_account()[1]
    schema = schemathesis.openapi.from_dict(document)
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
        assert "html" not in str(answer.headers.get("content-type", ""))

    probe()
