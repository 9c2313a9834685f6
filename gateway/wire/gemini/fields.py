"""Reads members of a Gemini request. Protocol buffers take camelCase and snake_case names alike, numbers as text, and null for what was not said."""

import math
import re
from functools import lru_cache
from typing import Any

import orjson

from gateway.wire.given import invalid, list_

_UNDERSCORE = re.compile(r"_+([a-zA-Z0-9])")
_WHOLE = re.compile(r"-?\d{1,18}\Z")


@lru_cache(1024)
def camel(name: str) -> str:
    """Return a member's name in camelCase."""
    return _UNDERSCORE.sub(lambda found: found[1].upper(), name) if "_" in name else name


def members(value: object, param: str) -> dict[str, Any]:
    """Return an object's members that say something, by their camelCase names. Raises WireError for no object and for a member given twice."""
    if not isinstance(value, dict):
        raise invalid(param, f"{param} must be an object")
    found = {}
    for name, inner in value.items():
        plain = camel(name)
        if plain in found:
            raise invalid(f"{param}.{plain}" if param else plain, f"{plain} is given twice, as camelCase and as snake_case")
        found[plain] = inner
    return {name: inner for name, inner in found.items() if inner is not None} if None in found.values() else found


def several(value: object, param: str) -> list[Any]:
    """Return a repeated member; an object alone is a list of one, as Google takes it and writes it in its own examples."""
    return [value] if isinstance(value, dict) else list_(value, param)


def whole(value: object, param: str, least: int, most: int = 2**63 - 1) -> int:
    """Return a whole number, which may be written as text or with a zero fraction."""
    if (isinstance(value, str) and _WHOLE.match(value)) or (isinstance(value, float) and math.isfinite(value) and value == int(value)):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise invalid(param, f"{param} must be a whole number from {least} to {most}")
    return value


def drop_others(found: dict[str, Any], known: frozenset[str], param: str, dropped: list[str]) -> None:
    """Note the members nobody reads."""
    if not found.keys() <= known:
        dropped += [f"{param}.{name}" if param else name for name in found if name not in known]


def json_text(value: object, param: str) -> str:
    """Return a value as JSON text. Raises WireError for what no JSON text can say."""
    try:
        return orjson.dumps(value).decode()
    except (orjson.JSONEncodeError, UnicodeDecodeError):
        raise invalid(param, f"{param} is not valid JSON") from None
