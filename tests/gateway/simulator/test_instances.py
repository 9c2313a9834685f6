"""Values made from JSON schemas."""

from typing import Any

import pytest

from gateway.simulator.instances import instance

NODE = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}}, "required": ["next"]}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "simulated"),
        ({"type": "string", "maxLength": 3}, "sim"),
        ({"type": "string", "minLength": 11}, "simulatedxx"),
        ({"type": "string", "format": "date"}, "2025-01-01"),
        ({"type": "integer", "minimum": 3}, 3),
        ({"type": "integer", "exclusiveMinimum": 3, "multipleOf": 5}, 5),
        ({"type": "integer", "maximum": -2}, -2),
        ({"type": "number", "minimum": 0.2, "maximum": 0.4}, pytest.approx(0.3)),
        ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.5}, 0.25),
        ({"enum": ["a", "b"]}, "a"),
        ({"const": 7}, 7),
        ({"type": ["string", "null"]}, "simulated"),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [True, True]),
        ({"type": "array", "prefixItems": [{"type": "null"}], "items": False}, [None]),
        ({"allOf": [{"type": "object", "properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}}]}, {"b": 2, "a": 1}),
        ({"$ref": "#/$defs/X", "$defs": {"X": {"type": "boolean"}}}, True),
    ],
)
def test_a_value_fits_its_schema(schema: dict[str, Any], value: Any) -> None:
    assert instance(schema) == value


def test_a_schema_that_contains_itself_ends() -> None:
    value = instance({"$ref": "#/$defs/Node", "$defs": {"Node": NODE}})
    depth = 0
    while value is not None:
        value, depth = value["next"], depth + 1
    assert 1 < depth < 20


def test_texts_fill_free_strings_in_order() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "unit": {"enum": ["c"]}, "note": {"type": "string"}}}
    assert instance(schema, ("Paris",)) == {"city": "Paris", "unit": "c", "note": "simulated"}
