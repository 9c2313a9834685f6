"""OpenAI's endpoints beside chat, and reranking as others serve it: requests and answers pass as they are, and this reads what they cost."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.terms import Usage
from gateway.wire import Head, Plain, WireError
from gateway.wire.openai_chat.meter import TOKENS_LIMIT, read_usage

# the dearest picture of the published models, in output tokens, rounded up
IMAGE_TOKENS = 8_192
MOST_IMAGES = 10
# a picture that is sent is at most some thousands of tokens, whatever its bytes
PICTURE_BYTES_PER_TOKEN = 256
# a second of sound is at most ten tokens, and at least this many bytes in any usual encoding
SOUND_BYTES_PER_TOKEN = 64
TRANSCRIPT_TOKENS = 8_192
# what is spoken in a minute: 900 characters, 1250 tokens of sound
SPEECH_TOKENS_PER_CHARACTER = 2


class _Fields(msgspec.Struct):
    model: str
    n: int | None = None
    user: str | None = None
    stream: bool | None = None
    input: Any = None
    instructions: str | None = None


class _Details(msgspec.Struct):
    text_tokens: int | None = None
    image_tokens: int | None = None
    audio_tokens: int | None = None


class _MediaUsage(msgspec.Struct):
    type: str = "tokens"
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: _Details | None = None
    input_tokens_details: _Details | None = None
    seconds: float | None = None


class _Answer(msgspec.Struct):
    usage: _MediaUsage | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


def _fields(parsed: Mapping[str, Any]) -> _Fields:
    try:
        fields = msgspec.convert(parsed, _Fields, strict=False)
    except msgspec.ValidationError as error:
        raise WireError("invalid_request", f"The request does not fit: {error}.") from None
    if fields.stream:
        raise WireError("unsupported_field", "This endpoint is not streamed here: leave `stream` out.", "stream")
    return fields


def _moderation(parsed: Mapping[str, Any]) -> Head:
    fields = _fields({"model": "omni-moderation-latest", **parsed})
    return Head(fields.model, end_user=fields.user or "")


def _images(parsed: Mapping[str, Any]) -> Head:
    fields = _fields(parsed)
    pictures = 1 if fields.n is None else fields.n
    if not 1 <= pictures <= MOST_IMAGES:
        raise WireError("invalid_request", f"n must be from 1 to {MOST_IMAGES}", "n")
    return Head(fields.model, max_output_tokens=pictures * IMAGE_TOKENS, end_user=fields.user or "")


def _speech(parsed: Mapping[str, Any]) -> Head:
    fields = _fields(parsed)
    if not isinstance(fields.input, str) or not fields.input:
        raise WireError("invalid_request", "input must be the text to speak", "input")
    letters = len(fields.input)
    # how to speak is read by the model too, and paid for
    told = letters + len(fields.instructions or "")
    return Head(fields.model, max_output_tokens=letters * SPEECH_TOKENS_PER_CHARACTER, most_input_tokens=told)


def _transcription(parsed: Mapping[str, Any]) -> Head:
    if "file" not in parsed:
        raise WireError("invalid_request", "file must be the recording", "file")
    return Head(_fields(parsed).model, max_output_tokens=TRANSCRIPT_TOKENS)


def _rerank(parsed: Mapping[str, Any]) -> Head:
    fields = _fields(parsed)
    if not isinstance(parsed.get("query"), str) or not isinstance(parsed.get("documents"), list):
        raise WireError("invalid_request", "query must be a text and documents a list", "documents" if isinstance(parsed.get("query"), str) else "query")
    return Head(fields.model, end_user=fields.user or "")


def _without_usage(body: bytes) -> tuple[Usage | None, str]:
    """Such answers tell no usage and cost the fee per request, if any."""
    try:
        msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise WireError("garbage", "the provider's answer is not a JSON object") from None
    return Usage(), ""


def _rerank_usage(body: bytes) -> tuple[Usage | None, str]:
    """Servers of one kind tell tokens as embeddings do; vendors that count searches tell none of ours."""
    usage, problem = read_usage(body)
    return (usage, problem) if usage is not None or problem == "usage_invalid" else _without_usage(body)


def media_usage(body: bytes) -> tuple[Usage | None, str]:
    """Return tokens of images and transcripts; of models billed by time, a second is a token of sound (docs/how-to/prices.md)."""
    try:
        told = _ANSWER.decode(body).usage
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        _without_usage(body)  # no JSON at all is garbage
        return None, "usage_invalid"
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


PLAIN: Mapping[str, Plain] = {
    "moderations": Plain(kind="moderation", read_head=_moderation, read_usage=_without_usage),
    "images/generations": Plain(kind="image", read_head=_images, read_usage=media_usage, item_tokens=IMAGE_TOKENS),
    "images/edits": Plain(
        kind="image", read_head=_images, read_usage=media_usage, is_form=True, bytes_per_token=PICTURE_BYTES_PER_TOKEN, item_tokens=IMAGE_TOKENS
    ),
    "audio/speech": Plain(kind="speech", read_head=_speech, read_usage=media_usage, answers_bytes=True),
    "audio/transcriptions": Plain(
        kind="transcription", read_head=_transcription, read_usage=media_usage, is_form=True, answers_bytes=True, bytes_per_token=SOUND_BYTES_PER_TOKEN
    ),
    "audio/translations": Plain(
        kind="transcription", read_head=_transcription, read_usage=media_usage, is_form=True, answers_bytes=True, bytes_per_token=SOUND_BYTES_PER_TOKEN
    ),
    "rerank": Plain(kind="rerank", read_head=_rerank, read_usage=_rerank_usage),
}
