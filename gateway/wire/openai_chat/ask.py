"""Reads an OpenAI chat request into the neutral form, for upstreams on another wire. Knows no vendor."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.terms import Ask, Message, Part, PartKind, Tool, ToolChoice
from gateway.wire import given as read

_EFFORTS = frozenset(("none", "minimal", "low", "medium", "high", "xhigh", "max"))
# Read below, or without any meaning for the answer.
_KNOWN = frozenset(
    (
        "model",
        "messages",
        "stream",
        "stream_options",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "stop",
        "seed",
        "response_format",
        "reasoning_effort",
        "user",
        "safety_identifier",
        "service_tier",
        "n",
        "logprobs",
        "modalities",
        "metadata",
        "store",
    )
)
# Asking for these and not getting them would be a wrong answer, not a poorer one.
_REFUSED = frozenset(("top_logprobs", "audio", "functions", "function_call", "web_search_options"))


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
    schema, schema_name, is_object = _format(values.get("response_format"))
    effort = read.text(values.get("reasoning_effort", ""), "reasoning_effort")
    if effort and effort not in _EFFORTS:
        raise read.invalid("reasoning_effort", f"reasoning_effort must be one of {', '.join(sorted(_EFFORTS))}")
    limit = values.get("max_completion_tokens", values.get("max_tokens"))
    return Ask(
        model=model,
        messages=_messages(values.get("messages"), dropped),
        stream=stream,
        tools=tools,
        tool_choice=choice,
        max_output_tokens=read.integer(limit, "max_completion_tokens" if "max_completion_tokens" in values else "max_tokens", 1),
        temperature=read.number(values.get("temperature"), "temperature", 2),
        top_p=read.number(values.get("top_p"), "top_p", 1),
        stop=_stop(values.get("stop")),
        seed=read.integer(values.get("seed"), "seed", -(2**63)),
        json_schema=schema,
        json_schema_name=schema_name,
        json_object=is_object,
        reasoning_effort=effort,
        end_user=read.text(values.get("safety_identifier") or values.get("user") or "", "user"),
        service_tier=read.text(values.get("service_tier") or "", "service_tier"),
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


# ---- messages ---------------------------------------------------------------------------------------------------------


def _messages(value: object, dropped: list[str]) -> tuple[Message, ...]:
    messages = read.list_(value, "messages")
    if not messages:
        raise read.invalid("messages", "messages must not be empty")
    return tuple(_message(message, f"messages[{index}]", dropped) for index, message in enumerate(messages))


def _message(value: object, param: str, dropped: list[str]) -> Message:
    message = read.object_(value, param)
    role = message.get("role")
    if message.get("name") and role != "tool":
        dropped.append("messages.name")
    content = message.get("content")
    if role in ("system", "developer"):
        return Message(role="system", parts=_parts(content, f"{param}.content", dropped))
    if role == "user":
        return Message(role="user", parts=_parts(content, f"{param}.content", dropped))
    if role == "tool":
        parts = _parts(content, f"{param}.content", dropped)
        call_id = read.text(message.get("tool_call_id"), f"{param}.tool_call_id")
        return Message(role="user", parts=(Part(kind=PartKind.TOOL_RESULT, id=call_id, parts=parts),))
    if role == "assistant":
        return Message(role="assistant", parts=_assistant_parts(message, param, dropped))
    if role == "function":
        raise read.unsupported(f"{param}.role")
    raise read.invalid(f"{param}.role", f"{param}.role must be system, developer, user, assistant or tool")


def _assistant_parts(message: Mapping[str, Any], param: str, dropped: list[str]) -> tuple[Part, ...]:
    parts = []
    if message.get("function_call") is not None:
        raise read.unsupported(f"{param}.function_call")
    if message.get("audio") is not None:
        raise read.unsupported(f"{param}.audio")
    if message.get("reasoning_content"):
        parts.append(Part(kind=PartKind.REASONING, text=read.text(message["reasoning_content"], f"{param}.reasoning_content")))
    parts += _parts(message.get("content"), f"{param}.content", dropped)
    if message.get("refusal"):
        parts.append(Part(kind=PartKind.REFUSAL, text=read.text(message["refusal"], f"{param}.refusal")))
    for index, value in enumerate(read.list_(message.get("tool_calls") or [], f"{param}.tool_calls")):
        where = f"{param}.tool_calls[{index}]"
        call = read.object_(value, where)
        if call.get("type", "function") != "function":
            raise read.unsupported(f"{where}.type")
        function = read.object_(call.get("function"), f"{where}.function")
        parts.append(
            Part(
                kind=PartKind.TOOL_CALL,
                id=read.text(call.get("id"), f"{where}.id"),
                name=read.text(function.get("name"), f"{where}.function.name"),
                text=read.text(function.get("arguments") or "", f"{where}.function.arguments"),
            )
        )
    return tuple(parts)


def _parts(value: object, param: str, dropped: list[str]) -> tuple[Part, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (Part(kind=PartKind.TEXT, text=value),)
    return tuple(_part(part, f"{param}[{index}]", dropped) for index, part in enumerate(read.list_(value, param)))


def _part(value: object, param: str, dropped: list[str]) -> Part:
    part = read.object_(value, param)
    kind = part.get("type")
    if kind == "text":
        return Part(kind=PartKind.TEXT, text=read.text(part.get("text"), f"{param}.text"))
    if kind == "refusal":
        return Part(kind=PartKind.REFUSAL, text=read.text(part.get("refusal"), f"{param}.refusal"))
    if kind == "image_url":
        image = read.object_(part.get("image_url"), f"{param}.image_url")
        if image.get("detail") not in (None, "auto"):
            dropped.append("image_url.detail")
        url = read.text(image.get("url"), f"{param}.image_url.url")
        return Part(kind=PartKind.IMAGE, text=url, media_type=read.media_type(url, f"{param}.image_url.url"))
    if kind in ("input_audio", "file"):
        raise read.unsupported(f"{param}.{kind}")
    raise read.invalid(f"{param}.type", f"{param}.type must be text or image_url")


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
    )


def _format(value: object) -> tuple[msgspec.Raw | None, str, bool]:
    """Return the schema, its name, and whether any JSON object will do."""
    if value is None:
        return None, "", False
    wanted = read.object_(value, "response_format")
    if wanted.get("type") == "text":
        return None, "", False
    if wanted.get("type") == "json_object":
        return None, "", True
    if wanted.get("type") != "json_schema":
        raise read.invalid("response_format.type", "response_format.type must be text, json_object or json_schema")
    named = read.object_(wanted.get("json_schema"), "response_format.json_schema")
    schema = named.get("schema")
    name = read.text(named.get("name") or "", "response_format.json_schema.name")
    if schema is None:
        return None, name, True
    return read.raw_object(schema, "response_format.json_schema.schema"), name, False
