"""Writes a neutral request for Gemini's generateContent, with the rules that API enforces. Knows nothing about answers.

The model and whether the answer streams stand in the path, not in the body. https://ai.google.dev/api/generate-content
"""

import re
from typing import Any

import orjson

from gateway.terms import Ask, PartKind, Tool, ToolChoice
from gateway.wire import WireError
from gateway.wire.gemini import schema as schemas
from gateway.wire.gemini.contents import write_contents
from gateway.wire.given import dropped as names

_MOST_STOPS = 5
# Thinking by level since Gemini 3, by budget in 2.5, not at all before.
_TAKES_BUDGET = re.compile(r"gemini-2\.5-|gemini-robotics-er-1\.5")
_CANNOT_THINK = re.compile(r"gemini-(?:1\.|2\.0)|gemma|learnlm|gemini-2\.5-flash-image")
_LEVELS = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "HIGH", "max": "HIGH"}
_BUDGETS = {"none": 0, "minimal": 512, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}
# https://ai.google.dev/gemini-api/docs/thinking: least and most tokens; only the small ones can be told not to think
_PRO_BUDGET, _LITE_BUDGET, _FLASH_BUDGET = (128, 32768), (512, 24576), (1, 24576)
_TIERS = {"default": "standard", "flex": "flex", "priority": "priority"}
_JSON_ONLY = "Answer with one valid JSON object and nothing else: no code fence, no text before or after it."
_JSON_SCHEMA = "Answer with JSON that fits this JSON schema and nothing else: no code fence, no text before or after it.\n"
_SEEDS = 2**31
# fields that stand for themselves
_PLAIN = (("temperature", "temperature"), ("top_p", "topP"), ("top_k", "topK"), ("max_output_tokens", "maxOutputTokens"))
_PENALTIES = (("frequency_penalty", "frequencyPenalty"), ("presence_penalty", "presencePenalty"))

_Object = dict[str, Any]


def compose(ask: Ask, upstream_model: str) -> tuple[bytes, tuple[str, ...]]:
    """Return the request body and the caller's fields it does not carry. Raises WireError naming what Google would refuse and we cannot mend."""
    dropped = list(ask.dropped)
    model = upstream_model.rpartition("/")[2].lower()
    system, contents = write_contents(ask, is_strict_about_signatures(model), dropped)
    config = _config(ask, model, dropped)
    _format(ask, config, system, model, dropped)
    body: _Object = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    if ask.tools:
        body["tools"] = [{"functionDeclarations": [_tool(tool, dropped) for tool in ask.tools]}]
        if ask.tool_choice is not None:
            body["toolConfig"] = _tool_choice(ask.tool_choice, dropped)
    if config:
        body["generationConfig"] = config
    if ask.service_tier in _TIERS:
        body["serviceTier"] = _TIERS[ask.service_tier]
    _drop_unsaid(ask, dropped)
    return orjson.dumps(body), names(dropped)


def is_strict_about_signatures(model: str) -> bool:
    """Return whether a model refuses calls that lack their thought signature, as all do since Gemini 3."""
    return not (_TAKES_BUDGET.search(model) or _CANNOT_THINK.search(model))


def _drop_unsaid(ask: Ask, dropped: list[str]) -> None:
    said: tuple[tuple[object, str], ...] = (
        (ask.service_tier and ask.service_tier != "auto" and ask.service_tier not in _TIERS, "service_tier"),
        (ask.end_user, "user"),
        (ask.metadata, "metadata"),
        (ask.verbosity, "verbosity"),
        (ask.cache_key, "prompt_cache_key"),
    )
    dropped += [name for is_said, name in said if is_said]
    if ask.tools:
        dropped += ["tools.strict"] if any(tool.strict for tool in ask.tools) else []
        dropped += ["cache_control"] if any(tool.cache for tool in ask.tools) else []
    for message in ask.messages:
        for part in message.parts:
            if part.cache:
                dropped.append("cache_control")
            if part.kind is PartKind.DOCUMENT:
                dropped += ["citations"] if part.cites else []
                dropped += ["file.filename"] if part.name else []
            elif part.kind is PartKind.IMAGE and part.detail not in ("", "auto"):
                dropped.append("image_url.detail")


def _config(ask: Ask, model: str, dropped: list[str]) -> _Object:
    config: _Object = {}
    for field, name in _PLAIN:
        value = getattr(ask, field)
        if value is not None:
            config[name] = value
    for field, name in _PENALTIES:
        value = getattr(ask, field)
        if value is not None:
            # their border is exclusive: https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference
            config[name] = min(value, 1.99)
    if ask.answers > 1:
        config["candidateCount"] = ask.answers
    if ask.logprobs:
        config["responseLogprobs"] = True
    if ask.top_logprobs:
        config["logprobs"] = ask.top_logprobs
    if ask.seed is not None:
        # theirs has 32 bits; the same seed stays the same
        config["seed"] = ask.seed % _SEEDS if abs(ask.seed) >= _SEEDS else ask.seed
    stops = [stop for stop in ask.stop if stop]
    if len(stops) > _MOST_STOPS:
        raise WireError("unsupported_field", f"stop: the provider of this model takes at most {_MOST_STOPS} stop sequences", "stop")
    if stops:
        config["stopSequences"] = stops
    thinking = _thinking(ask, model, dropped)
    if thinking:
        config["thinkingConfig"] = thinking
    return config


def _thinking(ask: Ask, model: str, dropped: list[str]) -> _Object:
    effort, budget = ask.reasoning_effort, ask.reasoning_budget_tokens
    if not effort and budget is None and ask.shows_reasoning is None:
        return {}
    if _CANNOT_THINK.search(model):
        if effort not in ("", "none") or budget:
            dropped.append("reasoning_effort")
        return {}
    thinking: _Object = {}
    if _TAKES_BUDGET.search(model):
        wanted = budget if budget is not None else _BUDGETS.get(effort)
        if wanted is not None:
            thinking["thinkingBudget"] = _allowed(wanted, model)
    elif budget is not None:
        thinking["thinkingBudget"] = budget
    elif effort == "none":
        # they cannot be told not to think, only to think the least
        thinking["thinkingLevel"] = "LOW" if "pro" in model else "MINIMAL"
    elif effort:
        thinking["thinkingLevel"] = "LOW" if effort == "minimal" and "pro" in model else _LEVELS[effort]
    thinks = effort not in ("", "none") or bool(budget)
    if ask.shows_reasoning if ask.shows_reasoning is not None else thinks:
        thinking["includeThoughts"] = True
    return thinking


def _allowed(budget: int, model: str) -> int:
    least, most = _PRO_BUDGET if "pro" in model else _LITE_BUDGET if "lite" in model else _FLASH_BUDGET
    if budget == 0 and "pro" not in model:
        return 0
    return min(max(budget, least), most)


def _format(ask: Ask, config: _Object, system: list[_Object], model: str, dropped: list[str]) -> None:
    """Ask for JSON; models before Gemini 3 take either tools or a format, and are told in words where the caller wants both."""
    schema = None if ask.json_schema is None else schemas.cleaned(orjson.loads(bytes(ask.json_schema)), "response_format", dropped)
    if schema is None and not ask.json_object:
        return
    if ask.tools and not is_strict_about_signatures(model):
        system.append({"text": _JSON_ONLY if schema is None else _JSON_SCHEMA + orjson.dumps(schema).decode()})
        dropped.append("response_format")
        return
    config["responseMimeType"] = "application/json"
    if schema is not None:
        config["responseJsonSchema"] = schema


def _tool(tool: Tool, dropped: list[str]) -> _Object:
    written: _Object = {"name": tool.name}
    if tool.description:
        written["description"] = tool.description
    if tool.schema is not None:
        schema = schemas.cleaned(orjson.loads(bytes(tool.schema)), "tools", dropped)
        if schema:
            written["parametersJsonSchema"] = schema if "type" in schema else {"type": "object", **schema}
    return written


def _tool_choice(choice: ToolChoice, dropped: list[str]) -> _Object:
    if choice.parallel is False:
        dropped.append("parallel_tool_calls")
    if choice.mode == "function":
        return {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [choice.name]}}
    return {"functionCallingConfig": {"mode": {"required": "ANY", "none": "NONE"}.get(choice.mode, "AUTO")}}
