"""Reads Gemini's `contents`: turns and their parts. Finds the call a result belongs to where neither has an id."""

from typing import Any

from gateway.terms import Message, Part, PartKind
from gateway.wire.gemini import thoughts
from gateway.wire.gemini.fields import drop_others, json_text, members, several
from gateway.wire.given import flag, invalid, text, unsupported

_ROLES = {"user": "user", "function": "user", "tool": "user", "model": "assistant", "": "user"}
_KNOWN = frozenset({"text", "inlineData", "fileData", "functionCall", "functionResponse", "thought", "thoughtSignature"})
_REFUSED = ("executableCode", "codeExecutionResult", "toolCall", "toolResponse")
_BLOB = frozenset({"mimeType", "data", "displayName"})
_FILE = frozenset({"mimeType", "fileUri", "displayName"})
_CALL = frozenset({"id", "name", "args"})
_RESULT = frozenset({"id", "name", "response", "parts"})
_OUTPUTS = ("result", "output")


def read_system(value: object, dropped: list[str]) -> Message | None:
    """Return the system instruction; None for an empty one."""
    content = members({"parts": [{"text": value}]} if isinstance(value, str) else value, "systemInstruction")
    parts = []
    for index, each in enumerate(several(content.get("parts", []), "systemInstruction.parts")):
        param = f"systemInstruction.parts[{index}]"
        part = members(each, param)
        if "text" not in part:
            raise unsupported(param)
        drop_others(part, _KNOWN, "systemInstruction.parts", dropped)
        parts.append(Part(PartKind.TEXT, text=text(part["text"], f"{param}.text")))
    return Message("system", tuple(parts), "systemInstruction") if parts else None


def read_contents(value: object, dropped: list[str]) -> list[Message]:
    """Return the turns; a model's turns that follow each other are one, as its streamed answers come back in pieces. Raises WireError."""
    found = several(value, "contents")
    if not found:
        raise invalid("contents", "contents must not be empty")
    turns = _Turns(dropped)
    for index, each in enumerate(found):
        turns.read(each, f"contents[{index}]")
    return turns.messages()


class _Turns:
    """The turns read so far, and the calls among them that wait for a result."""

    def __init__(self, dropped: list[str]) -> None:
        self._dropped = dropped
        self._turns: list[tuple[str, list[Part], str]] = []
        self._waiting: list[tuple[str, str]] = []
        self._calls = 0

    def messages(self) -> list[Message]:
        return [Message(role, tuple(parts), at) for role, parts, at in self._turns if parts]

    def read(self, value: object, param: str) -> None:
        content = members(value, param)
        role = _ROLES.get(text(content.get("role", ""), f"{param}.role"))
        if role is None:
            raise invalid(f"{param}.role", f"{param}.role must be user or model")
        if self._turns and self._turns[-1][0] == role:
            into = self._turns[-1][1]
        else:
            into = []
            self._turns.append((role, into, param))
        for index, each in enumerate(several(content.get("parts", []), f"{param}.parts")):
            self._part(members(each, f"{param}.parts[{index}]"), f"{param}.parts[{index}]", role == "assistant", into)

    def _part(self, part: dict[str, Any], param: str, is_model: bool, into: list[Part]) -> None:
        for name in _REFUSED:
            if name in part:
                raise unsupported(f"{param}.{name}")
        drop_others(part, _KNOWN, "contents.parts", self._dropped)
        thought = None
        if "thoughtSignature" in part:
            kept = text(part["thoughtSignature"], f"{param}.thoughtSignature")
            thought = thoughts.read(kept, f"{param}.thoughtSignature") if kept else None
        if "functionCall" in part:
            into.append(self._call(part["functionCall"], f"{param}.functionCall", thought))
        elif "functionResponse" in part:
            into.append(self._result(part["functionResponse"], f"{param}.functionResponse"))
        elif "inlineData" in part:
            into.append(_inline(part["inlineData"], f"{param}.inlineData", self._dropped))
        elif "fileData" in part:
            into.append(_file(part["fileData"], f"{param}.fileData", self._dropped))
        elif "text" in part or thought is not None:
            words = text(part.get("text", ""), f"{param}.text")
            is_thought = flag(part.get("thought"), f"{param}.thought") or False
            if is_model:
                _spoken(words, is_thought, thought, into)
            elif words:
                into.append(Part(PartKind.TEXT, text=words))
        else:
            raise invalid(param, f"{param} must hold text, inlineData, fileData, functionCall or functionResponse")

    def _call(self, value: object, param: str, thought: Part | None) -> Part:
        call = members(value, param)
        drop_others(call, _CALL, "contents.parts.functionCall", self._dropped)
        name = text(call.get("name"), f"{param}.name")
        given = call.get("args", {})
        if not isinstance(given, dict):
            raise invalid(f"{param}.args", f"{param}.args must be an object")
        self._calls += 1
        given_id = text(call.get("id", ""), f"{param}.id") or f"call_{self._calls}"
        self._waiting.append((given_id, name))
        signature, signed_by = ("", "") if thought is None or not thought.signature else (thought.signature, thought.signed_by)
        return Part(PartKind.TOOL_CALL, text=json_text(given, f"{param}.args"), id=given_id, name=name, signature=signature, signed_by=signed_by, at=param)

    def _result(self, value: object, param: str) -> Part:
        result = members(value, param)
        drop_others(result, _RESULT, "contents.parts.functionResponse", self._dropped)
        name = text(result.get("name", ""), f"{param}.name")
        given_id = text(result.get("id", ""), f"{param}.id")
        response = result.get("response", {})
        if not isinstance(response, dict):
            raise invalid(f"{param}.response", f"{param}.response must be an object")
        words, is_error = _outcome(response, f"{param}.response")
        parts = [Part(PartKind.TEXT, text=words)] if words or "parts" not in result else []
        for index, each in enumerate(several(result.get("parts", []), f"{param}.parts")):
            inner = members(each, f"{param}.parts[{index}]")
            if "inlineData" not in inner:
                raise unsupported(f"{param}.parts[{index}]")
            parts.append(_inline(inner["inlineData"], f"{param}.parts[{index}].inlineData", self._dropped))
        return Part(PartKind.TOOL_RESULT, id=self._answered(given_id, name, param), name=name, is_error=is_error, parts=tuple(parts), at=param)

    def _answered(self, given_id: str, name: str, param: str) -> str:
        """Return the id of the call a result is for: the one it names, else the first of that name that waits."""
        for waiting in self._waiting:
            if waiting[0] == given_id or (not given_id and waiting[1] == name):
                self._waiting.remove(waiting)
                return waiting[0]
        raise invalid(param, f"{param} answers no functionCall of the turns before it")


def _spoken(words: str, is_thought: bool, thought: Part | None, into: list[Part]) -> None:
    """Add what a model said; streamed answers come back as many pieces of one text or thought."""
    last = into[-1] if into else None
    kind = PartKind.REASONING if is_thought else PartKind.TEXT
    if words:
        if last is not None and last.kind is kind and not last.signature:
            into[-1] = last = Part(kind, text=last.text + words)
        else:
            last = Part(kind, text=words)
            into.append(last)
    if thought is None:
        return
    if thought.kind is PartKind.REASONING and is_thought and last is not None and last.kind is PartKind.REASONING and not last.signature:
        into[-1] = Part(PartKind.REASONING, text=last.text, signature=thought.signature, signed_by=thought.signed_by)
    else:
        into.append(thought)


def _outcome(response: dict[str, Any], param: str) -> tuple[str, bool]:
    """Return a result's text and whether it is an error: the keys `output` (or `result`) and `error` are Google's convention."""
    if len(response) == 1:
        name, value = next(iter(response.items()))
        if name == "error" or name in _OUTPUTS:
            return value if isinstance(value, str) else json_text(value, param), name == "error"
    return (json_text(response, param) if response else ""), False


def _inline(value: object, param: str, dropped: list[str]) -> Part:
    blob = members(value, param)
    drop_others(blob, _BLOB, "contents.parts.inlineData", dropped)
    media_type = text(blob.get("mimeType"), f"{param}.mimeType").partition(";")[0].strip().lower()
    data = thoughts.standard(text(blob.get("data"), f"{param}.data"), f"{param}.data")
    kind = _kind(media_type)
    if kind is None:
        raise unsupported(f"{param}.mimeType")
    name = text(blob.get("displayName", ""), f"{param}.displayName")
    return Part(kind, text=f"data:{media_type};base64,{data}", name=name, media_type=media_type, at=param)


def _file(value: object, param: str, dropped: list[str]) -> Part:
    """Return a file at a public address; files that Google keeps are nobody else's to read."""
    file = members(value, param)
    drop_others(file, _FILE, "contents.parts.fileData", dropped)
    uri = text(file.get("fileUri"), f"{param}.fileUri")
    media_type = text(file.get("mimeType", ""), f"{param}.mimeType").partition(";")[0].strip().lower()
    kind = _kind(media_type) if media_type else PartKind.IMAGE
    host = uri[:300].lower().removeprefix("https://").removeprefix("http://").partition("/")[0]
    is_kept_by_google = host.endswith(("generativelanguage.googleapis.com", "youtube.com", "youtu.be"))
    if not uri[:8].lower().startswith(("https://", "http://")) or is_kept_by_google or kind not in (PartKind.IMAGE, PartKind.DOCUMENT):
        raise unsupported(f"{param}.fileUri")
    return Part(kind, text=uri, name=text(file.get("displayName", ""), f"{param}.displayName"), at=param)


def _kind(media_type: str) -> PartKind | None:
    family = media_type.partition("/")[0]
    if family == "image":
        return PartKind.IMAGE
    if family == "audio":
        return PartKind.AUDIO
    if family in ("application", "text"):
        return PartKind.DOCUMENT
    return None
