"""Writes a neutral request for the Responses API, with the rules that API enforces. Knows nothing about answers.

Nothing is left at the vendor: `store` is false, and reasoning comes encrypted, to be brought along by the caller.
"""

import re
from typing import Any

import orjson

from gateway.terms import Ask, Message, Part, PartKind, Tool, ToolChoice
from gateway.wire import WireError, gpt
from gateway.wire.efforts import effort_of
from gateway.wire.given import begun
from gateway.wire.openai_responses.reasoning import NAME, written
from gateway.wire.signatures import is_valid

# Only models that reason take `include: reasoning.encrypted_content`; the others refuse the request for it.
_REASONS = re.compile(r"(?:.*/)?(?:o\d|gpt-(?:[5-9]|\d\d)(?!.*-chat)|gpt-oss|codex|computer-use)")
_LOGPROBS = "message.output_text.logprobs"
_FORMAT_NAME = "answer"
_FILE_NAME = "file"

_Item = dict[str, Any]


def compose(ask: Ask, upstream_model: str) -> tuple[bytes, tuple[str, ...]]:
    """Return the Responses request body and the caller's fields it does not carry; raises WireError naming what has no counterpart there."""
    if ask.stop:
        raise _unsupported("stop", "stop sequences")
    if ask.answers > 1:
        raise _unsupported("n", "second answer")
    lost: list[str] = []
    body: dict[str, Any] = {"model": upstream_model, "input": _input(ask, lost), "store": False}
    if ask.tools:
        body["tools"] = [_tool(tool) for tool in ask.tools]
    if ask.tool_choice is not None:
        _set_tool_choice(body, ask.tool_choice, has_tools=bool(ask.tools))
    if ask.max_output_tokens is not None:
        body["max_output_tokens"] = ask.max_output_tokens
    _set_text(body, ask)
    _set_reasoning(body, ask, upstream_model, lost)
    _set_sampling(body, ask, upstream_model, lost)
    if ask.logprobs:
        body["include"] = [*body.get("include", ()), _LOGPROBS]
        if ask.top_logprobs:
            body["top_logprobs"] = ask.top_logprobs
    if ask.end_user:
        body["safety_identifier"] = ask.end_user
    if ask.service_tier:
        body["service_tier"] = ask.service_tier
    if ask.metadata:
        body["metadata"] = ask.metadata
    if ask.cache_key:
        body["prompt_cache_key"] = ask.cache_key
    if ask.stream:
        body["stream"] = True
    return orjson.dumps(body), _dropped(ask, lost)


def _unsupported(param: str, words: str) -> WireError:
    return WireError("unsupported_field", f"{param}: the provider of this model has no {words}: leave it out or choose another model", param)


def _dropped(ask: Ask, lost: list[str]) -> tuple[str, ...]:
    names = list(ask.dropped) + lost
    for name in ("seed", "top_k", "frequency_penalty", "presence_penalty"):
        if getattr(ask, name) not in (None, 0):
            names.append(name)
    if any(tool.cache for tool in ask.tools):
        names.append("cache_control")
    return tuple(dict.fromkeys(names))


def _set_text(body: dict[str, Any], ask: Ask) -> None:
    text: dict[str, Any] = {}
    if ask.json_schema is not None:
        text["format"] = {"type": "json_schema", "name": ask.json_schema_name or _FORMAT_NAME, "schema": orjson.loads(bytes(ask.json_schema))}
        if ask.json_strict is not None:
            text["format"]["strict"] = ask.json_strict
    elif ask.json_object:
        text["format"] = {"type": "json_object"}
    if ask.verbosity:
        text["verbosity"] = ask.verbosity
    if text:
        body["text"] = text


def _set_reasoning(body: dict[str, Any], ask: Ask, upstream_model: str, lost: list[str]) -> None:
    wanted = ask.reasoning_effort
    if not wanted and ask.reasoning_budget_tokens is not None:
        wanted = effort_of(ask.reasoning_budget_tokens)
    effort = gpt.effort_for(upstream_model, wanted)
    if not gpt.is_kept(upstream_model, wanted, effort):
        lost.append("reasoning_effort")
    reasoning: dict[str, Any] = {"effort": effort} if effort else {}
    if ask.shows_reasoning:
        reasoning["summary"] = "auto"
    if reasoning:
        body["reasoning"] = reasoning
    if effort not in ("", "none") or _REASONS.match(upstream_model):
        body["include"] = ["reasoning.encrypted_content"]


def _set_sampling(body: dict[str, Any], ask: Ask, upstream_model: str, lost: list[str]) -> None:
    takes_sampling = gpt.takes_sampling(upstream_model, body.get("reasoning", {}).get("effort", ""))
    for name in ("temperature", "top_p"):
        value = getattr(ask, name)
        if value is not None and takes_sampling:
            body[name] = value
        elif value is not None and value != gpt.DEFAULTS[name]:
            lost.append(name)


# ---- input ------------------------------------------------------------------------------------------------------------


def _input(ask: Ask, lost: list[str]) -> list[_Item]:
    items: list[_Item] = []
    for message in ask.messages:
        if message.role == "assistant":
            _add_assistant(items, message, lost)
        else:
            _add_given(items, message, lost)
    if not items:
        raise WireError("invalid_request", "messages have no content: say something", "messages")
    if items[-1].get("role") == "assistant":
        raise begun()
    return items


def _add_assistant(items: list[_Item], message: Message, lost: list[str]) -> None:
    texts: list[str] = []
    for part in message.parts:
        kind = part.kind
        if kind is PartKind.TEXT or kind is PartKind.REFUSAL:
            texts.append(part.text)
            continue
        _say(items, texts)
        if kind is PartKind.TOOL_CALL:
            items.append({"type": "function_call", "call_id": part.id, "name": part.name, "arguments": part.text or "{}"})
            if part.signature:
                lost.append("reasoning")
        elif kind is PartKind.REASONING and is_valid(part, NAME):
            items.append(written(part.text, part.signature))
        elif kind is PartKind.REDACTED and part.signed_by == NAME:
            items.append(written("", part.text))
        elif kind is PartKind.REASONING or kind is PartKind.REDACTED:
            lost.append("reasoning")
        else:
            raise _unsupported(message.at, f"{kind.value} in what the model itself said")
    _say(items, texts)


def _say(items: list[_Item], texts: list[str]) -> None:
    """Add what the model said; a message of its own needs no id as long as its content is plain text."""
    text = "".join(texts)
    texts.clear()
    if text:
        items.append({"type": "message", "role": "assistant", "content": text})


def _add_given(items: list[_Item], message: Message, lost: list[str]) -> None:
    content: list[_Item] = []
    for part in message.parts:
        if part.kind is PartKind.TOOL_RESULT:
            items.append(_result(part, message.at, lost))
        else:
            content.append(_content(part, message.at, lost))
    if len(content) == 1 and content[0]["type"] == "input_text":
        items.append({"type": "message", "role": message.role, "content": content[0]["text"]})
    elif content:
        items.append({"type": "message", "role": message.role, "content": content})


def _result(part: Part, param: str, lost: list[str]) -> _Item:
    inner = [_content(each, param, lost) for each in part.parts]
    is_plain = all(each["type"] == "input_text" for each in inner) and len(inner) <= 1
    output: Any = "".join(each["text"] for each in inner) if is_plain else inner
    if part.is_error:
        lost.append("is_error")
    return {"type": "function_call_output", "call_id": part.id, "output": output if part.parts else part.text}


def _content(part: Part, param: str, lost: list[str]) -> _Item:
    if part.cache:
        lost.append("cache_control")
    kind, param = part.kind, part.at or param
    if kind is PartKind.TEXT or kind is PartKind.REFUSAL:
        return {"type": "input_text", "text": part.text}
    if kind is PartKind.IMAGE:
        return {"type": "input_image", "image_url": part.text, "detail": part.detail or "auto"}
    if kind is PartKind.DOCUMENT:
        if part.cites:
            lost.append("citations")
        if not part.media_type:
            return {"type": "input_file", "file_url": part.text}
        return {"type": "input_file", "filename": part.name or _FILE_NAME + _ENDINGS.get(part.media_type, ""), "file_data": part.text}
    raise _unsupported(param, f"place for {kind.value}")


# the vendor tells a file's kind from its name
_ENDINGS = {"application/pdf": ".pdf", "text/plain": ".txt", "text/markdown": ".md", "text/csv": ".csv", "application/json": ".json", "text/html": ".html"}


# ---- tools ------------------------------------------------------------------------------------------------------------


def _tool(tool: Tool) -> _Item:
    schema = orjson.loads(bytes(tool.schema)) if tool.schema is not None else {"type": "object", "properties": {}}
    # left out, `strict` would be true there
    item: _Item = {"type": "function", "name": tool.name, "parameters": schema, "strict": bool(tool.strict)}
    if tool.description:
        item["description"] = tool.description
    return item


def _set_tool_choice(body: dict[str, Any], choice: ToolChoice, *, has_tools: bool) -> None:
    if not has_tools:
        return
    body["tool_choice"] = {"type": "function", "name": choice.name} if choice.mode == "function" else choice.mode
    if choice.parallel is not None:
        body["parallel_tool_calls"] = choice.parallel
