"""Reads an OpenAI chat request into the neutral form, for upstreams on another wire. Knows no vendor."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.terms import Ask, Tool, ToolChoice
from gateway.wire import given as read
from gateway.wire.openai_chat.messages import cache_of, messages_of

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
# Asking for these and not getting them would be a wrong answer, not a poorer one.
_REFUSED = frozenset(("audio", "functions", "function_call", "web_search_options", "moderation"))


def _stop(value: object, param: str) -> tuple[str, ...]:
    stops = [value] if isinstance(value, str) else read.list_(value, param)
    return tuple([read.text(stop, param) for stop in stops])


# fields that stand for themselves: the name in the neutral form and what reads them; the later of two names counts
_PLAIN: Mapping[str, tuple[str, Callable[[Any, str], Any]]] = {
    "max_tokens": ("max_output_tokens", lambda value, param: read.integer(value, param, 1)),
    "max_completion_tokens": ("max_output_tokens", lambda value, param: read.integer(value, param, 1)),
    "temperature": ("temperature", lambda value, param: read.number(value, param, 2)),
    "top_p": ("top_p", lambda value, param: read.number(value, param, 1)),
    # vLLM's clients switch it off by -1
    "top_k": ("top_k", lambda value, param: max(0, read.integer(value, param, -1) or 0) or None),
    "frequency_penalty": ("frequency_penalty", lambda value, param: read.number(value, param, 2, -2)),
    "presence_penalty": ("presence_penalty", lambda value, param: read.number(value, param, 2, -2)),
    "stop": ("stop", _stop),
    "seed": ("seed", lambda value, param: read.integer(value, param, -(2**63))),
    "reasoning_effort": ("reasoning_effort", lambda value, param: read.choice(value, param, _EFFORTS)),
    "verbosity": ("verbosity", lambda value, param: read.choice(value, param, ("low", "medium", "high"))),
    "user": ("end_user", read.text),
    "safety_identifier": ("end_user", read.text),
    "service_tier": ("service_tier", read.text),
    "metadata": ("metadata", read.labels),
    "prompt_cache_key": ("cache_key", read.text),
}
# of two names for one thing the second counts
_LAST = ("max_completion_tokens", "safety_identifier")
_OTHER_ANSWERS = frozenset(("n", "logprobs", "top_logprobs", "modalities"))
_OTHERS = _OTHER_ANSWERS | frozenset(
    ("model", "messages", "stream", "stream_options", "tools", "tool_choice", "parallel_tool_calls", "response_format")
)
_UNSAID = (None, "")


def read_ask(fields: Mapping[str, msgspec.Raw], model: str, stream: bool) -> Ask:
    """Return the request in neutral form; names of fields that have no neutral form are in `dropped`.

    Raises WireError("invalid_request") for nonsense and WireError("unsupported_field") for what cannot be translated
    without changing the answer's meaning; both name the field.
    """
    values: dict[str, Any] = {}
    made: dict[str, Any] = {}
    dropped: list[str] = []
    for name, raw in fields.items():
        plain = _PLAIN.get(name)
        if plain is not None:
            value = read.value(name, raw)
            if value not in _UNSAID and (plain[0] not in made or name in _LAST):
                made[plain[0]] = plain[1](value, name)
        elif name in _OTHERS:
            value = read.value(name, raw)
            if value is not None:
                values[name] = value
        elif not read.says_nothing(raw):
            if name in _REFUSED:
                raise read.unsupported(name)
            dropped.append(name)
    if not _OTHER_ANSWERS.isdisjoint(values):
        made["answers"], made["logprobs"], made["top_logprobs"] = _other_answers(values, stream)
    if "tools" in values or "tool_choice" in values or "parallel_tool_calls" in values:
        made["tools"], made["tool_choice"] = _tools(values)
    if "response_format" in values:
        made["json_schema"], made["json_schema_name"], made["json_strict"], made["json_object"] = _format(values["response_format"])
    made["messages"] = messages_of(values.get("messages"), dropped)
    if dropped:
        made["dropped"] = read.dropped(dropped)
    return Ask(model=model, stream=stream, **made)


def _other_answers(values: Mapping[str, Any], stream: bool) -> tuple[int, bool, int]:
    """Return how many answers are wanted, whether with probabilities, and with how many alternatives; streams are translated with one answer alone."""
    answers = read.integer(values.get("n"), "n", 1) or 1
    has_logprobs = read.flag(values.get("logprobs"), "logprobs") or False
    top = read.integer(values.get("top_logprobs"), "top_logprobs", 0) or 0
    if top and not has_logprobs:
        raise read.invalid("top_logprobs", "top_logprobs are told with logprobs alone: set logprobs to true")
    if stream and answers > 1:
        raise read.unsupported("n")
    if values.get("modalities") not in (None, [], ["text"]):
        raise read.unsupported("modalities")
    return answers, has_logprobs, top


# ---- tools and formats ------------------------------------------------------------------------------------------------


def _tools(values: Mapping[str, Any]) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    tools = tuple(_tool(tool, f"tools[{index}]") for index, tool in enumerate(read.list_(values.get("tools", []), "tools")))
    parallel = read.flag(values.get("parallel_tool_calls"), "parallel_tool_calls")
    choice = values.get("tool_choice")
    if choice is None:
        return tools, ToolChoice(parallel=parallel) if parallel is not None else None
    if choice in ("auto", "none", "required"):
        return tools, ToolChoice(mode=choice, parallel=parallel)
    wanted = read.object_(choice, "tool_choice")
    if wanted.get("type") == "function":
        name = read.text(read.object_(wanted.get("function"), "tool_choice.function").get("name"), "tool_choice.function.name")
        if name not in {tool.name for tool in tools}:
            raise read.invalid("tool_choice.function.name", f"tool_choice names the function {name[:64]!r}, which is not in tools")
        return tools, ToolChoice(mode="function", name=name, parallel=parallel)
    if wanted.get("type") == "allowed_tools":
        allowed = read.object_(wanted.get("allowed_tools"), "tool_choice.allowed_tools")
        names = _allowed(read.list_(allowed.get("tools"), "tool_choice.allowed_tools.tools"))
        mode = "required" if allowed.get("mode") == "required" else "auto"
        return tuple(tool for tool in tools if tool.name in names), ToolChoice(mode=mode, parallel=parallel)
    raise read.unsupported("tool_choice.type")


def _allowed(entries: list[Any]) -> set[str]:
    """Return the names of the functions that may be called."""
    names = set()
    for index, entry in enumerate(entries):
        at = f"tool_choice.allowed_tools.tools[{index}]"
        names.add(read.text(read.object_(read.object_(entry, at).get("function"), f"{at}.function").get("name"), f"{at}.function.name"))
    return names


def _tool(value: object, param: str) -> Tool:
    tool = read.object_(value, param)
    if tool.get("type") != "function":
        raise read.unsupported(f"{param}.type")
    function = read.object_(tool.get("function"), f"{param}.function")
    schema = function.get("parameters")
    return Tool(
        name=read.text(function.get("name"), f"{param}.function.name"),
        description=read.text(function.get("description") or "", f"{param}.function.description"),
        schema=None if schema is None else read.raw_object(schema, f"{param}.function.parameters"),
        strict=read.flag(function.get("strict"), f"{param}.function.strict"),
        cache=cache_of(tool, param),
    )


def _format(value: object) -> tuple[msgspec.Raw | None, str, bool | None, bool]:
    """Return the schema, its name, whether it must be kept exactly, and whether any JSON object will do."""
    if value is None:
        return None, "", None, False
    wanted = read.object_(value, "response_format")
    if wanted.get("type") == "text":
        return None, "", None, False
    if wanted.get("type") == "json_object":
        return None, "", None, True
    if wanted.get("type") != "json_schema":
        raise read.invalid("response_format.type", "response_format.type must be text, json_object or json_schema")
    named = read.object_(wanted.get("json_schema"), "response_format.json_schema")
    name = read.text(named.get("name") or "", "response_format.json_schema.name")
    strict = read.flag(named.get("strict"), "response_format.json_schema.strict")
    if named.get("schema") is None:
        return None, name, strict, True
    return read.raw_object(named["schema"], "response_format.json_schema.schema"), name, strict, False
