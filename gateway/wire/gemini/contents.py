"""Writes a neutral conversation as Gemini's system instruction and contents."""

from typing import Any

import orjson

from gateway.terms import Ask, Message, Part, PartKind
from gateway.wire import WireError
from gateway.wire.gemini.thoughts import NAME
from gateway.wire.gemini.told import arguments
from gateway.wire.given import invalid
from gateway.wire.references import google_file

# What Google documents for calls of another vendor's model: https://ai.google.dev/gemini-api/docs/thought-signatures
UNSIGNED = "skip_thought_signature_validator"
_CONTINUES = "(The conversation continues.)"
_DEFAULT_TYPES = {PartKind.IMAGE: "image/jpeg", PartKind.DOCUMENT: "application/pdf", PartKind.AUDIO: "audio/mpeg"}
# What addresses end in.
_TYPES = {
    "jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif", "heic": "image/heic", "heif": "image/heif",
    "pdf": "application/pdf", "txt": "text/plain", "md": "text/plain", "html": "text/html", "csv": "text/csv", "xml": "text/xml", "json": "application/json",
    "mp3": "audio/mpeg", "wav": "audio/wav", "ogg": "audio/ogg", "flac": "audio/flac", "aac": "audio/aac",
}  # fmt: skip
_Object = dict[str, Any]


def write_contents(ask: Ask, needs_signatures: bool, dropped: list[str]) -> tuple[list[_Object], list[_Object]]:
    """Return the parts of the system instruction and the alternating turns; system messages move to the front. Raises WireError.

    `needs_signatures` is whether the model refuses calls without a thought signature.
    """
    system: list[_Object] = []
    turns: list[_Object] = []
    writing = _Writing(needs_signatures, dropped)
    for message in ask.messages:
        if message.role == "system":
            system += [{"text": part.text} for part in message.parts if part.text]
            continue
        parts = writing.assistant(message) if message.role == "assistant" else writing.user(message)
        role = "model" if message.role == "assistant" else "user"
        if parts and turns and turns[-1]["role"] == role:
            turns[-1]["parts"] += parts
        elif parts:
            turns.append({"role": role, "parts": parts})
    for turn in turns:
        if turn["role"] == "user":  # results must stand right behind their calls
            turn["parts"].sort(key=lambda part: "functionResponse" not in part)
    if not turns:
        if not system:
            raise invalid("messages", "messages have no content: say something")
        return [], [{"role": "user", "parts": system}]
    if turns[0]["role"] == "model":
        turns.insert(0, {"role": "user", "parts": [{"text": _CONTINUES}]})
    return system, turns


class _Writing:
    """What earlier turns said that later ones need: the names of the calls by id."""

    def __init__(self, needs_signatures: bool, dropped: list[str]) -> None:
        self._needs_signatures, self._dropped = needs_signatures, dropped
        self._names: dict[str, str] = {}

    def user(self, message: Message) -> list[_Object]:
        return [written for part in message.parts if (written := self._given(part, message.at)) is not None]

    def _given(self, part: Part, param: str) -> _Object | None:
        kind, param = part.kind, part.at or param
        if kind is PartKind.TEXT:
            return {"text": part.text} if part.text else None
        if kind in _DEFAULT_TYPES:
            return media(part, param)
        if kind is PartKind.TOOL_RESULT:
            return {"functionResponse": self._result(part, param)}
        raise _unsupported(param, kind)

    def _result(self, part: Part, param: str) -> _Object:
        name = part.name or self._names.get(part.id)
        if name is None:
            raise invalid(param, f"{param}: the tool result {part.id[:64]!r} answers no call of the messages before it")
        inner = part.parts or (Part(PartKind.TEXT, text=part.text),)
        words = "".join(one.text for one in inner if one.kind is PartKind.TEXT)
        written: _Object = {"id": part.id, "name": name, "response": {"error" if part.is_error else "output": _value(words)}}
        shown = [media(one, one.at or param) for one in inner if one.kind is not PartKind.TEXT]
        if any("inlineData" not in one for one in shown):
            raise _unsupported(param, PartKind.TOOL_RESULT)
        return {**written, "parts": shown} if shown else written

    def assistant(self, message: Message) -> list[_Object]:
        """Return a model's parts; a signature that stands alone signs the call or the text behind it."""
        written: list[_Object] = []
        signature = ""
        has_call = False
        for part in message.parts:
            kind = part.kind
            if kind is PartKind.REASONING or kind is PartKind.REDACTED:
                if part.signed_by != NAME or kind is PartKind.REDACTED:
                    self._dropped.append("reasoning")
                    continue
                if part.text:
                    written.append({"text": part.text, "thought": True})
                if signature:
                    written.append({"text": "", "thoughtSignature": signature})
                signature = part.signature
            elif kind is PartKind.TOOL_CALL:
                own = part.signature if part.signed_by == NAME else ""
                if part.signature and not own:
                    self._dropped.append("reasoning")
                written.append(self._call(part, part.at or message.at, own or signature, has_call))
                signature, has_call = "", True
            elif kind is PartKind.TEXT or kind is PartKind.REFUSAL:
                if part.text:
                    written.append({"text": part.text, "thoughtSignature": signature} if signature else {"text": part.text})
                    signature = ""
            else:
                raise _unsupported(part.at or message.at, kind)
        return [*written, {"text": "", "thoughtSignature": signature}] if signature else written

    def _call(self, part: Part, param: str, signature: str, has_call: bool) -> _Object:
        if not part.id:
            raise invalid(param, f"{param}: a tool call has an empty id")
        self._names[part.id] = part.name
        written: _Object = {"functionCall": {"id": part.id, "name": part.name, "args": arguments(part.text)}}
        # of parallel calls only the first one is signed
        if signature or (self._needs_signatures and not has_call):
            written["thoughtSignature"] = signature or UNSIGNED
        return written


def _unsupported(param: str, kind: PartKind) -> WireError:
    return WireError("unsupported_field", f"{param}: the provider of this model takes no {kind.value} there: leave it out or choose another model", param)


def media(part: Part, param: str) -> _Object:
    """Return an image, document or recording: its data, or its public address with the type its name tells."""
    if part.text.startswith("data:"):
        head, _, data = part.text.partition(",")
        media_type = part.media_type or head[5:].partition(";")[0]
        blob: _Object = {"mimeType": "image/jpeg" if media_type == "image/jpg" else media_type, "data": data}
        return {"inlineData": blob}
    if not part.text[:8].lower().startswith(("https://", "http://")):
        raise invalid(param, f"{param}: {part.kind.value} must be an https URL or a base64 data URL")
    if google_file(part.text) and "googleapis" in part.text.lower():
        # kept at Google by somebody who shares the credential: only Google's own clients name such files, and are asked whose they are
        raise invalid(param, f"{param}: {part.kind.value} must not be a file that Google keeps")
    ending = part.text.partition("?")[0].partition("#")[0].rpartition(".")[2].lower()
    guessed = part.media_type or _TYPES.get(ending)
    return {"fileData": {"mimeType": guessed or _DEFAULT_TYPES[part.kind], "fileUri": part.text}}


def _value(words: str) -> Any:
    """Return a result that is a JSON object or list as such, any other as text."""
    if words[:1] in ("{", "["):
        try:
            return orjson.loads(words)
        except orjson.JSONDecodeError:
            pass
    return words
