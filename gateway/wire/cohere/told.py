"""What Cohere's SDK is told instead of an answer."""

from collections.abc import Mapping
from typing import Any

import orjson


def error_body(status: int, code: str, kind: str, message: str, param: str | None, detail: Mapping[str, Any]) -> bytes:
    """Return a refusal as the SDK reads it, with our own words for it beside."""
    return orjson.dumps({"message": message, "sgw": {"code": code, "param": param, **detail}})


def error_event(status: int, code: str, kind: str, message: str, param: str | None, detail: Mapping[str, Any]) -> bytes:
    """Return a refusal as the last event of a stream: an answer that ended with an error."""
    delta = {"error": message, "finish_reason": "ERROR"}
    told = orjson.dumps({"type": "message-end", "delta": delta, "sgw": {"code": code, "param": param, **detail}})
    return b"event: message-end\ndata: %b\n\n" % told
