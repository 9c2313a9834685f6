"""Writes a neutral request for servers that speak OpenAI's chat wire. Knows no vendor but OpenAI, whose models have rules of their own.

What the wire has no field for is named as dropped. Fields that only OpenAI itself reads are sent only if the caller set them.
"""

import re
from typing import Any

import msgspec
import orjson

from gateway.terms import Ask, Tool, ToolChoice
from gateway.wire import gpt
from gateway.wire.efforts import effort_of
from gateway.wire.openai_chat.turns import turns_of

_SCHEMA_NAME = "answer"
_FOREIGN_IN_NAME = re.compile(r"[^a-zA-Z0-9_-]")
_JSON_ONLY = "Answer with one valid JSON object and nothing else."
_dumps = orjson.dumps


def compose(ask: Ask, upstream_model: str) -> tuple[bytes, tuple[str, ...]]:
    """Return the chat completions request body and the names it does not carry; raises WireError naming what has no place on this wire."""
    dropped = list(ask.dropped)
    messages = turns_of(ask.messages, dropped)
    if ask.json_object and not any("json" in str(message.get("content")).lower() for message in messages):
        # the vendor refuses json_object unless some message says the word
        messages.insert(0, {"role": "system", "content": _JSON_ONLY})
    body: dict[str, Any] = {"model": upstream_model, "messages": messages}
    if ask.max_output_tokens is not None:
        body["max_tokens"] = ask.max_output_tokens
    if ask.tools:
        body["tools"] = [_tool(tool) for tool in ask.tools]
        _set_tool_choice(body, ask.tool_choice)
    _set_format(body, ask)
    _set_reasoning(body, ask, upstream_model, dropped)
    _set_sampling(body, ask, upstream_model, dropped)
    if ask.stop:
        body["stop"] = list(ask.stop)
    if ask.answers > 1:
        body["n"] = ask.answers
    if ask.logprobs:
        body["logprobs"] = True
        if ask.top_logprobs:
            body["top_logprobs"] = ask.top_logprobs
    if ask.verbosity:
        body["verbosity"] = ask.verbosity
    if ask.end_user:
        body["user"] = ask.end_user
    if ask.service_tier:
        body["service_tier"] = ask.service_tier
    if ask.cache_key:
        body["prompt_cache_key"] = ask.cache_key
    if ask.metadata:
        dropped.append("metadata")  # read together with `store` alone, and stored it shall not be
    if any(tool.cache for tool in ask.tools):
        dropped.append("cache_control")
    if ask.stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return _dumps(body), tuple(dict.fromkeys(dropped))


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.schema is not None:
        function["parameters"] = orjson.loads(bytes(tool.schema))
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _set_tool_choice(body: dict[str, Any], choice: ToolChoice | None) -> None:
    if choice is None:
        return
    if choice.mode == "function":
        body["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    else:
        body["tool_choice"] = choice.mode
    if choice.parallel is not None:
        body["parallel_tool_calls"] = choice.parallel


def _set_format(body: dict[str, Any], ask: Ask) -> None:
    if ask.json_schema is not None:
        named: dict[str, Any] = {"name": _FOREIGN_IN_NAME.sub("_", ask.json_schema_name)[:64] or _SCHEMA_NAME, "schema": _loaded(ask.json_schema)}
        if ask.json_strict is not None:
            named["strict"] = ask.json_strict
        body["response_format"] = {"type": "json_schema", "json_schema": named}
    elif ask.json_object:
        body["response_format"] = {"type": "json_object"}


def _loaded(raw: msgspec.Raw) -> Any:
    return orjson.loads(bytes(raw))


def _set_reasoning(body: dict[str, Any], ask: Ask, upstream_model: str, dropped: list[str]) -> None:
    effort = ask.reasoning_effort
    if not effort and ask.reasoning_budget_tokens is not None:
        effort = effort_of(ask.reasoning_budget_tokens)
    if not effort:
        return
    told = gpt.effort_for(upstream_model, effort)
    if told:
        body["reasoning_effort"] = told
    if not gpt.is_kept(upstream_model, effort, told):
        dropped.append("reasoning_effort")


def _set_sampling(body: dict[str, Any], ask: Ask, upstream_model: str, dropped: list[str]) -> None:
    takes_sampling = gpt.takes_sampling(upstream_model, body.get("reasoning_effort", ""))
    for name, default in gpt.DEFAULTS.items():
        value = getattr(ask, name)
        if value is None:
            continue
        if takes_sampling:
            body[name] = value
        elif value != default:
            dropped.append(name)
    if ask.top_k is not None:
        dropped.append("top_k")
    if ask.seed is not None:
        body["seed"] = ask.seed
