"""What Ollama's SDK is told instead of an answer."""

from collections.abc import Mapping
from typing import Any

import orjson


def error_body(status: int, code: str, kind: str, message: str, param: str | None, detail: Mapping[str, Any]) -> bytes:
    """Return a refusal as the SDK reads it, with our own words for it beside."""
    return orjson.dumps({"error": message, "sgw": {"code": code, "param": param, **detail}})


def error_event(status: int, code: str, kind: str, message: str, param: str | None, detail: Mapping[str, Any]) -> bytes:
    """Return a refusal as the last line of a stream."""
    return error_body(status, code, kind, message, param, detail) + b"\n"
