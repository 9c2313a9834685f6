"""PATCH as directories send it: what is tidied before the protocol's own reading, and whether anything came of it."""

from typing import Any

from scim2_models import Resource


def tidied(body: Any) -> Any:
    """Return the body of a PATCH with the members to remove named by `value` alone: Entra sends an empty `$ref` beside it, which would match nobody."""
    if not isinstance(body, dict):
        return body
    return {name: [_tidied(operation) for operation in value] if isinstance(value, list) else value for name, value in body.items()}


def _tidied(operation: Any) -> Any:
    value = operation.get("value") if isinstance(operation, dict) else None
    if not isinstance(value, list) or str(operation.get("op")).lower() != "remove":
        return operation
    return {**operation, "value": [{"value": entry["value"]} if isinstance(entry, dict) and "value" in entry else entry for entry in value]}


def kept(resource: Resource[Any]) -> dict[str, Any]:
    """Return what of a resource is kept here: neither its schemas, which are given, nor what describes it."""
    return resource.model_dump(exclude={"schemas", "meta"})
