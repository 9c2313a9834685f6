"""Writes a neutral conversation as system blocks and alternating turns, with the rules Anthropic enforces. Knows nothing of the fields around them."""

import base64
import binascii
from collections.abc import Iterable
from typing import Any

from gateway.terms import Ask, Message, Part, PartKind
from gateway.wire import WireError
from gateway.wire.anthropic_messages.blocks import WIRE_NAME
from gateway.wire.anthropic_messages.told import arguments_of
from gateway.wire.given import mended_id
from gateway.wire.signatures import is_valid

_IMAGE_TYPES = frozenset(("image/jpeg", "image/png", "image/gif", "image/webp"))
_PDF = "application/pdf"
_READABLE = frozenset({"application/json", "application/xml", "application/yaml"})
_JSON_ONLY = "Answer with one valid JSON object and nothing else: no code fence, no text before or after it."
_UNMARKED = ("thinking", "redacted_thinking")

_Block = dict[str, Any]


def mark(block: _Block, cache: str) -> _Block:
    """Return a block with the mark that everything up to it shall be kept; some blocks cannot carry one."""
    if cache and block.get("type") not in _UNMARKED:
        block["cache_control"] = {"type": "ephemeral"} if cache == "5m" else {"type": "ephemeral", "ttl": cache}
    return block


def conversation(ask: Ask, dropped: list[str]) -> tuple[list[_Block], list[_Block]]:
    """Return the system blocks and the alternating turns; system messages move to the front in their order."""
    system: list[_Block] = []
    turns: list[_Block] = []
    for message in ask.messages:
        blocks = _blocks(message, dropped)
        if message.role == "system":
            system += blocks
        elif blocks and turns and turns[-1]["role"] == message.role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": message.role, "content": blocks})
    if ask.json_object:
        system.append({"type": "text", "text": _JSON_ONLY})
    for turn in turns:
        if turn["role"] == "user":  # results must come before anything else in their turn
            turn["content"].sort(key=lambda block: block["type"] != "tool_result")
    if not turns:
        if not system:
            raise WireError("invalid_request", "messages have no content: say something", "messages")
        return [], [{"role": "user", "content": system}]
    if turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": [{"type": "text", "text": "(The conversation continues.)"}]})
    _trim_prefill(turns)
    return system, turns


def _trim_prefill(turns: list[_Block]) -> None:
    """A last assistant turn is continued by the model and must not end in white space."""
    last = turns[-1]["content"][-1]
    if turns[-1]["role"] == "assistant" and last["type"] == "text":
        last["text"] = last["text"].rstrip()


def _blocks(message: Message, dropped: list[str]) -> list[_Block]:
    param = message.at
    blocks = [mark(block, part.cache) for part in message.parts if (block := _block(part, param, dropped)) is not None]
    kept = blocks if message.role != "system" else [block for block in blocks if block["type"] == "text"]
    if len(kept) < len(blocks):
        raise WireError("unsupported_field", f"{param}: system messages hold nothing but text at the provider of this model", param)
    return kept


def _block(part: Part, param: str, dropped: list[str]) -> _Block | None:
    """Return the part as a content block; None for what must be left out (blank text, another vendor's reasoning)."""
    kind, param = part.kind, part.at or param
    if kind is PartKind.TEXT or kind is PartKind.REFUSAL:
        return {"type": "text", "text": part.text} if part.text.strip() else None
    if kind is PartKind.IMAGE:
        if part.detail:
            dropped.append("image_url.detail")
        return {"type": "image", "source": _image(part, param)}
    if kind is PartKind.DOCUMENT:
        return _document(part, param)
    if kind is PartKind.TOOL_CALL:
        if part.signature:
            dropped.append("reasoning")  # this wire signs no calls
        return {"type": "tool_use", "id": _id(part.id, param), "name": part.name, "input": arguments_of(part.text)}
    if kind is PartKind.TOOL_RESULT:
        return _result(part, param, dropped)
    if kind is PartKind.REASONING and is_valid(part, WIRE_NAME):
        return {"type": "thinking", "thinking": part.text, "signature": part.signature}
    if kind is PartKind.REDACTED and part.signed_by == WIRE_NAME:
        return {"type": "redacted_thinking", "data": part.text}
    if kind is PartKind.AUDIO:
        raise WireError("unsupported_field", f"{param}: the provider of this model takes no recordings", param)
    dropped.append("reasoning")
    return None


def _id(text: str, param: str) -> str:
    """Other vendors' call ids may hold characters Anthropic refuses; call and result are mended alike."""
    if not text:
        raise WireError("invalid_request", f"{param}: a tool call or result has an empty id", param)
    return mended_id(text)


def _result(part: Part, param: str, dropped: list[str]) -> _Block:
    result: _Block = {"type": "tool_result", "tool_use_id": _id(part.id, param)}
    inner: Iterable[Part] = part.parts or (Part(kind=PartKind.TEXT, text=part.text),)
    blocks = [block for each in inner if (block := _block(each, param, dropped)) is not None]
    if len(blocks) == 1 and blocks[0]["type"] == "text":
        result["content"] = blocks[0]["text"]
    elif blocks:
        result["content"] = blocks
    if part.is_error:
        result["is_error"] = True
    return result


def _image(part: Part, param: str) -> _Block:
    if not part.media_type:
        return {"type": "url", "url": part.text}
    media_type = "image/jpeg" if part.media_type == "image/jpg" else part.media_type
    if media_type not in _IMAGE_TYPES:
        raise WireError("invalid_request", f"{param}: images must be JPEG, PNG, GIF or WebP, not {media_type[:64]}", param)
    return {"type": "base64", "media_type": media_type, "data": part.text.partition(",")[2]}


def _document(part: Part, param: str) -> _Block:
    data = part.text.partition(",")[2]
    if not part.media_type:
        source = {"type": "url", "url": part.text}
    elif part.media_type == _PDF:
        source = {"type": "base64", "media_type": _PDF, "data": data}
    elif part.media_type.startswith("text/") or part.media_type in _READABLE:
        try:
            source = {"type": "text", "media_type": "text/plain", "data": base64.b64decode(data, validate=True).decode()}
        except (binascii.Error, UnicodeDecodeError):
            raise WireError("invalid_request", f"{param}: the document is not base64 of UTF-8 text", param) from None
    else:
        raise WireError("unsupported_field", f"{param}: documents must be PDF or text, not {part.media_type[:64]}", param)
    block: _Block = {"type": "document", "source": source}
    if part.name:
        block["title"] = part.name
    if part.cites:
        block["citations"] = {"enabled": True}
    return block
