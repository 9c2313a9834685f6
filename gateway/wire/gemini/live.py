"""Google's Live API: what its messages weigh and what a turn cost. Messages pass as they are, but for the model's name in the first."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from gateway.wire import WireError, live, strict
from gateway.wire.gemini.answer import believed
from gateway.wire.gemini.path import LIVE as ENDPOINT
from gateway.wire.gemini.path import LIVE_PATH, bare
from gateway.wire.gemini.shapes import NULL
from gateway.wire.live import Asked, Live, Message, Said, Weight
from gateway.wire.references import check_nameless

# A second of sound is at most 32 tokens, two bytes a sample, in base64 (https://ai.google.dev/gemini-api/docs/tokens).
TOKENS_S = 32
HEARD_HZ, SPOKEN_HZ = 16_000, 24_000
# A film is looked at once a second.
PICTURE = Weight(tokens=258, most_tokens=1_290)
_RATE = re.compile(r"rate=(\d{4,6})")
_GARBLED = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class _Blob(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"")


class _Part(msgspec.Struct, rename="camel"):
    text: msgspec.Raw = msgspec.Raw(b"")
    inline_data: _Blob | None = None


class _Turn(msgspec.Struct):
    parts: list[_Part] = []


class _Content(msgspec.Struct, rename="camel"):
    model_turn: _Turn | None = None
    turn_complete: bool = False
    interrupted: bool = False


class _Server(msgspec.Struct, rename="camel"):
    server_content: _Content | None = None
    tool_call: msgspec.Raw = NULL
    usage_metadata: msgspec.Raw = NULL


_SERVER = msgspec.json.Decoder(_Server)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_setup(message: Message) -> str:
    """Return the model that a session's first message names. Raises WireError."""
    setup = strict.check(message.encode() if isinstance(message, str) else message).get("setup")
    if not isinstance(setup, dict):
        raise WireError("invalid_request", "The first message must be the `setup`.", "setup")
    model = setup.get("model")
    if not isinstance(model, str) or not bare(model):
        raise WireError("invalid_request", "setup.model must name a model.", "setup.model")
    resumed = map(_object, (setup.get("sessionResumption"), setup.get("session_resumption")))
    if any(one.get("handle") for one in resumed):
        raise WireError("unsupported_field", "Sessions are not resumed here: whose a handle was is not known. Begin a new one.", "setup.sessionResumption")
    return bare(model)


class Meter:
    """Reads the messages of one session."""

    def __init__(self, called: str, upstream_model: str) -> None:
        self._upstream_model = upstream_model
        self._is_set_up = self.is_speaking = False

    def asked(self, message: Message) -> Asked:
        """Return what a caller's message asks. Raises WireError for one that must not pass."""
        raw = message.encode() if isinstance(message, str) else message
        told = strict.check(raw)
        check_nameless(told)
        if "setup" in told:
            if self._is_set_up:
                raise WireError("invalid_request", "A session is set up once.", "setup")
            self._is_set_up = True
            return Asked(weight=live.text(len(raw)), message=self._renamed(message, raw, told["setup"]["model"]))
        media = _media(told)
        weight = live.text(max(0, len(raw) - sum(len(data) for _, data in media)))
        for kind, data in media:
            weight += _sound(kind, len(data)) if kind.startswith("audio/") else PICTURE
        return Asked(weight=weight, message=message)

    def said(self, message: Message) -> Said:
        """Return what a vendor's message says. Raises WireError("garbage").

        Usage is told once for every turn of the model, with its end or before a function is called.
        """
        try:
            told = _SERVER.decode(message)
        except _GARBLED:
            raise WireError("garbage", "the provider sent a message that is no JSON of this wire") from None
        content, weight = told.server_content, _made(told)
        is_made = bytes(told.tool_call) != b"null" or (content is not None and content.model_turn is not None)
        begins = is_made and not self.is_speaking
        self.is_speaking = (self.is_speaking or is_made) and not (content is not None and (content.turn_complete or content.interrupted))
        if bytes(told.usage_metadata) == b"null":
            return Said(weight=weight, begins=begins)
        usage, problem = believed(_as_answered(told.usage_metadata))
        is_empty = usage is not None and usage.input_tokens + usage.output_tokens == 0
        return Said(weight=weight, begins=begins) if is_empty else Said(weight=weight, begins=begins, ends=True, usage=usage, problem=problem)

    def _renamed(self, message: Message, raw: bytes, called: str) -> Message:
        if called in (self._upstream_model, f"models/{self._upstream_model}"):
            return message
        fields = strict.fields(raw)
        name = self._upstream_model if self._upstream_model.startswith(("models/", "projects/")) else f"models/{self._upstream_model}"
        changed = strict.splice(fields, {"setup": strict.splice(strict.fields(bytes(fields["setup"])), {"model": orjson.dumps(name)})})
        return changed.decode() if isinstance(message, str) else changed


def _made(told: _Server) -> Weight:
    content, weight = told.server_content, live.NOTHING
    if bytes(told.tool_call) != b"null":
        weight = live.text(len(bytes(told.tool_call)))
    if content is None:
        return weight
    for part in content.model_turn.parts if content.model_turn is not None else ():
        weight += live.text(len(bytes(part.text)))
        if part.inline_data is not None:
            weight += live.sound(len(bytes(part.inline_data.data)), SPOKEN_HZ * 2 * 4 // 3 // TOKENS_S)
    return weight


def _sound(kind: str, size_bytes: int) -> Weight:
    rate = _RATE.search(kind)
    return live.sound(size_bytes, max(1, (int(rate[1]) if rate else HEARD_HZ) * 2 * 4 // 3 // TOKENS_S))


def _media(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return type and data of what is sound or picture in a message; such members anywhere else are text to the model."""
    entered = _object(told.get("realtimeInput", told.get("realtime_input")))
    blobs = [entered.get("audio"), entered.get("video"), *_listed(entered.get("mediaChunks", entered.get("media_chunks")))]
    content = _object(told.get("clientContent", told.get("client_content")))
    for turn in _listed(content.get("turns")):
        parts = map(_object, _listed(_object(turn).get("parts")))
        blobs.extend(part.get("inlineData", part.get("inline_data")) for part in parts)
    found = []
    for blob in map(_object, blobs):
        kind, data = blob.get("mimeType", blob.get("mime_type")), blob.get("data")
        if isinstance(kind, str) and isinstance(data, str):
            found.append((kind, data))
    return found


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _as_answered(usage: msgspec.Raw) -> msgspec.Raw:
    """Return usage under the names that whole answers have: what these call candidates is a response here."""
    try:
        fields = _FIELDS.decode(usage)
    except _GARBLED:
        return usage
    names = {"responseTokenCount": "candidatesTokenCount", "responseTokensDetails": "candidatesTokensDetails"}
    renamed: Mapping[str, msgspec.Raw] = {names.get(name, name): value for name, value in fields.items()}
    return msgspec.Raw(msgspec.json.encode(renamed))


LIVE: Mapping[str, Live] = {
    ENDPOINT: Live(kind="realtime", path=re.compile(f"/+{LIVE_PATH.pattern}"), takes=("key", "alt"), meter=Meter, read_setup=read_setup)
}
