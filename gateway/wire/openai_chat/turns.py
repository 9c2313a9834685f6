"""Writes the turns of a neutral conversation as chat messages: tool results become messages of their own. Knows nothing of the fields around them."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from gateway.terms import Message, Part, PartKind
from gateway.wire import WireError
from gateway.wire.given import begun

WIRE_NAME = "openai_chat"
# How reasoning without a signature came to us; the vendors of this wire that tell it at all want it back in the same field.
REASONING_FIELDS = ("reasoning_content", "reasoning")
_AUDIO_FORMATS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}
_PLAIN = "text/"
_READABLE = frozenset({"application/json", "application/xml", "application/yaml"})
_TEXT_ONLY = (PartKind.TEXT, PartKind.REFUSAL)
_Json = dict[str, Any]


def turns_of(messages: Sequence[Message], dropped: list[str]) -> list[_Json]:
    """Return the chat messages; raises WireError naming what has no place on this wire."""
    written: list[_Json] = []
    for message in messages:
        for part in message.parts:
            if part.cache:
                dropped.append("cache_control")
                break
        if message.role == "system":
            written.append({"role": "system", "content": "\n\n".join(part.text for part in message.parts if part.kind is PartKind.TEXT)})
        elif message.role == "assistant":
            written.append(_assistant(message.parts, dropped))
        else:
            written += _user(message.parts, message.at, dropped)
    if not written:
        raise WireError("invalid_request", "messages have no content: say something", "messages")
    if written[-1]["role"] == "assistant" and not written[-1].get("tool_calls"):
        raise begun()
    return written


# ---- assistant --------------------------------------------------------------------------------------------------------


def _assistant(parts: Sequence[Part], dropped: list[str]) -> _Json:
    if len(parts) == 1 and parts[0].kind is PartKind.TEXT:
        return {"role": "assistant", "content": parts[0].text}
    text = "".join(part.text for part in parts if part.kind is PartKind.TEXT)
    refusal = "".join(part.text for part in parts if part.kind is PartKind.REFUSAL)
    calls = [_call(part) for part in parts if part.kind is PartKind.TOOL_CALL]
    message: _Json = {"role": "assistant", "content": text or (None if calls or refusal else "")}
    if refusal:
        message["refusal"] = refusal
    if calls:
        message["tool_calls"] = calls
    _add_reasoning(message, [part for part in parts if part.kind in (PartKind.REASONING, PartKind.REDACTED)], dropped)
    return message


def _call(part: Part) -> _Json:
    call: _Json = {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": part.text or "{}"}}
    if part.signature and part.signed_by == WIRE_NAME:
        call["extra_content"] = {"google": {"thought_signature": part.signature}}
    return call


def _add_reasoning(message: _Json, thoughts: Sequence[Part], dropped: list[str]) -> None:
    """Give reasoning back to the vendors of this wire as it came from them; other vendors' has no meaning here."""
    details: list[_Json] = []
    for part in thoughts:
        if part.signed_by != WIRE_NAME:
            dropped.append("reasoning")
        elif part.kind is PartKind.REDACTED:
            details.append({"type": "reasoning.encrypted", "data": part.text})
        elif part.signature in REASONING_FIELDS:
            message[part.signature] = message.get(part.signature, "") + part.text
        else:
            details.append({"type": "reasoning.text", "text": part.text, "signature": part.signature})
    if details:
        message["reasoning_details"] = details


# ---- user -------------------------------------------------------------------------------------------------------------


def _user(parts: Sequence[Part], param: str, dropped: list[str]) -> list[_Json]:
    """Return a user turn: its tool results first, each a message of its own, then what they hold that such messages cannot, then the rest."""
    if len(parts) == 1 and parts[0].kind is PartKind.TEXT:
        return [{"role": "user", "content": parts[0].text}]
    messages: list[_Json] = []
    content: list[_Json] = []
    rest: list[_Json] = []
    for part in parts:
        if part.kind is PartKind.TOOL_RESULT:
            text, others = _result(part, param, dropped)
            messages.append({"role": "tool", "tool_call_id": part.id, "content": text})
            content += others
        else:
            rest += _part(part, param, dropped)
    content += rest
    if len(content) == 1 and content[0]["type"] == "text":
        messages.append({"role": "user", "content": content[0]["text"]})
    elif content:
        messages.append({"role": "user", "content": content})
    return messages or [{"role": "user", "content": ""}]


def _result(part: Part, param: str, dropped: list[str]) -> tuple[str, list[_Json]]:
    """Return a tool result's text and what else is in it, which only a user's message can hold."""
    texts = [part.text] if part.text else []
    others: list[_Json] = []
    for inner in part.parts:
        for written in _part(inner, param, dropped):
            if written["type"] == "text":
                texts.append(written["text"])
            else:
                others.append(written)
    text = "\n".join(texts)
    if others:
        others.insert(0, {"type": "text", "text": f"This belongs to the result of the tool call {part.id}:"})
        text = text or "The result follows in the next message."
    return f"Error: {text}" if part.is_error else text, others


def _part(part: Part, param: str, dropped: list[str]) -> list[_Json]:
    kind = part.kind
    if kind in _TEXT_ONLY:
        return [{"type": "text", "text": part.text}] if part.text else []
    if kind is PartKind.IMAGE:
        image = {"url": part.text, "detail": part.detail} if part.detail else {"url": part.text}
        return [{"type": "image_url", "image_url": image}]
    if kind is PartKind.DOCUMENT:
        if part.cites:
            dropped.append("citations")
        return [_document(part, part.at or param)]
    if kind is PartKind.AUDIO:
        return [_audio(part, part.at or param)]
    dropped.append("reasoning")
    return []


def _document(part: Part, param: str) -> _Json:
    if not part.media_type:
        raise WireError("unsupported_field", f"{param}: the provider of this model takes documents as data only, not by URL", param)
    data = part.text.partition(",")[2]
    if part.media_type.startswith(_PLAIN) or part.media_type in _READABLE:
        try:
            text = base64.b64decode(data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise WireError("invalid_request", f"{param}: the document is not base64 of UTF-8 text", param) from None
        return {"type": "text", "text": f"{part.name}\n\n{text}" if part.name else text}
    return {"type": "file", "file": {"filename": part.name or "document.pdf", "file_data": part.text}}


def _audio(part: Part, param: str) -> _Json:
    form = _AUDIO_FORMATS.get(part.media_type)
    if form is None:
        raise WireError("unsupported_field", f"{param}: recordings must be WAV or MP3 data for the provider of this model", param)
    return {"type": "input_audio", "input_audio": {"data": part.text.partition(",")[2], "format": form}}
