"""Reads the few fields of an OpenAI chat or embeddings request that the gateway itself needs; everything else passes."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.wire import Head, WireError
from gateway.wire.given import misfit

MOST_OUTPUT_TOKENS = 10_000_000
MOST_ANSWERS = 128


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Fields(msgspec.Struct):
    model: str
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    user: str | None = None
    safety_identifier: str | None = None
    n: int | None = None


_convert = msgspec.convert


def read_head(parsed: Mapping[str, Any]) -> Head:
    """Return what the gateway reads of a request; an output limit is for all answers together. Raises WireError("invalid_request")."""
    try:
        fields = _convert(parsed, _Fields)
    except msgspec.ValidationError as error:
        raise misfit(error) from None
    output_tokens = fields.max_completion_tokens or fields.max_tokens or 0
    if not 0 <= output_tokens <= MOST_OUTPUT_TOKENS:
        name = "max_completion_tokens" if fields.max_completion_tokens else "max_tokens"
        raise WireError("invalid_request", "The output limit must be between 0 and 10 000 000 tokens.", name)
    options = fields.stream_options
    wants_usage = options is not None and bool(options.include_usage)
    # by position: a third of the time by name
    head = Head(fields.model, bool(fields.stream), output_tokens, wants_usage, fields.safety_identifier or fields.user or "")
    return head if fields.n is None or fields.n == 1 else _several(head, fields.n)


def _several(head: Head, answers: int) -> Head:
    if not 1 <= answers <= MOST_ANSWERS:
        raise WireError("invalid_request", f"n must be from 1 to {MOST_ANSWERS}", "n")
    return msgspec.structs.replace(head, max_output_tokens=answers * head.max_output_tokens, answers=answers)
