"""Makes a value that is valid under a JSON schema, the same one every time. Knows nothing about prompts or wires."""

import math
from typing import Any

DEEPEST = 8
FORMATS = {
    "date-time": "2025-01-01T00:00:00Z",
    "date": "2025-01-01",
    "time": "00:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "https://example.com/",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
}


def instance(schema: Any, texts: tuple[str, ...] = (), root: Any = None, depth: int = 0) -> Any:
    """Return a valid value; `texts` are preferred, in order, for free strings. Regular expressions (`pattern`) are not solved."""
    if not isinstance(schema, dict):
        return "simulated"
    root = schema if root is None else root
    schema = _resolved(schema, root)
    for fixed in ("const", "default"):
        if fixed in schema:
            return schema[fixed]
    if schema.get("enum"):
        return schema["enum"][0]
    if schema.get("examples"):
        return schema["examples"][0]
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return instance(_simplest(options) if depth > DEEPEST else options[0], texts, root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = "null" if depth > DEEPEST and "null" in kind else kind[0]
    return _made(kind, schema, texts, root, depth)


def _made(kind: str, schema: dict[str, Any], texts: tuple[str, ...], root: Any, depth: int) -> Any:
    if kind == "object":
        return _object(schema, texts, root, depth)
    if kind == "array":
        return _array(schema, texts, root, depth)
    if kind in ("integer", "number"):
        return _number(schema, whole=kind == "integer")
    if kind == "boolean":
        return True
    return None if kind == "null" else _string(schema, texts)


def _resolved(schema: dict[str, Any], root: Any) -> dict[str, Any]:
    for _ in range(16):
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#"):
            break
        found = root
        for step in reference.strip("#/").split("/") if reference.strip("#/") else ():
            found = found.get(step.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, dict) else {}
        schema = {**found, **{name: value for name, value in schema.items() if name != "$ref"}} if isinstance(found, dict) else {}
    for part in schema.get("allOf") or ():
        part = _resolved(part, root)
        schema = {**part, **schema, "properties": {**part.get("properties", {}), **schema.get("properties", {})}}
    return schema


def _simplest(options: list[Any]) -> Any:
    simple = [
        option
        for option in options
        if isinstance(option, dict) and option.get("type") in ("null", "string", "number", "integer", "boolean")
    ]
    return (simple or options)[0]


def _object(schema: dict[str, Any], texts: tuple[str, ...], root: Any, depth: int) -> dict[str, Any]:
    required = schema.get("required") or ()
    made: dict[str, Any] = {}
    for name, inner in (schema.get("properties") or {}).items():
        if name in required or depth < DEEPEST:
            made[name] = instance(inner, texts, root, depth + 1) if depth < 2 * DEEPEST else None
            if made[name] in texts and isinstance(made[name], str):
                texts = texts[1:]
    return made


def _array(schema: dict[str, Any], texts: tuple[str, ...], root: Any, depth: int) -> list[Any]:
    made = [instance(item, texts, root, depth + 1) for item in schema.get("prefixItems") or ()]
    least = int(schema.get("minItems", 0 if depth > DEEPEST else 1))
    wanted = min(least if depth > DEEPEST else max(least, 1), int(schema.get("maxItems", 1_000)), 1_000)
    items = schema.get("items", {"type": "string"})
    while len(made) < wanted and items is not False:
        made.append(instance(items, texts, root, depth + 1))
    return made


def _number(schema: dict[str, Any], whole: bool) -> int | float:
    step = schema.get("multipleOf") or (1 if whole else 0.5)
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    most = schema.get("maximum", schema.get("exclusiveMaximum"))
    if least is None:
        value = 0 if most is None or most > 0 or (most == 0 and "maximum" in schema) else math.floor(most / step) * step
        value = value - step if value == schema.get("exclusiveMaximum") else value
    else:
        value = math.ceil(least / step) * step
        value = value + step if value == schema.get("exclusiveMinimum") else value
        if most is not None and (value > most or value == schema.get("exclusiveMaximum")):
            value = (least + most) / 2
    return int(value) if whole else float(value)


def _string(schema: dict[str, Any], texts: tuple[str, ...]) -> str:
    text = FORMATS.get(schema.get("format", "")) or (texts[0] if texts else "simulated")
    least, most = int(schema.get("minLength", 0)), int(schema.get("maxLength", 100_000))
    return text.ljust(min(least, 100_000), "x")[:most]
