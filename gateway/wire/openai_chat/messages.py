"""Reads the messages of a chat request as neutral turns. Knows nothing of the fields around them.

Beside OpenAI's own fields it reads those that other vendors of this wire have made common: `reasoning_content`, `reasoning_details`, `extra_content`
and `cache_control`.
"""

from collections.abc import Mapping
from typing import Any

from gateway.terms import Message, Part, PartKind
from gateway.wire import given as read
from gateway.wire import signatures
from gateway.wire.openai_chat.turns import WIRE_NAME

_AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}
# https://developers.openai.com/api/docs/guides/prompt-caching: how long a breakpoint keeps; the neutral form knows minutes and an hour.
_BREAKPOINTS = {"": "5m", "30m": "1h", "12h": "1h"}
_REASONING = frozenset(("reasoning_content", "reasoning", "reasoning_details"))
_Json = Mapping[str, Any]


def messages_of(value: object, dropped: list[str]) -> tuple[Message, ...]:
    """Return the turns; raises WireError naming the message."""
    messages = read.list_(value, "messages")
    if not messages:
        raise read.invalid("messages", "messages must not be empty")
    return tuple(_message(message, f"messages[{index}]", dropped) for index, message in enumerate(messages))


def _message(value: object, param: str, dropped: list[str]) -> Message:
    message = read.object_(value, param)
    role = message.get("role")
    if message.get("name") and role != "tool":
        dropped.append("messages.name")
    content = message.get("content")
    if role in ("system", "developer"):
        return Message(role="system", parts=_parts(content, f"{param}.content", dropped), at=param)
    if role == "user":
        return Message(role="user", parts=_parts(content, f"{param}.content", dropped), at=param)
    if role == "tool":
        parts = _parts(content, f"{param}.content", dropped)
        call_id = read.text(message.get("tool_call_id"), f"{param}.tool_call_id")
        return Message(role="user", parts=(Part(kind=PartKind.TOOL_RESULT, id=call_id, parts=parts, at=f"{param}.tool_call_id"),), at=param)
    if role == "assistant":
        return Message(role="assistant", parts=_assistant_parts(message, param, dropped), at=param)
    if role == "function":
        raise read.unsupported(f"{param}.role")
    raise read.invalid(f"{param}.role", f"{param}.role must be system, developer, user, assistant or tool")


def _assistant_parts(message: _Json, param: str, dropped: list[str]) -> tuple[Part, ...]:
    if message.get("function_call") is not None:
        raise read.unsupported(f"{param}.function_call")
    if message.get("audio") is not None:
        raise read.unsupported(f"{param}.audio")
    if message.get("images"):
        dropped.append("messages.images")  # what it drew in an earlier turn: no other wire takes one back from the model
    parts = _reasoning(message, param) if not _REASONING.isdisjoint(message) else []
    parts += _parts(message.get("content"), f"{param}.content", dropped)
    if message.get("refusal"):
        parts.append(Part(kind=PartKind.REFUSAL, text=read.text(message["refusal"], f"{param}.refusal")))
    for index, value in enumerate(read.list_(message["tool_calls"] or [], f"{param}.tool_calls") if "tool_calls" in message else ()):
        parts.append(_call(value, f"{param}.tool_calls[{index}]"))
    return tuple(parts)


def _reasoning(message: _Json, param: str) -> list[Part]:
    """Return the reasoning of an earlier answer: signed or sealed where the client kept that, else its plain text."""
    parts: list[Part] = []
    text = ""
    for index, value in enumerate(read.list_(message.get("reasoning_details") or [], f"{param}.reasoning_details")):
        where = f"{param}.reasoning_details[{index}]"
        detail = read.object_(value, where)
        if detail.get("data"):
            data, signed_by = signatures.kept(read.text(detail["data"], f"{where}.data"), WIRE_NAME)
            parts.append(Part(kind=PartKind.REDACTED, text=data, signed_by=signed_by))
            continue
        # pieces of a stream, kept as they came: the signature comes with the last
        text += read.text(detail.get("text") or detail.get("summary") or "", f"{where}.text")
        signature, signed_by = signatures.kept(read.text(detail.get("signature") or "", f"{where}.signature"), WIRE_NAME)
        if signature:
            parts.append(Part(kind=PartKind.REASONING, text=text, signature=signature, signed_by=signed_by))
            text = ""
    plain = read.text(message.get("reasoning_content") or message.get("reasoning") or text, f"{param}.reasoning_content")
    if plain and not any(part.kind is PartKind.REASONING for part in parts):
        parts.insert(0, Part(kind=PartKind.REASONING, text=plain))
    return parts


def _call(value: object, param: str) -> Part:
    call = read.object_(value, param)
    if call.get("type", "function") != "function":
        raise read.unsupported(f"{param}.type")
    function = read.object_(call.get("function"), f"{param}.function")
    google = read.object_(read.object_(call.get("extra_content") or {}, f"{param}.extra_content").get("google") or {}, f"{param}.extra_content.google")
    signed = read.text(google.get("thought_signature") or "", f"{param}.extra_content.google.thought_signature")
    signature, signed_by = signatures.kept(signed, WIRE_NAME)
    return Part(
        kind=PartKind.TOOL_CALL,
        id=read.text(call.get("id"), f"{param}.id"),
        name=read.text(function.get("name"), f"{param}.function.name"),
        text=read.text(function.get("arguments") or "", f"{param}.function.arguments"),
        signature=signature,
        signed_by=signed_by,
        at=f"{param}.id",
    )


def _parts(value: object, param: str, dropped: list[str]) -> tuple[Part, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (Part(kind=PartKind.TEXT, text=value),)
    return tuple(_part(part, f"{param}[{index}]") for index, part in enumerate(read.list_(value, param)))


def cache_of(part: _Json, param: str) -> str:
    """Return how long everything up to a marked part or tool shall be kept: 5m, 1h, or "" without a mark."""
    if part.get("cache_control") is not None:
        mark = read.object_(part["cache_control"], f"{param}.cache_control")
        return read.choice(mark.get("ttl"), f"{param}.cache_control.ttl", ("5m", "1h")) or "5m"
    if part.get("prompt_cache_breakpoint") is not None:
        mark = read.object_(part["prompt_cache_breakpoint"], f"{param}.prompt_cache_breakpoint")
        return _BREAKPOINTS[read.choice(mark.get("ttl"), f"{param}.prompt_cache_breakpoint.ttl", ("30m", "12h"))]
    return ""


def _part(value: object, param: str) -> Part:
    part = read.object_(value, param)
    kind, cache = part.get("type"), cache_of(part, param)
    if kind == "text":
        return Part(kind=PartKind.TEXT, text=read.text(part.get("text"), f"{param}.text"), cache=cache)
    if kind == "refusal":
        return Part(kind=PartKind.REFUSAL, text=read.text(part.get("refusal"), f"{param}.refusal"))
    if kind == "image_url":
        image = read.object_(part.get("image_url"), f"{param}.image_url")
        url = read.text(image.get("url"), f"{param}.image_url.url")
        detail = read.text(image.get("detail") or "auto", f"{param}.image_url.detail")
        media_type = read.media_type(url, f"{param}.image_url.url")
        return Part(kind=PartKind.IMAGE, text=url, media_type=media_type, detail="" if detail == "auto" else detail, cache=cache, at=param)
    if kind == "file":
        return _file(read.object_(part.get("file"), f"{param}.file"), f"{param}.file", cache)
    if kind == "input_audio":
        audio = read.object_(part.get("input_audio"), f"{param}.input_audio")
        media_type = _AUDIO_TYPES[read.choice(audio.get("format") or "", f"{param}.input_audio.format", _AUDIO_TYPES)]
        data = read.text(audio.get("data"), f"{param}.input_audio.data")
        return Part(kind=PartKind.AUDIO, text=f"data:{media_type};base64,{data}", media_type=media_type, cache=cache, at=param)
    raise read.invalid(f"{param}.type", f"{param}.type must be text, image_url, input_audio or file")


def _file(file: _Json, param: str, cache: str) -> Part:
    if file.get("file_data") is None:
        if file.get("file_id") is not None:  # the vendor's own file store
            raise read.unsupported(f"{param}.file_id")
        raise read.invalid(param, f"{param} needs file_data")
    url = read.text(file["file_data"], f"{param}.file_data")
    media_type = read.media_type(url, f"{param}.file_data")
    name = read.text(file.get("filename") or "", f"{param}.filename")
    return Part(kind=PartKind.DOCUMENT, text=url, media_type=media_type, name=name, cache=cache, at=param)
