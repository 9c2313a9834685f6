"""Reads the few fields of a Messages request that the gateway itself needs; everything else passes."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.wire import Head, WireError
from gateway.wire.given import misfit

MOST_OUTPUT_TOKENS = 10_000_000


class _Metadata(msgspec.Struct):
    user_id: str | None = None


class _Fields(msgspec.Struct):
    model: str
    stream: bool | None = None
    max_tokens: int | None = None
    metadata: _Metadata | None = None


_convert = msgspec.convert


def read_head(parsed: Mapping[str, Any]) -> Head:
    """Return what the gateway reads of a request. Raises WireError("invalid_request")."""
    try:
        fields = _convert(parsed, _Fields)
    except msgspec.ValidationError as error:
        raise misfit(error) from None
    output_tokens = fields.max_tokens or 0
    if not 0 <= output_tokens <= MOST_OUTPUT_TOKENS:
        raise WireError("invalid_request", "max_tokens must be between 1 and 10 000 000.", "max_tokens")
    # by position: a third of the time by name
    return Head(fields.model, bool(fields.stream), output_tokens, True, (fields.metadata.user_id or "") if fields.metadata is not None else "")
