"""Reads what is told about a response that is made in the background: whether it is over, and what became of it. Knows no prices."""

import msgspec

from gateway.wire import BatchResult, BatchTold, WireError, Working

# in these states it goes on (https://platform.openai.com/docs/guides/background)
UNDER_WAY = frozenset({"queued", "in_progress"})
_NULL = msgspec.Raw(b"null")


class _Told(msgspec.Struct):
    id: str
    status: str
    usage: msgspec.Raw = _NULL


_TOLD = msgspec.json.Decoder(_Told)


def read_told(body: bytes) -> BatchTold:
    """Return what is told about a response: once it is over, what became of it. Raises WireError."""
    try:
        told = _TOLD.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise WireError("garbage", "the provider's answer is not about a response") from None
    if told.status in UNDER_WAY:
        return BatchTold(told.id, False)
    return BatchTold(told.id, True, results=(_result(told, body),))


def _result(told: _Told, body: bytes) -> BatchResult:
    # what was done before it failed or was cancelled is billed where the vendor says how much that was
    if told.status in ("completed", "incomplete") or bytes(told.usage) != b"null":
        return BatchResult("", 200, body)
    if told.status == "cancelled":
        return BatchResult("", 0, error_code="response_cancelled")
    return BatchResult("", 502, error_code="response_failed")


WORKING = {"responses": Working("response", read_told)}
