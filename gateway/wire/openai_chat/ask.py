"""Reads an OpenAI chat request into the neutral form, for upstreams on another wire. Knows no vendor."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.terms import Ask, Tool, ToolChoice
from gateway.wire import given as read
from gateway.wire.openai_chat.messages import cache_of, messages_of

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
# Read below, or without any meaning for the answer.
_KNOWN = frozenset(
    (
        "model", "messages", "stream", "stream_options", "tools", "tool_choice", "parallel_tool_calls", "max_tokens", "max_completion_tokens", "temperature",
        "top_p", "top_k", "frequency_penalty", "presence_penalty", "stop", "seed", "response_format", "reasoning_effort", "verbosity", "user",
        "safety_identifier", "service_tier", "n", "logprobs", "modalities", "metadata", "prompt_cache_key",
    )
)  # fmt: skip
# Asking for these and not getting them would be a wrong answer, not a poorer one.
_REFUSED = frozenset(("top_logprobs", "audio", "functions", "function_call", "web_search_options", "moderation"))


def read_ask(fields: Mapping[str, msgspec.Raw], model: str, stream: bool) -> Ask:
    """Return the request in neutral form; names of fields that have no neutral form are in `dropped`.

    Raises WireError("invalid_request") for nonsense and WireError("unsupported_field") for what cannot be translated
    without changing the answer's meaning; both name the field.
    """
    given = {name: raw for name, raw in fields.items() if name in _KNOWN or not read.says_nothing(raw)}
    for name in _REFUSED & given.keys():
        raise read.unsupported(name)
    values = {name: read.value(name, raw) for name, raw in given.items() if name in _KNOWN}
    values = {name: value for name, value in values.items() if value is not None}
    _refuse_what_changes_the_answer(values)
    dropped = [name for name in given if name not in _KNOWN]
    tools, choice = _tools(values)
    schema, schema_name, is_strict, is_object = _format(values.get("response_format"))
    limit = values.get("max_completion_tokens", values.get("max_tokens"))
    return Ask(
        model=model,
        messages=messages_of(values.get("messages"), dropped),
        stream=stream,
        tools=tools,
        tool_choice=choice,
        max_output_tokens=read.integer(limit, "max_completion_tokens" if "max_completion_tokens" in values else "max_tokens", 1),
        temperature=read.number(values.get("temperature"), "temperature", 2),
        top_p=read.number(values.get("top_p"), "top_p", 1),
        top_k=read.integer(values.get("top_k"), "top_k", -1),
        frequency_penalty=read.number(values.get("frequency_penalty"), "frequency_penalty", 2, -2),
        presence_penalty=read.number(values.get("presence_penalty"), "presence_penalty", 2, -2),
        stop=_stop(values.get("stop")),
        seed=read.integer(values.get("seed"), "seed", -(2**63)),
        json_schema=schema,
        json_schema_name=schema_name,
        json_strict=is_strict,
        json_object=is_object,
        reasoning_effort=read.choice(values.get("reasoning_effort"), "reasoning_effort", _EFFORTS),
        verbosity=read.choice(values.get("verbosity"), "verbosity", ("low", "medium", "high")),
        end_user=read.text(values.get("safety_identifier") or values.get("user") or "", "user"),
        service_tier=read.text(values.get("service_tier") or "", "service_tier"),
        metadata=read.labels(values.get("metadata"), "metadata"),
        cache_key=read.text(values.get("prompt_cache_key") or "", "prompt_cache_key"),
        dropped=read.dropped(dropped),
    )


def _refuse_what_changes_the_answer(values: Mapping[str, Any]) -> None:
    if read.integer(values.get("n"), "n", 1) not in (None, 1):
        raise read.unsupported("n")
    if values.get("logprobs"):
        raise read.unsupported("logprobs")
    if values.get("modalities") not in (None, [], ["text"]):
        raise read.unsupported("modalities")


def _stop(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    stops = [value] if isinstance(value, str) else read.list_(value, "stop")
    return tuple(read.text(stop, "stop") for stop in stops)


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
            raise read.invalid("tool_choice", f"tool_choice names the function {name[:64]!r}, which is not in tools")
        return tools, ToolChoice(mode="function", name=name, parallel=parallel)
    if wanted.get("type") == "allowed_tools":
        allowed = read.object_(wanted.get("allowed_tools"), "tool_choice.allowed_tools")
        entries = [read.object_(entry, "tool_choice") for entry in read.list_(allowed.get("tools"), "tool_choice")]
        names = {read.text(read.object_(entry.get("function"), "tool_choice").get("name"), "tool_choice") for entry in entries}
        mode = "required" if allowed.get("mode") == "required" else "auto"
        return tuple(tool for tool in tools if tool.name in names), ToolChoice(mode=mode, parallel=parallel)
    raise read.unsupported("tool_choice")


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
