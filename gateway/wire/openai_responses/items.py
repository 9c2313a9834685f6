"""Reads the items of a Responses request as messages: what was said, called, answered and thought, in order."""

from collections.abc import Callable
from typing import Any

from gateway.terms import Message, Part, PartKind
from gateway.wire import given as read
from gateway.wire import signatures
from gateway.wire.openai_responses.reasoning import read_reasoning

NAME = "openai_responses"
# the vendor keeps what stands before such a mark for 30 minutes or 12 hours: an hour is the longest others offer
_CACHE = "1h"


class Turns:
    """Collects parts into messages: what the assistant says, thinks and calls in one go is one message, results of its tools are another."""

    def __init__(self) -> None:
        self._messages: list[tuple[str, str, list[Part], str]] = []
        # the signature of the tool call that comes next, and whose it is
        self.signature: tuple[str, str] = ("", "")

    def add(self, role: str, kind: str, parts: list[Part], at: str) -> None:
        """Add parts to the message under way if it is of the same `kind` of turn, else begin another `at` this place; kind "" always does."""
        if kind and self._messages and self._messages[-1][1] == kind:
            self._messages[-1][2].extend(parts)
        else:
            self._messages.append((role, kind, parts, at))

    def messages(self) -> tuple[Message, ...]:
        """Return everything collected."""
        return tuple(Message(role, tuple(parts), at) for role, _, parts, at in self._messages)


def read_messages(instructions: object, given: object, dropped: list[str]) -> tuple[Message, ...]:
    """Return the conversation a request holds, instructions first. Raises WireError."""
    turns = Turns()
    if instructions is not None:
        turns.add("system", "", [Part(kind=PartKind.TEXT, text=read.text(instructions, "instructions"))], "instructions")
    if isinstance(given, str):
        turns.add("user", "", [Part(kind=PartKind.TEXT, text=given)], "input")
    elif given is not None:
        for index, item in enumerate(read.list_(given, "input")):
            _read_item(read.object_(item, f"input[{index}]"), f"input[{index}]", turns, dropped)
    messages = turns.messages()
    if not messages:
        raise read.invalid("input", "input must not be empty: say something")
    return messages


def _read_item(item: dict[str, Any], param: str, turns: Turns, dropped: list[str]) -> None:
    kind = item.get("type", "message")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise read.unsupported(f"{param}.type")
    reader(item, param, turns, dropped)
    if kind != "reasoning":
        turns.signature = ("", "")


def _message(item: dict[str, Any], param: str, turns: Turns, dropped: list[str]) -> None:
    role = read.choice(item.get("role"), f"{param}.role", ("user", "assistant", "system", "developer"))
    parts = read_parts(item.get("content"), f"{param}.content", dropped)
    if item.get("phase") is not None:
        dropped.append("input.phase")
    if role == "assistant":
        turns.add("assistant", "assistant", parts, param)
    elif role == "user":
        turns.add("user", "", parts, param)
    elif role:
        turns.add("system", "", parts, param)
    else:
        raise read.invalid(f"{param}.role", f"{param}.role must be user, assistant, system or developer")


def _function_call(item: dict[str, Any], param: str, turns: Turns, dropped: list[str]) -> None:
    signature, signed_by = turns.signature
    part = Part(
        kind=PartKind.TOOL_CALL,
        id=read.text(item.get("call_id"), f"{param}.call_id"),
        name=read.text(item.get("name"), f"{param}.name"),
        text=read.text(item.get("arguments") or "", f"{param}.arguments"),
        signature=signature,
        signed_by=signed_by,
        at=f"{param}.call_id",
    )
    turns.add("assistant", "assistant", [part], param)


def _function_call_output(item: dict[str, Any], param: str, turns: Turns, dropped: list[str]) -> None:
    parts = read_parts(item.get("output"), f"{param}.output", dropped)
    call_id = read.text(item.get("call_id"), f"{param}.call_id")
    turns.add("user", "results", [Part(kind=PartKind.TOOL_RESULT, id=call_id, parts=tuple(parts), at=f"{param}.call_id")], param)


def _reasoning(item: dict[str, Any], param: str, turns: Turns, dropped: list[str]) -> None:
    sealed = item.get("encrypted_content")
    signed_by, signature = signatures.unseal_call(sealed) if isinstance(sealed, str) else ("", "")
    if signature:
        turns.signature = (signature, signed_by)
        return
    part = read_reasoning(item, param)
    if part is not None:
        turns.add("assistant", "assistant", [part], param)


def _picture(item: dict[str, Any], param: str, turns: Turns, dropped: list[str]) -> None:
    """A picture that a model drew in an earlier turn: no other wire takes one back from the model."""
    dropped.append("input.image_generation_call")


_READERS: dict[str, Callable[[dict[str, Any], str, Turns, list[str]], None]] = {
    "message": _message,
    "function_call": _function_call,
    "function_call_output": _function_call_output,
    "reasoning": _reasoning,
    "image_generation_call": _picture,
}


def is_reference(item: object) -> bool:
    """Return whether an item stands for a stored one; its type may be left out."""
    return isinstance(item, dict) and (item.get("type") == "item_reference" or item.keys() == {"id"}) and isinstance(item.get("id"), str)


def read_parts(given: object, param: str, dropped: list[str]) -> list[Part]:
    """Return the parts of a message or of a tool's result, which may be plain text. Raises WireError."""
    if isinstance(given, str):
        return [Part(kind=PartKind.TEXT, text=given)]
    return [_part(read.object_(part, f"{param}[{index}]"), f"{param}[{index}]", dropped) for index, part in enumerate(read.list_(given, param))]


def _part(part: dict[str, Any], param: str, dropped: list[str]) -> Part:
    kind = part.get("type")
    cache = _CACHE if part.get("prompt_cache_breakpoint") is not None else ""
    if kind in ("input_text", "output_text"):
        return Part(kind=PartKind.TEXT, text=read.text(part.get("text"), f"{param}.text"), cache=cache)
    if kind == "refusal":
        return Part(kind=PartKind.REFUSAL, text=read.text(part.get("refusal"), f"{param}.refusal"))
    if kind == "input_image":
        _refuse_file_id(part, param)
        if "image_url" not in part:
            raise read.invalid(param, f"{param} needs image_url")
        url = read.text(part.get("image_url"), f"{param}.image_url")
        detail = read.choice(part.get("detail"), f"{param}.detail", ("auto", "low", "high", "original"))
        media_type = read.media_type(url, f"{param}.image_url")
        return Part(kind=PartKind.IMAGE, text=url, media_type=media_type, detail="" if detail == "auto" else detail, cache=cache, at=param)
    if kind == "input_file":
        return _file(part, param, cache, dropped)
    raise read.invalid(f"{param}.type", f"{param}.type must be input_text, input_image, input_file, output_text or refusal")


def _file(part: dict[str, Any], param: str, cache: str, dropped: list[str]) -> Part:
    _refuse_file_id(part, param)
    name = read.text(part.get("filename") or "", f"{param}.filename")
    if part.get("detail") not in (None, "auto"):
        dropped.append("input_file.detail")
    given = [field for field in ("file_url", "file_data") if field in part]
    if not given:
        raise read.invalid(param, f"{param} needs file_data or file_url")
    field = next((field for field in given if part[field] is not None), given[0])
    url = read.text(part.get(field), f"{param}.{field}")
    return Part(kind=PartKind.DOCUMENT, text=url, name=name, media_type=read.media_type(url, f"{param}.{field}"), cache=cache, at=param)


def _refuse_file_id(part: dict[str, Any], param: str) -> None:
    if part.get("file_id") is not None:
        raise read.unsupported(f"{param}.file_id")
