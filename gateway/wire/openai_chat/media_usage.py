"""Reads what pictures and transcripts took, as OpenAI's endpoints tell it. Knows nothing of requests."""

import msgspec

from gateway.terms import Usage
from gateway.wire.openai_chat.meter import TOKENS_LIMIT

# the dearest picture of the published models, in output tokens, rounded up
IMAGE_TOKENS = 8_192


class _Details(msgspec.Struct):
    text_tokens: int | None = None
    image_tokens: int | None = None
    audio_tokens: int | None = None


class MediaUsage(msgspec.Struct):
    """The usage object, not yet believed."""

    type: str = "tokens"
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: _Details | None = None
    input_tokens_details: _Details | None = None
    seconds: float | None = None


def believed(told: MediaUsage | None) -> tuple[Usage | None, str]:
    """Return tokens and "", or None and what is wrong; of models billed by time, a second is a token of sound (docs/how-to/prices.md)."""
    if told is None:
        return None, "usage_missing"
    if told.type == "duration" and told.seconds is not None:
        seconds = int(-(-told.seconds // 1)) if 0 <= told.seconds <= TOKENS_LIMIT else -1
        return (Usage(input_tokens=seconds, audio_input_tokens=seconds), "") if seconds >= 0 else (None, "usage_invalid")
    given, made = told.input_tokens or 0, told.output_tokens or 0
    details = told.input_token_details or told.input_tokens_details
    sound = (details.audio_tokens or 0) if details is not None else 0
    if min(given, made, sound) < 0 or max(given, made) > TOKENS_LIMIT:
        return None, "usage_invalid"
    return Usage(input_tokens=given, audio_input_tokens=min(sound, given), output_tokens=made), ""
