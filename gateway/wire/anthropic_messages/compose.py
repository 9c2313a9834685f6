"""Writes a neutral request for Anthropic's Messages API, with the rules that API enforces. Knows nothing about answers.

JSON schemas go out as `output_config.format`, the documented way; "any JSON object" has no counterpart there and becomes
an instruction. Reasoning effort becomes a thinking budget on the models that take one, adaptive thinking on the others.
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec
import orjson

from gateway.terms import Ask, Message, Part, PartKind, Tool, ToolChoice
from gateway.wire import WireError
from gateway.wire.anthropic_messages.blocks import WIRE_NAME
from gateway.wire.signatures import is_valid

# Anthropic requires max_tokens; OpenAI does not.
DEFAULT_MAX_TOKENS = 4096
_LEAST_BUDGET_TOKENS = 1024
_BUDGET_TOKENS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 32768}
_EFFORT = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
# Up to 4.5 thinking takes a budget; later families decide by effort ("adaptive") and refuse or deprecate budgets.
_TAKES_BUDGET = re.compile(r"claude-(?:3|(?:opus|sonnet|haiku)-4(?:-[0-5])?(?:$|[-@]\d{8}|-latest|-v\d))")
_IMAGE_TYPES = frozenset(("image/jpeg", "image/png", "image/gif", "image/webp"))
_FOREIGN_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")
_TIERS = {"auto": "auto", "default": "standard_only"}
_JSON_ONLY = "Answer with one valid JSON object and nothing else: no code fence, no text before or after it."
_USER_ID_LIMIT = 256

_Block = dict[str, Any]


def compose(ask: Ask, upstream_model: str) -> tuple[bytes, tuple[str, ...]]:
    """Return the Messages request body and the caller's fields it does not carry; raises WireError naming what Anthropic would refuse and we cannot mend."""
    system, turns = _conversation(ask)
    body: dict[str, Any] = {
        "model": upstream_model,
        "max_tokens": ask.max_output_tokens or DEFAULT_MAX_TOKENS,
        "messages": turns,
    }
    if system:
        body["system"] = system
    if ask.stop and (stops := [stop for stop in ask.stop if stop.strip()]):  # white space only is a 400 there
        body["stop_sequences"] = stops
    if ask.tools:
        body["tools"] = [_tool(tool) for tool in ask.tools]
        if ask.tool_choice is not None:
            body["tool_choice"] = _tool_choice(ask.tool_choice)
    if ask.json_schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": _json(ask.json_schema)}}
    _set_thinking(body, ask, turns, upstream_model)
    if "thinking" not in body:  # thinking allows only the default sampling
        _set_sampling(body, ask)
    if ask.end_user and len(ask.end_user) <= _USER_ID_LIMIT:
        body["metadata"] = {"user_id": ask.end_user}
    if ask.service_tier in _TIERS:
        body["service_tier"] = _TIERS[ask.service_tier]
    if ask.stream:
        body["stream"] = True
    return orjson.dumps(body), _dropped(ask, body)


def _dropped(ask: Ask, body: dict[str, Any]) -> tuple[str, ...]:
    names = list(ask.dropped)
    if ask.seed is not None:
        names.append("seed")
    if ask.service_tier and "service_tier" not in body:
        names.append("service_tier")
    if ask.end_user and "metadata" not in body:
        names.append("user")
    if ask.reasoning_effort not in ("", "none") and "thinking" not in body:
        names.append("reasoning_effort")
    if ask.temperature is not None and "temperature" not in body:
        names.append("temperature")
    if ask.top_p is not None and "top_p" not in body:
        names.append("top_p")
    return tuple(dict.fromkeys(names))


def _json(raw: msgspec.Raw) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads(bytes(raw))
    return value


def _set_sampling(body: dict[str, Any], ask: Ask) -> None:
    """OpenAI's temperature ends at 2, Anthropic's at 1. Newer models refuse temperature and top_p together: temperature wins."""
    if ask.temperature is not None:
        body["temperature"] = min(ask.temperature, 1.0)
    elif ask.top_p is not None:
        body["top_p"] = ask.top_p


def _set_thinking(body: dict[str, Any], ask: Ask, turns: list[_Block], upstream_model: str) -> None:
    effort = ask.reasoning_effort
    if not effort or effort == "none":
        return
    if body.get("tool_choice", {}).get("type") in ("any", "tool"):  # a forced tool and thinking exclude each other
        return
    if not _TAKES_BUDGET.match(upstream_model.rpartition("/")[2].removeprefix("anthropic.")):
        body["thinking"] = {"type": "adaptive"}
        body.setdefault("output_config", {})["effort"] = _EFFORT[effort]
        if ask.max_output_tokens is None:  # thinking is part of max_tokens
            body["max_tokens"] = _BUDGET_TOKENS[effort] + DEFAULT_MAX_TOKENS
        return
    if _in_tool_loop(turns):
        return
    budget = _BUDGET_TOKENS[effort]
    if ask.max_output_tokens is None:
        body["max_tokens"] = budget + DEFAULT_MAX_TOKENS
    budget = min(budget, body["max_tokens"] - 1)  # the budget is part of max_tokens and must be less
    if budget >= _LEAST_BUDGET_TOKENS:
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _in_tool_loop(turns: list[_Block]) -> bool:
    """With a budget, a turn that called tools must begin with its signed thinking, which OpenAI's wire has no field for."""
    last = next((turn for turn in reversed(turns) if turn["role"] == "assistant"), None)
    if last is None or last["content"][0]["type"] in ("thinking", "redacted_thinking"):
        return False
    return any(block["type"] == "tool_use" for block in last["content"])


# ---- conversation -----------------------------------------------------------------------------------------------------


def _conversation(ask: Ask) -> tuple[list[_Block], list[_Block]]:
    """Return the system blocks and the alternating turns; system messages move to the front in their order."""
    system: list[_Block] = []
    turns: list[_Block] = []
    for index, message in enumerate(ask.messages):
        blocks = _blocks(message, f"messages[{index}]")
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


def _blocks(message: Message, param: str) -> list[_Block]:
    return [block for part in message.parts if (block := _block(part, param)) is not None]


def _block(part: Part, param: str) -> _Block | None:
    """Return the part as a content block; None for what must be left out (blank text, unsigned reasoning)."""
    kind = part.kind
    if kind is PartKind.TEXT or kind is PartKind.REFUSAL:
        return {"type": "text", "text": part.text} if part.text.strip() else None
    if kind is PartKind.IMAGE:
        return {"type": "image", "source": _image(part, param)}
    if kind is PartKind.TOOL_CALL:
        return {"type": "tool_use", "id": _id(part.id, param), "name": part.name, "input": _arguments(part.text)}
    if kind is PartKind.TOOL_RESULT:
        return _result(part, param)
    if kind is PartKind.REASONING and is_valid(part, WIRE_NAME):
        return {"type": "thinking", "thinking": part.text, "signature": part.signature}
    if kind is PartKind.REDACTED and part.signed_by == WIRE_NAME:
        return {"type": "redacted_thinking", "data": part.text}
    return None


def _id(text: str, param: str) -> str:
    """Other vendors' call ids may hold characters Anthropic refuses; call and result are mended alike."""
    if not text:
        raise WireError("invalid_request", f"{param}: a tool call or result has an empty id", param)
    return _FOREIGN_IN_ID.sub("_", text)


def _arguments(text: str) -> dict[str, Any]:
    """Anthropic takes only objects; broken arguments a model once produced must not end the conversation."""
    if not text.strip():
        return {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"arguments": text}
    return value if isinstance(value, dict) else {"arguments": value}


def _result(part: Part, param: str) -> _Block:
    result: _Block = {"type": "tool_result", "tool_use_id": _id(part.id, param)}
    inner: Iterable[Part] = part.parts or (Part(kind=PartKind.TEXT, text=part.text),)
    blocks = [block for each in inner if (block := _block(each, param)) is not None]
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


# ---- tools ------------------------------------------------------------------------------------------------------------


def _tool(tool: Tool) -> _Block:
    schema = _json(tool.schema) if tool.schema is not None else {}
    written: _Block = {"name": tool.name, "input_schema": {**schema, "type": "object"} if schema else {"type": "object", "properties": {}}}
    if tool.description:
        written["description"] = tool.description
    if tool.strict:
        written["strict"] = True
    return written


def _tool_choice(choice: ToolChoice) -> _Block:
    if choice.mode == "none":
        return {"type": "none"}
    if choice.mode == "function":
        written: _Block = {"type": "tool", "name": choice.name}
    else:
        written = {"type": "any" if choice.mode == "required" else "auto"}
    if choice.parallel is not None:
        written["disable_parallel_tool_use"] = not choice.parallel
    return written
