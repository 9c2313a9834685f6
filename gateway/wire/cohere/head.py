"""Reads the few fields of a request to Cohere that the gateway itself needs; everything else passes."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.wire import Head, WireError
from gateway.wire.given import misfit

MOST_OUTPUT_TOKENS = 10_000_000
_PICTURES = "Pictures have a price of their own that the gateway does not know: embed text only."


class _Chat(msgspec.Struct):
    model: str
    stream: bool | None = None
    max_tokens: int | None = None


class _Piece(msgspec.Struct):
    type: str = ""


class _Input(msgspec.Struct):
    content: list[_Piece] = []


class _Embed(msgspec.Struct):
    model: str
    images: Any = None
    inputs: list[_Input] | None = None


def read_head(parsed: Mapping[str, Any]) -> Head:
    """Return what the gateway reads of a request to chat. Raises WireError("invalid_request")."""
    try:
        fields = msgspec.convert(parsed, _Chat)
    except msgspec.ValidationError as error:
        raise misfit(error) from None
    if not 0 <= (fields.max_tokens or 0) <= MOST_OUTPUT_TOKENS:
        raise WireError("invalid_request", "max_tokens must be between 0 and 10 000 000.", "max_tokens")
    return Head(fields.model, bool(fields.stream), fields.max_tokens or 0)


def read_embed_head(parsed: Mapping[str, Any]) -> Head:
    """Return the same of a request to embed texts. Raises WireError, for pictures too."""
    try:
        fields = msgspec.convert(parsed, _Embed)
    except msgspec.ValidationError as error:
        raise misfit(error) from None
    if fields.images:
        raise WireError("unsupported_field", _PICTURES, "images")
    if any(piece.type != "text" for each in fields.inputs or () for piece in each.content):
        raise WireError("unsupported_field", _PICTURES, "inputs")
    return Head(fields.model)
