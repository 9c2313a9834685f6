"""Reads the few fields of a Responses request that the gateway itself needs; everything else passes."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.wire import Head, WireError

MOST_OUTPUT_TOKENS = 10_000_000


class _Fields(msgspec.Struct):
    model: str
    stream: bool | None = None
    max_output_tokens: int | None = None
    user: str | None = None
    safety_identifier: str | None = None
    background: bool | None = None


def read_head(parsed: Mapping[str, Any]) -> Head:
    """Return what the gateway reads of a request. Raises WireError("invalid_request"), and "unsupported_field" for work in the background."""
    try:
        fields = msgspec.convert(parsed, _Fields)
    except msgspec.ValidationError as error:
        raise WireError("invalid_request", f"The request does not fit: {error}.") from None
    output_tokens = fields.max_output_tokens or 0
    if not 0 <= output_tokens <= MOST_OUTPUT_TOKENS:
        raise WireError("invalid_request", "The output limit must be between 0 and 10 000 000 tokens.", "max_output_tokens")
    if fields.background:
        # an answer that nobody waits for tells its usage to nobody: it could neither be held against a budget nor be billed
        raise WireError("unsupported_field", "background is not served by this gateway: leave it out, and use stream for long answers.", "background")
    return Head(fields.model, bool(fields.stream), output_tokens, True, fields.safety_identifier or fields.user or "")
