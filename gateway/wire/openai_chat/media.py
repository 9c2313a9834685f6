"""OpenAI's endpoints beside chat, and reranking as others serve it: requests and answers pass as they are, and this reads what they cost."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.terms import Usage
from gateway.wire import Head, Plain, WireError
from gateway.wire.given import misfit
from gateway.wire.openai_chat.media_usage import IMAGE_TOKENS, MediaUsage, believed
from gateway.wire.openai_chat.meter import read_usage
from gateway.wire.openai_chat.pictures import PictureMeter

MOST_IMAGES = 10
# a sketch on the way to a picture
SKETCH_TOKENS = 100
MOST_SKETCHES = 3
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
    partial_images: int | None = None
    user: str | None = None
    stream: bool | None = None
    input: Any = None
    instructions: str | None = None


class _Answer(msgspec.Struct):
    usage: MediaUsage | None = None


_ANSWER = msgspec.json.Decoder(_Answer)


def _unstreamed(parsed: Mapping[str, Any]) -> _Fields:
    fields = _fields(parsed)
    if fields.stream:
        raise WireError("unsupported_field", "This endpoint is not streamed here: leave `stream` out.", "stream")
    return fields


def _fields(parsed: Mapping[str, Any]) -> _Fields:
    try:
        fields = msgspec.convert(parsed, _Fields, strict=False)
    except msgspec.ValidationError as error:
        raise misfit(error) from None
    return fields


def _moderation(parsed: Mapping[str, Any]) -> Head:
    fields = _unstreamed({"model": "omni-moderation-latest", **parsed})
    return Head(fields.model, end_user=fields.user or "")


def _images(parsed: Mapping[str, Any]) -> Head:
    fields = _fields(parsed)
    pictures, sketches = 1 if fields.n is None else fields.n, fields.partial_images or 0
    if not 1 <= pictures <= MOST_IMAGES:
        raise WireError("invalid_request", f"n must be from 1 to {MOST_IMAGES}", "n")
    if not 0 <= sketches <= MOST_SKETCHES:
        raise WireError("invalid_request", f"partial_images must be from 0 to {MOST_SKETCHES}", "partial_images")
    if fields.stream and pictures > 1:
        raise WireError("invalid_request", "a stream is of one picture: leave n out, or stream", "n")
    most = pictures * IMAGE_TOKENS + sketches * SKETCH_TOKENS
    return Head(fields.model, fields.stream or False, most, end_user=fields.user or "")


def _speech(parsed: Mapping[str, Any]) -> Head:
    fields = _unstreamed(parsed)
    if not isinstance(fields.input, str) or not fields.input:
        raise WireError("invalid_request", "input must be the text to speak", "input")
    letters = len(fields.input)
    # how to speak is read by the model too, and paid for
    told = letters + len(fields.instructions or "")
    return Head(fields.model, max_output_tokens=letters * SPEECH_TOKENS_PER_CHARACTER, most_input_tokens=told)


def _names_voice(parsed: Mapping[str, Any]) -> bool:
    return type(parsed.get("voice")) is dict


def _transcription(parsed: Mapping[str, Any]) -> Head:
    if "file" not in parsed:
        raise WireError("invalid_request", "file must be the recording", "file")
    return Head(_unstreamed(parsed).model, max_output_tokens=TRANSCRIPT_TOKENS)


def _rerank(parsed: Mapping[str, Any]) -> Head:
    fields = _unstreamed(parsed)
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
    """Return tokens of images and transcripts."""
    try:
        told = _ANSWER.decode(body).usage
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        _without_usage(body)  # no JSON at all is garbage
        return None, "usage_invalid"
    return believed(told)


PLAIN: Mapping[str, Plain] = {
    "moderations": Plain(kind="moderation", read_head=_moderation, read_usage=_without_usage),
    "images/generations": Plain(kind="image", read_head=_images, read_usage=media_usage, item_tokens=IMAGE_TOKENS, meter=PictureMeter),
    "images/edits": Plain(
        kind="image", read_head=_images, read_usage=media_usage, is_form=True, bytes_per_token=PICTURE_BYTES_PER_TOKEN, item_tokens=IMAGE_TOKENS,
        meter=PictureMeter,
    ),
    # a voice of one's own is named by its id, the vendor's by their names
    "audio/speech": Plain(kind="speech", read_head=_speech, read_usage=media_usage, answers_bytes=True, may_name=_names_voice),
    "audio/transcriptions": Plain(
        kind="transcription", read_head=_transcription, read_usage=media_usage, is_form=True, answers_bytes=True, bytes_per_token=SOUND_BYTES_PER_TOKEN
    ),
    "audio/translations": Plain(
        kind="transcription", read_head=_transcription, read_usage=media_usage, is_form=True, answers_bytes=True, bytes_per_token=SOUND_BYTES_PER_TOKEN
    ),
    "rerank": Plain(kind="rerank", read_head=_rerank, read_usage=_rerank_usage),
}
