"""JSON schemas and Gemini's: its own notation (a subset of OpenAPI 3.0) as JSON Schema, and any JSON Schema cut down to what its API takes.

https://ai.google.dev/api/caching#Schema and https://ai.google.dev/api/generate-content#FIELDS.response_json_schema
"""

from graphlib import CycleError, TopologicalSorter
from typing import Any

from gateway.wire.gemini.fields import members, whole
from gateway.wire.given import invalid, list_, text

DEPTH_LIMIT = 48
NODES_LIMIT = 20_000
_LENGTHS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_PLAIN = frozenset({"title", "description", "default", "enum", "format", "pattern", "minimum", "maximum", "required"})
# What a JSON schema may say to Gemini; all else its API refuses or does not know.
_KEPT = _LENGTHS | _PLAIN | {"type", "items", "prefixItems", "properties", "additionalProperties", "anyOf", "oneOf", "$ref"}
_READ_ELSEWHERE = frozenset({"type", "nullable", "propertyOrdering"})
_SAYS_NOTHING = frozenset({"$schema", "$id", "$comment", "$anchor", "$vocabulary", "examples", "deprecated", "readOnly", "writeOnly"})


def plain(value: object, param: str, depth: int = 0) -> dict[str, Any]:
    """Return a schema in Gemini's notation as JSON Schema: lower-case types, `null` for nullable, numbers for numbers written as text. Raises WireError."""
    if depth > DEPTH_LIMIT:
        raise invalid(param, f"{param} is nested too deeply")
    given = members(value, param)
    made: dict[str, Any] = {}
    kind = given.get("type")
    if isinstance(kind, list):
        made["type"] = [text(one, f"{param}.type").lower() for one in kind]
    elif kind is not None and kind != "TYPE_UNSPECIFIED":
        made["type"] = text(kind, f"{param}.type").lower()
    for name, inner in given.items():
        if name in _LENGTHS:
            made[name] = whole(inner, f"{param}.{name}", 0)
        elif name in _PLAIN:
            made[name] = inner
        elif name in ("items", "additionalProperties"):
            made[name] = inner if isinstance(inner, bool) else plain(inner, f"{param}.{name}", depth + 1)
        elif name in ("properties", "defs", "$defs"):
            if not isinstance(inner, dict):
                raise invalid(f"{param}.{name}", f"{param}.{name} must be an object")
            made["$defs" if name == "defs" else name] = {key: plain(one, f"{param}.{name}.{key[:64]}", depth + 1) for key, one in inner.items()}
        elif name in ("anyOf", "oneOf", "allOf", "prefixItems"):
            made[name] = [plain(one, f"{param}.{name}[{at}]", depth + 1) for at, one in enumerate(list_(inner, f"{param}.{name}"))]
        elif name in ("ref", "$ref"):
            made["$ref"] = text(inner, f"{param}.{name}").replace("#/defs/", "#/$defs/")
        elif name == "example":
            made["examples"] = [inner]
        elif name not in _READ_ELSEWHERE:
            raise invalid(f"{param}.{name[:64]}", f"{param}.{name[:64]} is no member of a schema")
    _order(made, given.get("propertyOrdering", []), param)
    if made.get("format") == "enum":
        del made["format"]
    return _nullable(made) if given.get("nullable") is True else made


def _order(schema: dict[str, Any], wanted: object, param: str) -> None:
    """Put the properties in the order they shall be written in: models keep to it."""
    names = [text(name, f"{param}.propertyOrdering") for name in list_(wanted, f"{param}.propertyOrdering")]
    properties = schema.get("properties")
    if names and properties:
        first = {name: properties[name] for name in names if name in properties}
        schema["properties"] = first | properties


def is_strict(schema: Any) -> bool:
    """Return whether a schema leaves nothing open, as other vendors want it where it shall be kept exactly: every property required, no others allowed."""
    if isinstance(schema, list):
        return all(is_strict(one) for one in schema)
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if isinstance(properties, dict):
        required = schema.get("required")
        if schema.get("additionalProperties") is not False or not isinstance(required, list) or set(properties) - {str(name) for name in required}:
            return False
        return all(is_strict(one) for one in properties.values())
    return schema.get("type") != "object" and all(is_strict(one) for one in schema.values())


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema in whose objects nothing stands but what it names, as Google writes answers."""
    made = {name: _closed(one, name) for name, one in schema.items()}
    if "properties" in made:
        made.setdefault("additionalProperties", False)
    return made


def _closed(value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [closed(one) if isinstance(one, dict) else one for one in value]
    if not isinstance(value, dict) or name == "default":
        return value
    if name in ("properties", "$defs"):
        return {key: closed(one) if isinstance(one, dict) else one for key, one in value.items()}
    return closed(value)


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    kind = schema.get("type")
    if isinstance(kind, str):
        schema["type"] = [kind, "null"]
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
        return schema
    if isinstance(schema.get("anyOf"), list):
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    return schema


def cleaned(schema: dict[str, Any], param: str, dropped: list[str]) -> dict[str, Any]:
    """Return a JSON schema as Gemini takes it, references put in the place of what they name; keywords without a counterpart go to `dropped`.

    A schema that holds itself keeps its references. Raises WireError for one nested too deeply, or too large without its references.
    """
    if not any(name in schema for name in ("$defs", "definitions")):
        return _Cleaning({}, param, dropped).whole(schema)
    definitions = {f"#/{name}/{key}": one for name in ("$defs", "definitions") for key, one in _entries(schema.get(name)) if isinstance(one, dict)}
    rest = {name: one for name, one in schema.items() if name not in ("$defs", "definitions")}
    if not _is_circular(rest, definitions):
        return _Cleaning(definitions, param, dropped).whole(rest)
    cleaning = _Cleaning({}, param, dropped)
    made = cleaning.whole(rest)
    made["$defs"] = {reference.rpartition("/")[2]: cleaning.clean(one, 1) for reference, one in definitions.items()}
    return made


def _entries(value: object) -> list[tuple[str, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _is_circular(rest: dict[str, Any], definitions: dict[str, dict[str, Any]]) -> bool:
    graph = {reference: _references(one) for reference, one in definitions.items()}
    if any("#" in found for found in (*graph.values(), _references(rest))):
        return True
    try:
        TopologicalSorter(graph).prepare()
    except CycleError:
        return True
    return False


def _references(schema: dict[str, Any]) -> set[str]:
    found, left = set(), [schema]
    while left:
        value: Any = left.pop()
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                found.add(value["$ref"])
            left += value.values()
        elif isinstance(value, list):
            left += value
    return found


class _Cleaning:
    """Cleans one schema; `definitions` are put in the place of references to them."""

    def __init__(self, definitions: dict[str, dict[str, Any]], param: str, dropped: list[str]) -> None:
        self._definitions, self._param, self._dropped = definitions, param, dropped
        # references to references can stand for more than any memory holds
        self._left = NODES_LIMIT

    def whole(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return a schema from its top cleaned."""
        made: dict[str, Any] = self.clean(schema, 0)
        return made

    def clean(self, schema: Any, depth: int) -> Any:
        """Return a schema cleaned."""
        self._left -= 1
        if depth > DEPTH_LIMIT or self._left < 0:
            raise invalid(self._param, f"{self._param} is nested too deeply, or too large once its references are resolved")
        if not isinstance(schema, dict):
            return {} if schema is True else schema
        schema = _merged(schema)
        reference = schema.get("$ref")
        if isinstance(reference, str) and reference in self._definitions:
            return self.clean({**self._definitions[reference], **{name: one for name, one in schema.items() if name != "$ref"}}, depth + 1)
        made: dict[str, Any] = {}
        for name, one in schema.items():
            if name == "properties":
                made[name] = {key: self.clean(inner, depth + 1) for key, inner in _entries(one)}
            elif name in ("items", "additionalProperties"):
                made[name] = one if isinstance(one, bool) else self.clean(one, depth + 1)
            elif name in ("anyOf", "oneOf", "prefixItems") and isinstance(one, list):
                made["anyOf" if name == "oneOf" else name] = [self.clean(inner, depth + 1) for inner in one]
            elif name in _KEPT:
                made[name] = _plain_reference(one) if name == "$ref" else one
            elif not _bound(made, schema, name, one) and name not in _SAYS_NOTHING:
                self._drop(name)
        return made

    def _drop(self, keyword: str) -> None:
        name = "schema." + ("".join(letter for letter in keyword if letter.isascii() and letter.isalnum())[:40] or "other")
        if name not in self._dropped:
            self._dropped.append(name)


def _plain_reference(reference: Any) -> Any:
    return reference.replace("#/definitions/", "#/$defs/") if isinstance(reference, str) else reference


def _bound(made: dict[str, Any], schema: dict[str, Any], name: str, value: Any) -> bool:
    """Say a constant and an exclusive border of whole numbers the way Gemini knows."""
    if name == "const":
        made["enum"] = [value]
        return True
    is_whole = schema.get("type") == "integer" and type(value) is int
    if name == "exclusiveMinimum" and is_whole:
        made["minimum"] = value + 1
        return True
    if name == "exclusiveMaximum" and is_whole:
        made["maximum"] = value - 1
        return True
    return False


def _merged(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema whose `allOf` has one member with that member in its place, as schema generators write a described reference."""
    every = schema.get("allOf")
    if isinstance(every, list) and len(every) == 1 and isinstance(every[0], dict):
        return {**every[0], **{name: one for name, one in schema.items() if name != "allOf"}}
    return schema
