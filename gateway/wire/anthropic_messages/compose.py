"""Writes a neutral request for Anthropic's Messages API, with the rules that API enforces. Knows nothing about answers.

JSON schemas go out as `output_config.format`, the documented way; "any JSON object" has no counterpart there and becomes
an instruction. Reasoning effort becomes a thinking budget on the models that take one, adaptive thinking on the others.
"""

from typing import Any

import msgspec
import orjson

from gateway.terms import Ask, Tool, ToolChoice
from gateway.wire import claude
from gateway.wire.anthropic_messages.turns import conversation, mark
from gateway.wire.efforts import BUDGET_TOKENS, effort_of
from gateway.wire.given import refuse_other_answers

# Anthropic requires max_tokens; OpenAI does not.
DEFAULT_MAX_TOKENS = 4096
_TIERS = {"auto": "auto", "default": "standard_only"}
_USER_ID_LIMIT = 256
# What this wire never carries, and what it carries in a field that is not always sent: our name, the neutral one, the field.
_NEVER = (
    ("frequency_penalty", "frequency_penalty"), ("presence_penalty", "presence_penalty"), ("verbosity", "verbosity"),
    ("prompt_cache_key", "cache_key"), ("metadata", "metadata"),
)  # fmt: skip
_SOMETIMES = (
    ("service_tier", "service_tier", "service_tier"), ("user", "end_user", "metadata"), ("reasoning_effort", "reasoning_effort", "thinking"),
    ("temperature", "temperature", "temperature"), ("top_p", "top_p", "top_p"),
    ("top_k", "top_k", "top_k"),
)  # fmt: skip
_NOTHING = (None, "", "none")

_Block = dict[str, Any]


def compose(ask: Ask, upstream_model: str) -> tuple[bytes, tuple[str, ...]]:
    """Return the Messages request body and the caller's fields it does not carry; raises WireError naming what Anthropic would refuse and we cannot mend."""
    refuse_other_answers(ask)
    dropped = list(ask.dropped)
    system, turns = conversation(ask, dropped)
    body: dict[str, Any] = {
        "model": upstream_model,
        "max_tokens": ask.max_output_tokens or DEFAULT_MAX_TOKENS,
        "messages": turns,
    }
    if system:
        body["system"] = system
    if ask.stop:
        stops = [stop for stop in ask.stop if stop.strip()]
        if stops:
            body["stop_sequences"] = stops
        if len(stops) < len(ask.stop):  # of white space only none is taken there
            dropped.append("stop")
    if ask.tools:
        body["tools"] = [_tool(tool) for tool in ask.tools]
        if ask.tool_choice is not None:
            body["tool_choice"] = _tool_choice(ask.tool_choice)
    if ask.json_schema is not None:
        body["output_config"] = {"format": {"type": "json_schema", "schema": _json(ask.json_schema)}}
    _set_thinking(body, ask, turns, upstream_model)
    if "thinking" not in body and claude.takes_sampling(upstream_model):  # thinking allows only the default sampling
        _set_sampling(body, ask)
    if ask.end_user and len(ask.end_user) <= _USER_ID_LIMIT:
        body["metadata"] = {"user_id": ask.end_user}
    if ask.service_tier in _TIERS:
        body["service_tier"] = _TIERS[ask.service_tier]
    if ask.stream:
        body["stream"] = True
    _keep_last_marks(body, dropped)
    return orjson.dumps(body), tuple(dict.fromkeys([*dropped, *_left_out(ask, body)]))


def _left_out(ask: Ask, body: dict[str, Any]) -> list[str]:
    """Return the names of what was asked for and is not in the body."""
    left = [name for name, attribute in _NEVER if getattr(ask, attribute)]
    left += [name for name, attribute, field in _SOMETIMES if field not in body and getattr(ask, attribute) not in _NOTHING]
    if ask.reasoning_budget_tokens and "thinking" not in body:
        left.append("reasoning_effort")
    elif ask.shows_reasoning and "thinking" not in body and not ask.reasoning_effort:  # it thinks only when told how much
        left.append("shows_reasoning")
    return left if ask.seed is None else ["seed", *left]


def _keep_last_marks(body: dict[str, Any], dropped: list[str]) -> None:
    """Take out the first of too many marks for the cache."""
    blocks = [*body.get("tools", ()), *body.get("system", ())]
    for turn in body["messages"]:
        blocks += turn["content"]
    marked = [block for block in blocks if "cache_control" in block]
    for block in marked[:-claude.MOST_MARKS]:
        del block["cache_control"]
        dropped.append("cache_control")


def _json(raw: msgspec.Raw) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads(bytes(raw))
    return value


def _set_sampling(body: dict[str, Any], ask: Ask) -> None:
    """OpenAI's temperature ends at 2, Anthropic's at 1. Newer models refuse temperature and top_p together: temperature wins."""
    if ask.temperature is not None:
        body["temperature"] = min(ask.temperature, 1.0)
    elif ask.top_p is not None:
        body["top_p"] = ask.top_p
    if ask.top_k:
        body["top_k"] = ask.top_k


def _set_thinking(body: dict[str, Any], ask: Ask, turns: list[_Block], upstream_model: str) -> None:
    effort, budget = ask.reasoning_effort, ask.reasoning_budget_tokens
    if effort == "none" or not (effort or budget):
        return
    if body.get("tool_choice", {}).get("type") in ("any", "tool"):  # a forced tool and thinking exclude each other
        return
    if not claude.takes_budget(upstream_model):
        body["thinking"] = {"type": "adaptive"}
        effort = effort or effort_of(budget or 0)
        body.setdefault("output_config", {})["effort"] = claude.EFFORT[effort]
        if ask.max_output_tokens is None:  # thinking is part of max_tokens
            body["max_tokens"] = (budget or BUDGET_TOKENS[effort]) + DEFAULT_MAX_TOKENS
    elif not _in_tool_loop(turns):
        wanted = max(claude.LEAST_BUDGET_TOKENS, budget or BUDGET_TOKENS[effort])
        if ask.max_output_tokens is None:
            body["max_tokens"] = wanted + DEFAULT_MAX_TOKENS
        wanted = min(wanted, body["max_tokens"] - 1)  # the budget is part of max_tokens and must be less
        if wanted >= claude.LEAST_BUDGET_TOKENS:
            body["thinking"] = {"type": "enabled", "budget_tokens": wanted}
    if ask.shows_reasoning is not None and "thinking" in body:
        body["thinking"]["display"] = "summarized" if ask.shows_reasoning else "omitted"


def _in_tool_loop(turns: list[_Block]) -> bool:
    """With a budget, a turn that called tools must begin with its signed thinking, which not every wire keeps."""
    last = next((turn for turn in reversed(turns) if turn["role"] == "assistant"), None)
    if last is None or last["content"][0]["type"] in ("thinking", "redacted_thinking"):
        return False
    return any(block["type"] == "tool_use" for block in last["content"])


def _tool(tool: Tool) -> _Block:
    schema = _json(tool.schema) if tool.schema is not None else {}
    written: _Block = {"name": tool.name, "input_schema": {**schema, "type": "object"} if schema else {"type": "object", "properties": {}}}
    if tool.description:
        written["description"] = tool.description
    if tool.strict:
        written["strict"] = True
    return mark(written, tool.cache)


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
