"""Reads the few fields of a Responses request that the gateway itself needs; everything else passes."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.terms import Besides, Ties
from gateway.wire import Head, WireError
from gateway.wire.given import misfit
from gateway.wire.openai_responses.items import is_reference
from gateway.wire.searches import most_searches, searching

MOST_OUTPUT_TOKENS = 10_000_000


class _Fields(msgspec.Struct):
    model: str
    stream: bool | None = None
    max_output_tokens: int | None = None
    user: str | None = None
    safety_identifier: str | None = None
    background: bool | None = None
    store: bool | None = None
    previous_response_id: str | None = None
    conversation: object = None
    prompt: object = None


def read_head(parsed: Mapping[str, Any]) -> Head:
    """Return what the gateway reads of a request. Raises WireError("invalid_request"), and "unsupported_field" for what belongs to a vendor's account."""
    try:
        fields = msgspec.convert(parsed, _Fields)
    except msgspec.ValidationError as error:
        raise misfit(error) from None
    output_tokens = fields.max_output_tokens or 0
    if not 0 <= output_tokens <= MOST_OUTPUT_TOKENS:
        raise WireError("invalid_request", "The output limit must be between 0 and 10 000 000 tokens.", "max_output_tokens")
    if fields.prompt is not None:
        # made in the vendor's console, for everybody who holds the account's credential
        raise WireError("unsupported_field", "prompt is not served by this gateway: write what it says into instructions and input.", "prompt")
    ties = Ties(
        fields.previous_response_id or "",
        _references(parsed.get("input")),
        fields.store is not False,
        goes_on=fields.background is True,
        in_conversation=fields.conversation is not None,
    )
    return Head(fields.model, bool(fields.stream), output_tokens, True, fields.safety_identifier or fields.user or "", ties=ties, besides=_besides(parsed))


def _besides(parsed: Mapping[str, Any]) -> Besides | None:
    """Return the web searches that a request may have the vendor make, None for none; one limit is for all the vendor's own tools together."""
    searches = most_searches([parsed.get("max_tool_calls")] if searching(parsed.get("tools")) else [])
    return Besides(searches) if searches else None


def _references(given: object) -> tuple[str, ...]:
    """Return the ids of stored items that stand for themselves in the input; their type may be left out."""
    if not isinstance(given, list):
        return ()
    return tuple([item["id"] for item in given if is_reference(item)])
