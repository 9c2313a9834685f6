"""Reads how long Google wants to be left alone: its errors say it in a RetryInfo, and no header does. https://google.aip.dev/194"""

import math
from typing import Any

import orjson

_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"
_LONGEST_S = 86_400.0


def read_wait(body: bytes) -> float | None:
    """Return the seconds an error's RetryInfo asks for ("17.5s"), at most a day; None where it has none."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    details = _of(_of(value[0] if isinstance(value, list) and value else value, "error"), "details")
    for detail in details if isinstance(details, list) else ():
        if _of(detail, "@type") == _RETRY_INFO:
            return _seconds(_of(detail, "retryDelay"))
    return None


def _of(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _seconds(told: object) -> float | None:
    try:
        wait_s = float(told.removesuffix("s")) if isinstance(told, str) else math.nan
    except ValueError:
        return None
    return min(wait_s, _LONGEST_S) if wait_s >= 0 else None
