"""Writes a neutral conversation as Converse's system blocks and alternating turns, with the rules AWS enforces. Knows nothing of the fields around them."""

import hashlib
from typing import Any

from gateway.terms import Ask, Message, Part, PartKind
from gateway.wire import WireError
from gateway.wire.anthropic_messages.told import arguments_of
from gateway.wire.bedrock_converse.answer import WIRE_NAME
from gateway.wire.bedrock_converse.media import audio, document, image
from gateway.wire.given import mended_id
from gateway.wire.signatures import is_valid

_LONGEST_ID = 64
_JSON_ONLY = "Answer with one valid JSON object and nothing else: no code fence, no text before or after it."
# a turn with a document must hold a text as well
_SEE_DOCUMENT = "(See the document.)"

Block = dict[str, Any]
# a block with the marker that may follow it
_Group = list[Block]


def marker(cache: str) -> Block:
    """Return the block that says that everything up to it shall be kept."""
    return {"cachePoint": {"type": "default"} if cache == "5m" else {"type": "default", "ttl": cache}}


def conversation(ask: Ask, dropped: list[str], *, marks: bool) -> tuple[list[Block], list[Block]]:
    """Return the system blocks and the alternating turns; system messages move to the front in their order. `marks` is whether the model's cache takes marks.

    Raises WireError naming the message that AWS would refuse.
    """
    writer = _Writer(dropped, marks=marks)
    system: list[_Group] = []
    turns: list[tuple[str, list[_Group]]] = []
    for message in ask.messages:
        groups = writer.groups(message)
        if message.role == "system":
            system += groups
        elif groups and turns and turns[-1][0] == message.role:
            turns[-1][1].extend(groups)
        elif groups:
            turns.append((message.role, groups))
    if ask.json_object:
        system.append([{"text": _JSON_ONLY}])
    if not turns:
        if not system:
            raise WireError("invalid_request", "messages have no content: say something", "messages")
        system, turns = [], [("user", system)]
    if turns[0][0] == "assistant":
        turns.insert(0, ("user", [[{"text": "(The conversation continues.)"}]]))
    _trim_prefill(turns[-1])
    return _flat(system), [{"role": role, "content": _content(role, groups)} for role, groups in turns]


def _trim_prefill(turn: tuple[str, list[_Group]]) -> None:
    """A last assistant turn is continued by the model and must not end in white space."""
    role, groups = turn
    last = groups[-1][0]
    if role == "assistant" and "text" in last:
        last["text"] = last["text"].rstrip()


def _content(role: str, groups: list[_Group]) -> list[Block]:
    if role == "user":  # results must come before anything else in their turn
        groups = sorted(groups, key=lambda group: "toolResult" not in group[0]) if len(groups) > 1 else groups
    blocks = _flat(groups)
    if any("document" in block for block in blocks) and not any("text" in block for block in blocks):
        blocks.append({"text": _SEE_DOCUMENT})
    return blocks


def _flat(groups: list[_Group]) -> list[Block]:
    return [block for group in groups for block in group]


class _Writer:
    """Writes the parts of one conversation; documents need names of their own in it."""

    def __init__(self, dropped: list[str], *, marks: bool) -> None:
        self._dropped, self._marks = dropped, marks
        self._names: set[str] = set()

    def groups(self, message: Message) -> list[_Group]:
        """Return a message's blocks, each with the marker that follows it."""
        param = message.at
        groups = [group for part in message.parts if (group := self._group(part, param))]
        if message.role == "system" and any("text" not in group[0] for group in groups):
            raise WireError("unsupported_field", f"{param}: system messages hold nothing but text at the provider of this model", param)
        return groups

    def _group(self, part: Part, param: str) -> _Group:
        block = self._block(part, param)
        if block is None:
            return []
        if not part.cache or "reasoningContent" in block:
            return [block]
        if self._marks:
            return [block, marker(part.cache)]
        self._dropped.append("cache_control")
        return [block]

    def _block(self, part: Part, param: str) -> Block | None:
        """Return the part as a content block; None for what must be left out (blank text, another vendor's reasoning)."""
        kind, param = part.kind, part.at or param
        if kind is PartKind.TEXT or kind is PartKind.REFUSAL:
            return {"text": part.text} if part.text.strip() else None
        if kind is PartKind.IMAGE:
            if part.detail:
                self._dropped.append("image_url.detail")
            return image(part, param)
        if kind is PartKind.DOCUMENT:
            return document(part, param, self._names)
        if kind is PartKind.AUDIO:
            return audio(part, param)
        if kind is PartKind.TOOL_CALL:
            if part.signature:
                self._dropped.append("reasoning")  # this wire signs no calls
            return {"toolUse": {"toolUseId": _id(part.id, param), "name": part.name, "input": arguments_of(part.text)}}
        if kind is PartKind.TOOL_RESULT:
            return self._result(part, param)
        if kind is PartKind.REASONING and is_valid(part, WIRE_NAME):
            return {"reasoningContent": {"reasoningText": {"text": part.text, "signature": part.signature}}}
        if kind is PartKind.REDACTED and part.signed_by == WIRE_NAME:
            return {"reasoningContent": {"redactedContent": part.text}}
        self._dropped.append("reasoning")
        return None

    def _result(self, part: Part, param: str) -> Block:
        inner = part.parts or (Part(kind=PartKind.TEXT, text=part.text),)
        if any(each.cache for each in inner):
            self._dropped.append("cache_control")
        blocks = [block for each in inner if (block := self._block(each, param)) is not None]
        result: Block = {"toolUseId": _id(part.id, param), "content": blocks}
        if part.is_error:
            result["status"] = "error"
        return {"toolResult": result}


def _id(text: str, param: str) -> str:
    """Other vendors' call ids may hold characters AWS refuses, or too many; call and result are mended alike."""
    if not text:
        raise WireError("invalid_request", f"{param}: a tool call or result has an empty id", param)
    mended = mended_id(text)
    return mended if len(mended) <= _LONGEST_ID else mended[:31] + "_" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]
