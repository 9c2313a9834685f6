"""Reads the few fields of a request to Ollama that the gateway itself needs, and bounds its output."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.wire import Head, WireError
from gateway.wire.given import misfit
from gateway.wire.strict import splice

MOST_OUTPUT_TOKENS = 10_000_000
# what an answer is held for whose request names no limit: Ollama itself knows none then
_ASSUMED_OUTPUT_TOKENS = 4_096
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class _Options(msgspec.Struct):
    num_predict: int | None = None


class _Fields(msgspec.Struct):
    model: str
    stream: bool | None = None
    options: _Options | None = None


def read_head(parsed: Mapping[str, Any]) -> Head:
    """Return what the gateway reads of a request to chat, which streams unless it says otherwise. Raises WireError("invalid_request")."""
    try:
        fields = msgspec.convert(parsed, _Fields)
    except msgspec.ValidationError as error:
        raise misfit(error) from None
    tokens = (fields.options.num_predict or 0) if fields.options is not None else 0
    if tokens > MOST_OUTPUT_TOKENS:
        raise WireError("invalid_request", "options.num_predict must be at most 10 000 000.", "options.num_predict")
    # -1 and -2 are Ollama's words for no limit
    return Head(fields.model, fields.stream is not False, max(0, tokens))


def read_bounded_head(parsed: Mapping[str, Any]) -> Head:
    """Return the same of a request to generate, with a limit where it names none."""
    head = read_head(parsed)
    return head if head.max_output_tokens else msgspec.structs.replace(head, max_output_tokens=_ASSUMED_OUTPUT_TOKENS)


def read_embed_head(parsed: Mapping[str, Any]) -> Head:
    """Return the same of a request to embed, which never streams and makes no text."""
    return Head(read_head(parsed).model)


def limit_output(fields: Mapping[str, msgspec.Raw], tokens: int) -> Mapping[str, bytes | None]:
    """Return the change that bounds an answer's tokens, which stands in `options`."""
    given = fields.get("options")
    options = _FIELDS.decode(given) if given is not None and bytes(given) != b"null" else {}
    return {"options": splice(options, {"num_predict": b"%d" % tokens})}
