"""Reads the few fields of a legacy completion that the gateway itself needs, and bounds its output."""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from gateway.wire import Head, WireError
from gateway.wire.given import misfit

# what the API itself does where nothing was said
DEFAULT_MAX_TOKENS = 16
MOST_OUTPUT_TOKENS = 10_000_000


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Fields(msgspec.Struct):
    model: str = ""
    prompt: Any = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    n: int | None = None
    best_of: int | None = None
    user: str | None = None


def read_head(parsed: Mapping[str, Any]) -> Head:
    """Return what the gateway reads of a request; its output limit is that of all answers together. Raises WireError("invalid_request")."""
    try:
        fields = msgspec.convert(parsed, _Fields)
    except msgspec.ValidationError as error:
        raise misfit(error) from None
    if not fields.model:
        raise WireError("invalid_request", "The request does not fit: Object missing required field `model`.", "model")
    each = DEFAULT_MAX_TOKENS if fields.max_tokens is None else fields.max_tokens
    output_tokens = each * _answers(fields)
    if not 0 <= output_tokens <= MOST_OUTPUT_TOKENS:
        raise WireError("invalid_request", "The output limit must be between 0 and 10 000 000 tokens.", "max_tokens")
    wants_usage = fields.stream_options is not None and bool(fields.stream_options.include_usage)
    return Head(fields.model, bool(fields.stream), output_tokens, wants_usage, fields.user or "")


def _answers(fields: _Fields) -> int:
    """Return how many answers are generated: for each prompt as many as are asked for, or as the best is chosen of."""
    prompt = fields.prompt
    prompts = len(prompt) if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int) else 1
    return prompts * max(1, fields.n or 1, fields.best_of or 1)


def limit_output(fields: Mapping[str, msgspec.Raw], tokens: int) -> Mapping[str, bytes | None]:
    """Return the change that bounds all answers together."""
    answers = _answers(msgspec.json.decode(orjson.dumps({name: orjson.Fragment(bytes(raw)) for name, raw in fields.items()}), type=_Fields))
    return {"max_tokens": b"%d" % max(1, tokens // answers)}
