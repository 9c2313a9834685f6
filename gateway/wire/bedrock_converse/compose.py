"""Writes a neutral request for Bedrock's Converse, with the rules AWS enforces. Knows nothing about answers.

What Converse has no field of its own for goes into `additionalModelRequestFields`, for the families of models whose fields there are documented:
Claude's thinking and top_k, Nova's topK, the effort of gpt-oss. The model itself is named by the path.
"""

import re
from typing import Any

import orjson

from gateway.terms import Ask, Tool, ToolChoice
from gateway.wire import WireError, claude
from gateway.wire.bedrock_converse.turns import Block, conversation, marker
from gateway.wire.efforts import BUDGET_TOKENS, effort_of
from gateway.wire.given import refuse_other_answers

# what is left for the answer where the caller set no limit and thinking is part of it
_BESIDE_THINKING_TOKENS = 4096
_TIERS = frozenset({"default", "flex", "priority"})
# the models whose cache takes marks; behind the address of an inference profile may be any
_TAKES_MARKS = re.compile(r"claude|amazon\.nova|:application-inference-profile/")
_GPT_OSS_EFFORT = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_LABEL = re.compile(r"[a-zA-Z0-9\s:_@$#=/+,.-]{1,256}")
_MOST_LABELS = 16
_END_USER = "user_id"
_NEVER = (
    ("frequency_penalty", "frequency_penalty"), ("presence_penalty", "presence_penalty"), ("verbosity", "verbosity"), ("prompt_cache_key", "cache_key"),
)  # fmt: skip


def compose(ask: Ask, upstream_model: str) -> tuple[bytes, tuple[str, ...]]:
    """Return the Converse request body and the caller's fields it does not carry; raises WireError naming what AWS would refuse and we cannot mend."""
    refuse_other_answers(ask)
    dropped = list(ask.dropped)
    marks = _TAKES_MARKS.search(upstream_model) is not None
    system, turns = conversation(ask, dropped, marks=marks)
    body: dict[str, Any] = {"messages": turns}
    if system:
        body["system"] = system
    _set_tools(body, ask, dropped, marks=marks)
    limits: dict[str, Any] = {"maxTokens": ask.max_output_tokens} if ask.max_output_tokens else {}
    if ask.stop:
        stops = [stop for stop in ask.stop if stop.strip()]
        if stops:
            limits["stopSequences"] = stops
        if len(stops) < len(ask.stop):  # of white space only none is taken there
            dropped.append("stop")
    extra = _thinking(ask, body, limits, dropped, upstream_model)
    _set_sampling(ask, limits, extra, dropped, upstream_model)
    if limits:
        body["inferenceConfig"] = limits
    if extra:
        body["additionalModelRequestFields"] = extra
    if ask.json_schema is not None:
        body["outputConfig"] = {**body.get("outputConfig", {}), "textFormat": _text_format(ask)}
    _set_labels(body, ask, dropped)
    if ask.service_tier in _TIERS:
        body["serviceTier"] = {"type": ask.service_tier}
    elif ask.service_tier not in ("", "auto"):  # nothing said is automatic
        dropped.append("service_tier")
    if ask.seed is not None:
        dropped.append("seed")
    dropped += [name for name, attribute in _NEVER if getattr(ask, attribute)]
    if marks:
        _keep_last_marks(body, dropped)
    return orjson.dumps(body), tuple(dict.fromkeys(dropped)) if dropped else ()


def _set_tools(body: dict[str, Any], ask: Ask, dropped: list[str], *, marks: bool) -> None:
    """Converse has no way to forbid the tools it shows, and wants those shown that earlier turns called."""
    called = any("toolUse" in block or "toolResult" in block for turn in body["messages"] for block in turn["content"])
    choice = ask.tool_choice or ToolChoice()
    if choice.mode == "none" and ask.tools and called:
        raise WireError("unsupported_field", "the provider of this model cannot forbid tools that the conversation has called", "tool_choice")
    if called and not ask.tools:
        raise WireError("invalid_request", "the provider of this model wants the tools that the conversation has called: repeat them in `tools`", "tools")
    if not ask.tools or choice.mode == "none":
        return
    tools: list[Block] = []
    for tool in ask.tools:
        tools.append({"toolSpec": _tool(tool)})
        if tool.cache and marks:
            tools.append(marker(tool.cache))
        elif tool.cache:
            dropped.append("cache_control")
    body["toolConfig"] = {"tools": tools}
    if ask.tool_choice is not None:
        body["toolConfig"]["toolChoice"] = _tool_choice(choice)
    if choice.parallel is False:
        dropped.append("parallel_tool_calls")


def _tool(tool: Tool) -> Block:
    schema = orjson.loads(bytes(tool.schema)) if tool.schema is not None else {}
    written: Block = {"name": tool.name, "inputSchema": {"json": {**schema, "type": "object"} if schema else {"type": "object", "properties": {}}}}
    if tool.description:
        written["description"] = tool.description
    if tool.strict:
        written["strict"] = True
    return written


def _tool_choice(choice: ToolChoice) -> Block:
    if choice.mode == "function":
        return {"tool": {"name": choice.name}}
    return {"any": {}} if choice.mode == "required" else {"auto": {}}


def _thinking(ask: Ask, body: dict[str, Any], limits: dict[str, Any], dropped: list[str], upstream_model: str) -> dict[str, Any]:
    """Return the fields that make the model think; the effort stands among the dropped where there are none."""
    effort, budget = ask.reasoning_effort, ask.reasoning_budget_tokens
    if not (effort or budget) and ask.shows_reasoning:  # it thinks only when told how much
        dropped.append("shows_reasoning")
    if effort == "none" or not (effort or budget):
        return {}
    effort = effort or effort_of(budget or 0)
    if "openai.gpt-oss" in upstream_model and effort in _GPT_OSS_EFFORT:
        return {"reasoning_effort": _GPT_OSS_EFFORT[effort]}
    forced = not {"any", "tool"}.isdisjoint(body.get("toolConfig", {}).get("toolChoice", ()))  # a forced tool and thinking exclude each other
    if "claude-" in upstream_model and not forced:
        wanted = max(claude.LEAST_BUDGET_TOKENS, budget or BUDGET_TOKENS[effort])
        thinking: dict[str, Any] = {}
        if not claude.takes_budget(upstream_model):
            thinking = {"type": "adaptive"}
            body["outputConfig"] = {"effort": claude.EFFORT[effort]}
        elif not _in_tool_loop(body["messages"]):
            most = limits["maxTokens"] - 1 if "maxTokens" in limits else wanted  # the budget is part of maxTokens and must be less
            if min(wanted, most) >= claude.LEAST_BUDGET_TOKENS:
                thinking = {"type": "enabled", "budget_tokens": min(wanted, most)}
        if thinking:
            limits.setdefault("maxTokens", wanted + _BESIDE_THINKING_TOKENS)
            if ask.shows_reasoning is not None and thinking["type"] == "adaptive":  # earlier models at AWS always show it
                thinking["display"] = "summarized" if ask.shows_reasoning else "omitted"
            return {"thinking": thinking}
    dropped.append("reasoning_effort")
    return {}


def _in_tool_loop(turns: list[Block]) -> bool:
    """With a budget, a turn that called tools must begin with its signed thinking, which not every wire keeps."""
    last = next((turn for turn in reversed(turns) if turn["role"] == "assistant"), None)
    if last is None or "reasoningContent" in last["content"][0]:
        return False
    return any("toolUse" in block for block in last["content"])


def _set_sampling(ask: Ask, limits: dict[str, Any], extra: dict[str, Any], dropped: list[str], upstream_model: str) -> None:
    """OpenAI's temperature ends at 2, Converse's at 1. Claude's thinking allows only the default, and its newer models one of temperature and top_p."""
    is_claude = "claude-" in upstream_model
    takes = claude.takes_sampling(upstream_model) and "thinking" not in extra
    if ask.temperature is not None and takes:
        limits["temperature"] = min(ask.temperature, 1.0)
    if ask.top_p is not None and takes and not (is_claude and "temperature" in limits):
        limits["topP"] = ask.top_p
    has_top_k = True
    if ask.top_k and is_claude and takes:
        extra["top_k"] = ask.top_k
    elif ask.top_k and "amazon.nova" in upstream_model:
        extra["inferenceConfig"] = {"topK": ask.top_k}
    else:
        has_top_k = ask.top_k is None
    if ask.temperature is not None and "temperature" not in limits:
        dropped.append("temperature")
    if ask.top_p is not None and "topP" not in limits:
        dropped.append("top_p")
    if not has_top_k:
        dropped.append("top_k")


def _text_format(ask: Ask) -> dict[str, Any]:
    assert ask.json_schema is not None
    schema = {"schema": bytes(ask.json_schema).decode()}
    return {"type": "json_schema", "structure": {"jsonSchema": schema if not ask.json_schema_name else {**schema, "name": ask.json_schema_name}}}


def _set_labels(body: dict[str, Any], ask: Ask, dropped: list[str]) -> None:
    """Labels and the end user go where the account's own log of calls keeps them, as far as AWS takes their letters."""
    labels: dict[str, str] = {}
    for name, value in (ask.metadata or {}).items():
        if _LABEL.fullmatch(name) and (not value or _LABEL.fullmatch(value)) and len(labels) < _MOST_LABELS:
            labels[name] = value
        else:
            dropped.append("metadata")
    if ask.end_user:
        if _LABEL.fullmatch(ask.end_user) and len(labels) < _MOST_LABELS:
            labels.setdefault(_END_USER, ask.end_user)
        else:
            dropped.append("user")
    if labels:
        body["requestMetadata"] = labels


def _keep_last_marks(body: dict[str, Any], dropped: list[str]) -> None:
    """Take out the first of too many marks for the cache."""
    places = [body.get("toolConfig", {}).get("tools", []), body.get("system", []), *(turn["content"] for turn in body["messages"])]
    too_many = sum("cachePoint" in block for blocks in places for block in blocks) - claude.MOST_MARKS
    for blocks in places:
        for block in [block for block in blocks if "cachePoint" in block]:
            if too_many <= 0:
                return
            # by identity: equal marks stand elsewhere too
            blocks[:] = [each for each in blocks if each is not block]
            dropped.append("cache_control")
            too_many -= 1
