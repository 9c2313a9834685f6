"""Changes a request that else passes unchanged: takes other vendors' sealed reasoning out, which Google would not believe, and names its model."""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from gateway.wire import given as read
from gateway.wire.gemini import thoughts
from gateway.wire.gemini.contents import UNSIGNED

_SIGNATURES = ("thoughtSignature", "thought_signature")
_CALLS = ("functionCall", "function_call")
# where bodies name models, although the path does already
_NAMED_IN = ("model", "requests", "generateContentRequest", "generate_content_request")


def without_foreign(fields: Mapping[str, msgspec.Raw]) -> Mapping[str, bytes | None]:
    """Return the fields to change; none where nothing sealed is there. Raises WireError."""
    if "contents" not in fields:
        return {}
    contents = read.value("contents", fields["contents"])
    found = [_clean(content) for content in contents if isinstance(content, dict)] if isinstance(contents, list) else []
    return {"contents": orjson.dumps([content for content in contents if content.get("parts") != []])} if any(found) else {}


def _clean(content: dict[str, Any]) -> bool:
    parts = content.get("parts")
    if not isinstance(parts, list):
        return False
    sealed = [part for part in parts if isinstance(part, dict) and _is_foreign(part)]
    if not sealed:
        return False
    content["parts"] = [part for part in parts if part not in sealed or _says_something(part)]
    for part in sealed:
        for name in _SIGNATURES:
            part.pop(name, None)
    first = next((part for part in content["parts"] if isinstance(part, dict) and any(name in part for name in _CALLS)), None)
    if first is not None and not any(name in first for name in _SIGNATURES):
        first["thoughtSignature"] = UNSIGNED
    return True


def _is_foreign(part: dict[str, Any]) -> bool:
    kept = next((part[name] for name in _SIGNATURES if name in part), None)
    return isinstance(kept, str) and bool(kept) and thoughts.read(kept, "contents").signed_by != thoughts.NAME


def _says_something(part: dict[str, Any]) -> bool:
    return not part.get("thought") and bool(part.get("text") or any(name in part for name in _CALLS))


def rename_model(fields: Mapping[str, msgspec.Raw], model: str) -> Mapping[str, bytes | None]:
    """Return the fields to change where a body repeats the model its path names; none where it does not. Raises WireError."""
    named = model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
    changes: dict[str, bytes | None] = {}
    for name in _NAMED_IN:
        if name not in fields:
            continue
        value = read.value(name, fields[name])
        if name == "model":
            value = named
        else:
            for inner in value if isinstance(value, list) else [value]:
                if isinstance(inner, dict) and "model" in inner:
                    inner["model"] = named
        changes[name] = orjson.dumps(value)
    return changes
