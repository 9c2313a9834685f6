"""OpenAI's Realtime: what its events weigh and what a response cost. Events pass as they are, but for the model's name in a session's settings."""

import os
import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import orjson

from gateway.terms import Headers, Usage
from gateway.wire import WireError, live, strict
from gateway.wire.live import Asked, Live, Message, Said, Weight
from gateway.wire.openai_chat.media import media_usage
from gateway.wire.openai_chat.meter import InputDetails, OutputDetails, VendorUsage, usage_from
from gateway.wire.references import check_nameless

# Sound a second in base64: 24 kHz of 16 bits, or 8 kHz of 8 bits.
PCM_BYTES_S, G711_BYTES_S = 64_000, 10_667
G711 = frozenset({"audio/pcmu", "audio/pcma", "g711_ulaw", "g711_alaw"})
# A second of what the user says is ten tokens, of what the model says twenty (https://platform.openai.com/docs/guides/realtime-costs).
HEARD_TOKENS_S, SPOKEN_TOKENS_S = 10, 20
PICTURE = Weight(tokens=800, most_tokens=4_096)
SETTINGS = "session.update"
# of a response: the session's own, or none
CONVERSATIONS = frozenset({"auto", "none"})
TRANSCRIPT = "conversation.item.input_audio_transcription.completed"
BETA = "openai-beta.realtime-v1"


class _Append(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["input_audio_buffer.append"]
    audio: str
    event_id: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    delta: msgspec.Raw = msgspec.Raw(b"")
    response: msgspec.Raw = msgspec.Raw(b"{}")
    session: msgspec.Raw = msgspec.Raw(b"{}")


class _CachedDetails(msgspec.Struct):
    audio_tokens: int | None = None


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    audio_tokens: int | None = None
    cached_tokens_details: _CachedDetails | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: _InputDetails | None = None
    output_token_details: OutputDetails | None = None


class _Response(msgspec.Struct):
    status: str | None = None
    usage: _Usage | None = None


_APPEND, _EVENT, _RESPONSE = msgspec.json.Decoder(_Append), msgspec.json.Decoder(_Event), msgspec.json.Decoder(_Response)
_GARBLED = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def read_usage(told: _Usage) -> tuple[Usage | None, str]:
    """Return believable tokens and "" or a flag; cached sound counts as cached, which has a rate of its own."""
    given = told.input_token_details or _InputDetails()
    cached_sound = (given.cached_tokens_details.audio_tokens or 0) if given.cached_tokens_details is not None else 0
    fresh_sound = (given.audio_tokens or 0) - cached_sound if cached_sound > 0 else given.audio_tokens
    reported = VendorUsage(
        prompt_tokens=told.input_tokens or 0,
        completion_tokens=told.output_tokens,
        prompt_tokens_details=InputDetails(given.cached_tokens, None, fresh_sound),
        completion_tokens_details=told.output_token_details,
    )
    return usage_from(reported)


class Meter:
    """Reads the events of one session."""

    def __init__(self, called: str, upstream_model: str) -> None:
        self._called, self._upstream_model = called, upstream_model
        self._heard_s = self._spoken_s = PCM_BYTES_S
        self._under_way = 0

    @property
    def is_speaking(self) -> bool:
        """Whether a response is under way."""
        return self._under_way > 0

    def asked(self, message: Message) -> Asked:
        """Return what a caller's event asks. Raises WireError for one that must not pass."""
        if isinstance(message, bytes):
            raise WireError("invalid_request", "Send events as text, not as binary messages.")
        try:
            return Asked(weight=live.sound(len(_APPEND.decode(message).audio), self._heard_s // HEARD_TOKENS_S), message=message)
        except _GARBLED:
            pass
        raw = message.encode()
        event = strict.check(raw)
        kind = event.get("type")
        if not isinstance(kind, str):
            raise WireError("invalid_request", "An event needs a `type`.", "type")
        if kind.startswith("transcription_session."):
            raise WireError("unsupported_field", "Sessions that only transcribe are not served here: what they cost is told by no response.", "type")
        check_nameless(event, CONVERSATIONS)
        if kind == SETTINGS and isinstance(event.get("session"), dict):
            settled = self._settled(message, raw, event["session"])
            return Asked(weight=live.text(len(raw)), message=settled, transcriber=_transcriber(event["session"]))
        return Asked(weight=self._weight(event, len(raw)), message=message)

    def said(self, message: Message) -> Said:
        """Return what a vendor's event says. Raises WireError("garbage")."""
        try:
            event = _EVENT.decode(message)
        except _GARBLED:
            raise WireError("garbage", "the provider sent an event that is not JSON") from None
        kind = event.type
        if kind.startswith("response."):
            if kind.endswith("audio.delta"):
                return Said(weight=live.sound(len(bytes(event.delta)), self._spoken_s // SPOKEN_TOKENS_S))
            if kind.endswith(".delta"):
                return Said(weight=live.text(len(bytes(event.delta))))
            if kind == "response.created":
                self._under_way += 1
                return Said(begins=True)
            if kind == "response.done":
                self._under_way = max(0, self._under_way - 1)
                return _done(bytes(event.response))
        elif kind == TRANSCRIPT:
            usage, problem = media_usage(message.encode() if isinstance(message, str) else message)
            return Said(ends=True, is_transcript=True, usage=usage, problem=problem)
        elif kind in ("session.created", "session.updated"):
            self._read_formats(bytes(event.session))
        return Said()

    def _settled(self, message: str, raw: bytes, session: Mapping[str, Any]) -> str:
        """Return new settings as the vendor is sent them. Raises WireError where they would reach what nobody allowed."""
        if session.get("type") == "transcription":
            raise WireError("unsupported_field", "Sessions that only transcribe are not served here: what they cost is told by no response.", "session.type")
        model = session.get("model")
        if model is None or model == self._upstream_model:
            return message
        if model != self._called:
            raise WireError("invalid_request", "A session keeps its model. Leave `model` out, or connect again.", "session.model")
        fields = strict.fields(raw)
        changed = strict.splice(strict.fields(bytes(fields["session"])), {"model": orjson.dumps(self._upstream_model)})
        return strict.splice(fields, {"session": changed}).decode()

    def _weight(self, event: Mapping[str, Any], size_bytes: int) -> Weight:
        """Return what an event weighs: sound and pictures by their kind, every other byte as text."""
        response = event.get("response")
        items = [event.get("item"), *(_listed(response.get("input")) if isinstance(response, dict) else ())]
        weight = live.NOTHING
        for part in [part for item in items if isinstance(item, dict) for part in _listed(item.get("content")) if isinstance(part, dict)]:
            data = part.get("audio") if part.get("type") == "input_audio" else part.get("image_url") if part.get("type") == "input_image" else None
            if isinstance(data, str):
                weight += live.sound(len(data), self._heard_s // HEARD_TOKENS_S) if part["type"] == "input_audio" else PICTURE
                size_bytes -= len(data)
        return weight + live.text(max(0, size_bytes))

    def _read_formats(self, session: bytes) -> None:
        told = orjson.loads(session)
        if isinstance(told, dict):
            self._heard_s, self._spoken_s = _bytes_s(told, "input"), _bytes_s(told, "output")


def _transcriber(session: Mapping[str, Any]) -> str | None:
    """Return the model that settings want to transcribe the input, in the present and in the older shape. Raises WireError."""
    audio = session.get("audio")
    heard = audio.get("input") if isinstance(audio, dict) else None
    if isinstance(heard, dict) and "transcription" in heard:
        name, wanted = "session.audio.input.transcription", heard["transcription"]
    elif "input_audio_transcription" in session:
        name, wanted = "session.input_audio_transcription", session["input_audio_transcription"]
    else:
        return None
    if wanted is None:
        return ""
    model = wanted.get("model") if isinstance(wanted, dict) else None
    if not isinstance(model, str) or not model:
        raise WireError("invalid_request", "Name the model that transcribes.", f"{name}.model")
    return model


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _bytes_s(session: Mapping[str, Any], side: str) -> int:
    """Return how many bytes a second of sound takes, by what the vendor says of a session in the present and in the older shape."""
    audio = session.get("audio")
    own = audio.get(side) if isinstance(audio, dict) else None
    told = own.get("format") if isinstance(own, dict) else session.get(f"{side}_audio_format")
    name = told.get("type") if isinstance(told, dict) else told
    return G711_BYTES_S if isinstance(name, str) and name in G711 else PCM_BYTES_S


def _done(response: bytes) -> Said:
    try:
        told = _RESPONSE.decode(response)
    except _GARBLED:
        return Said(ends=True, problem="usage_invalid")
    has_failed = told.status == "failed"
    if told.usage is None:
        return Said(ends=True, has_failed=has_failed, problem="usage_missing")
    usage, problem = read_usage(told.usage)
    return Said(ends=True, has_failed=has_failed, usage=usage, problem=problem)


def error_event(status: int, code: str, kind: str, message: str, param: str | None, sgw: Mapping[str, Any]) -> str:
    """Return an error event as OpenAI's SDKs understand it, our own detail under `error.sgw`."""
    error = {"type": kind, "code": code, "message": message, "param": param, "event_id": None, "sgw": {"status": status, **sgw}}
    return orjson.dumps({"type": "error", "event_id": f"event_{os.urandom(8).hex()}", "error": error}).decode()


def _tells(headers: Mapping[bytes, bytes], subprotocols: frozenset[str]) -> Headers:
    """Return the header by which older clients ask for the events they know."""
    if BETA in subprotocols or b"realtime=v1" in headers.get(b"openai-beta", b""):
        return ((b"openai-beta", b"realtime=v1"),)
    return ()


LIVE: Mapping[str, Live] = {
    "realtime": Live(
        kind="realtime",
        # Azure's client asks at the root
        path=re.compile(r"/(?:v1|openai|openai/v1)/realtime"),
        takes=("model", "deployment", "api-version"),
        meter=Meter,
        error_event=error_event,
        tells=_tells,
        transcribes_as="audio/transcriptions",
    )
}
