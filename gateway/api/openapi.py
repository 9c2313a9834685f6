"""Completes the OpenAPI document with what holds for every route: problems, headers, examples; and writes it down."""

import re
from typing import Any

from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer

from accounts.access.matrix import PUBLIC
from gateway.api.examples import example

PROBLEM, SHOWN = "application/problem+json", {"$ref": "#/components/schemas/ProblemShown"}
# Status: name, code and what it means.
PROBLEMS = {
    "400": ("InvalidRequest", "invalid_request", "The body, a parameter or the wish itself is wrong; `errors` names fields."),
    "401": ("NotAuthenticated", "not_authenticated", "There is no credential, or it is not good."),
    "403": ("NotAllowed", "not_allowed", "Your role, your scopes or your session do not allow it."),
    "404": ("NotFound", "not_found", "There is no such object, or it is not yours to see."),
    "409": ("Conflict", "conflict", "The state of the object, or another one, stands in the way."),
    "412": ("ChangedMeanwhile", "changed_meanwhile", "Somebody changed it since you read the version in `If-Match`."),
    "413": ("TooLarge", "request_too_large", "A body may have 1 MiB."),
    "415": ("UnsupportedMediaType", "unsupported_media_type", "Send JSON."),
    "422": ("KeyReused", "idempotency_key_reused", "The `Idempotency-Key` was used for another request."),
    "429": ("TooMany", "throttled", "Too many from one address; `Retry-After` says when to come again."),
    "503": ("DatabaseAway", "dependency_unavailable", "The database cannot be asked at the moment; `Retry-After` says when to come again."),
}
SAID = {
    "200": "Done, or found.",
    "201": "Made; `Location` is its address.",
    "202": "Part of it waits for a second person: the request in `X-Sgw-Waits-For`.",
}
HEADERS = {
    "ETag": {"description": "The version, for `If-Match` and `If-None-Match`.", "schema": {"type": "string"}},
    "Location": {"description": "Address of what was made.", "schema": {"type": "string"}},
    "X-Sgw-Waits-For": {"description": "The request that waits for a second person.", "schema": {"type": "string"}},
}


def made() -> dict[str, Any]:
    """Return the document; making it takes a second or more."""
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return found


def document() -> tuple[str, bool]:
    """Return the document as YAML, and whether it was made without a single doubt of the generator."""
    GENERATOR_STATS.reset()
    found = made()
    is_sure = not GENERATOR_STATS
    return OpenApiYamlRenderer().render(found, renderer_context={}).decode(), is_sure  # type: ignore[no-untyped-call]


def complete(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add to the generated document; called by drf-spectacular as the last step."""
    components = result["components"]
    components["responses"] = {name: _problem(int(status), name, code, said) for status, (name, code, said) in PROBLEMS.items()}
    components["responses"]["Problem"] = {"description": "What is wrong and what to do.", "content": {PROBLEM: {"schema": SHOWN}}}
    components["headers"] = HEADERS
    closed: set[str] = set()
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            _complete(f"{method.upper()} {path.removeprefix('/api/v1/')}", operation)
            for content in operation.get("requestBody", {}).get("content", {}).values():
                _close(content["schema"], components["schemas"], closed)
    for schema in components["schemas"].values():
        for field in schema.get("properties", {}).values():
            _plain(field)
            field["description"] = _told(field.get("description", ""))
            if not field["description"]:
                del field["description"]
    return result


def _plain(schema: dict[str, Any]) -> None:
    """Take away the generator's own notes on enumerations."""
    schema.pop("x-spec-enum-id", None)
    for inner in (schema.get("items"), schema.get("additionalProperties"), *schema.get("oneOf", [])):
        if isinstance(inner, dict):
            _plain(inner)


def _told(said: str) -> str:
    """Return the description of a field: what a method's docstring returns or says is what the field is."""
    bare = re.sub(r"^(Return|Say) ", "", said)
    return bare[:1].upper() + bare[1:]


def _problem(status: int, name: str, code: str, said: str) -> dict[str, Any]:
    title = code.replace("_", " ").capitalize()
    shown = {"type": f"urn:symbiosis:problem:{code}", "title": title, "status": status, "code": code, "detail": said}
    if status == 400:
        shown["errors"] = [{"field": "amount", "detail": "What is wrong with it and what to do."}]
    return {"description": said, "content": {PROBLEM: {"schema": SHOWN, "example": shown}}}


def _complete(route: str, operation: dict[str, Any]) -> None:
    method, _, path = route.partition(" ")
    answers = operation["responses"]
    for status, answer in answers.items():
        answer["description"] = answer.get("description") or SAID.get(status, "")
        names = _headers(method, path, status)
        if names:
            answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    for status in _statuses(method, path, operation):
        answers[status] = {"$ref": f"#/components/responses/{PROBLEMS[status][0]}"}
    answers["default"] = {"$ref": "#/components/responses/Problem"}
    operation["responses"] = dict(sorted(answers.items()))
    for content in operation.get("requestBody", {}).get("content", {}).values():
        content["example"] = example(route)


def _headers(method: str, path: str, status: str) -> list[str]:
    shows_one = "{id}" in path or status == "201"
    has_version = shows_one and method != "DELETE" and status in ("200", "201", "202", "304") and not re.search(r"/(file|deliveries|add-models)$", path)
    names = ["ETag"] if has_version else []
    return names + {"201": ["Location"], "202": ["X-Sgw-Waits-For"]}.get(status, [])


def _statuses(method: str, path: str, operation: dict[str, Any]) -> list[str]:
    """Return with which problems a route may answer."""
    found = ["400", "429", "503"] if f"{method} {path}" in PUBLIC else ["401", "403", "503"]
    names = {parameter["name"] for parameter in operation.get("parameters", [])}
    found += ["404"] if "{id}" in path else []
    found += ["400"] if method != "GET" or names - {"id"} else []
    found += ["409"] if (method != "GET" and "429" not in found) or path.endswith("/file") else []
    found += ["412"] if "If-Match" in names else []
    found += ["422"] if "Idempotency-Key" in names else []
    return found + (["413", "415"] if "requestBody" in operation else [])


def _close(schema: dict[str, Any], schemas: dict[str, Any], closed: set[str]) -> None:
    """Say of every object of a request that it takes no other fields, as the API refuses them."""
    for inner in (schema.get("items"), *schema.get("allOf", []), *schema.get("properties", {}).values()):
        if isinstance(inner, dict):
            _close(inner, schemas, closed)
    name = schema.get("$ref", "").rpartition("/")[2]
    if name and name not in closed:
        closed.add(name)
        _close(schemas[name], schemas, closed)
    if schema.get("properties") and "additionalProperties" not in schema:
        schema["additionalProperties"] = False
