"""Reads an OpenAI chat request into the neutral form, for upstreams on another wire. Knows no vendor."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from gateway.terms import Ask, Message, Part, PartKind, Tool, ToolChoice
from gateway.wire import WireError

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
# Dropped names end in a response header: what a caller made up must not break out of it.
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_DROPPED_LIMIT = 32
_SAYS_NOTHING = frozenset((b"null", b"0", b"0.0", b"false", b"{}", b"[]"))


def read_ask(fields: Mapping[str, msgspec.Raw], model: str, stream: bool) -> Ask:
    """Return the request in neutral form; names of fields that have no neutral form are in `dropped`.

    Raises WireError("invalid_request") for nonsense and WireError("unsupported_field") for what cannot be translated
    without changing the answer's meaning; both name the field.
    """
    given = {name: raw for name, raw in fields.items() if name in _KNOWN or bytes(raw) not in _SAYS_NOTHING}
    for name in _REFUSED & given.keys():
        raise _unsupported(name)
    values = {name: _value(name, raw) for name, raw in given.items() if name in _KNOWN}
    values = {name: value for name, value in values.items() if value is not None}
    _refuse_what_changes_the_answer(values)
    dropped = [name if _NAME.match(name) else "other" for name in given if name not in _KNOWN]
    tools, choice = _tools(values)
    schema, schema_name, is_object = _format(values.get("response_format"))
    effort = _text(values.get("reasoning_effort", ""), "reasoning_effort")
    if effort and effort not in _EFFORTS:
        raise _invalid("reasoning_effort", f"reasoning_effort must be one of {', '.join(sorted(_EFFORTS))}")
    limit = values.get("max_completion_tokens", values.get("max_tokens"))
    return Ask(
        model=model,
        messages=_messages(values.get("messages"), dropped),
        stream=stream,
        tools=tools,
        tool_choice=choice,
        max_output_tokens=_integer(limit, "max_completion_tokens" if "max_completion_tokens" in values else "max_tokens", 1),
        temperature=_number(values.get("temperature"), "temperature", 2),
        top_p=_number(values.get("top_p"), "top_p", 1),
        stop=_stop(values.get("stop")),
        seed=_integer(values.get("seed"), "seed", -(2**63)),
        json_schema=schema,
        json_schema_name=schema_name,
        json_object=is_object,
        reasoning_effort=effort,
        end_user=_text(values.get("safety_identifier") or values.get("user") or "", "user"),
        service_tier=_text(values.get("service_tier") or "", "service_tier"),
        dropped=tuple(dict.fromkeys(dropped))[:_DROPPED_LIMIT],
    )


def _value(name: str, raw: msgspec.Raw) -> Any:
    try:
        return orjson.loads(bytes(raw))
    except orjson.JSONDecodeError:
        raise _invalid(name, f"{name} is not valid JSON") from None


def _refuse_what_changes_the_answer(values: Mapping[str, Any]) -> None:
    if _integer(values.get("n"), "n", 1) not in (None, 1):
        raise _unsupported("n")
    if values.get("logprobs"):
        raise _unsupported("logprobs")
    if values.get("modalities") not in (None, [], ["text"]):
        raise _unsupported("modalities")


def _invalid(param: str, message: str) -> WireError:
    return WireError("invalid_request", message, param)


def _unsupported(param: str) -> WireError:
    return WireError(
        "unsupported_field", f"{param} is not supported by the provider of this model: leave it out or choose another model", param
    )


def _text(value: object, param: str) -> str:
    if not isinstance(value, str):
        raise _invalid(param, f"{param} must be a string")
    return value


def _object(value: object, param: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _invalid(param, f"{param} must be an object")
    return value


def _list(value: object, param: str) -> list[Any]:
    if not isinstance(value, list):
        raise _invalid(param, f"{param} must be an array")
    return value


def _integer(value: object, param: str, least: int) -> int | None:
    if value is None:
        return None
    if type(value) is not int or value < least:
        raise _invalid(param, f"{param} must be an integer of at least {least}")
    return value


def _number(value: object, param: str, most: float) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise _invalid(param, f"{param} must be a number from 0 to {most}")
    return float(value)


def _stop(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    stops = [value] if isinstance(value, str) else _list(value, "stop")
    return tuple(_text(stop, "stop") for stop in stops)


# ---- messages ---------------------------------------------------------------------------------------------------------


def _messages(value: object, dropped: list[str]) -> tuple[Message, ...]:
    messages = _list(value, "messages")
    if not messages:
        raise _invalid("messages", "messages must not be empty")
    return tuple(_message(message, f"messages[{index}]", dropped) for index, message in enumerate(messages))


def _message(value: object, param: str, dropped: list[str]) -> Message:
    message = _object(value, param)
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
        call_id = _text(message.get("tool_call_id"), f"{param}.tool_call_id")
        return Message(role="user", parts=(Part(kind=PartKind.TOOL_RESULT, id=call_id, parts=parts),))
    if role == "assistant":
        return Message(role="assistant", parts=_assistant_parts(message, param, dropped))
    if role == "function":
        raise _unsupported(f"{param}.role")
    raise _invalid(f"{param}.role", f"{param}.role must be system, developer, user, assistant or tool")


def _assistant_parts(message: Mapping[str, Any], param: str, dropped: list[str]) -> tuple[Part, ...]:
    parts = []
    if message.get("function_call") is not None:
        raise _unsupported(f"{param}.function_call")
    if message.get("audio") is not None:
        raise _unsupported(f"{param}.audio")
    if message.get("reasoning_content"):
        parts.append(Part(kind=PartKind.REASONING, text=_text(message["reasoning_content"], f"{param}.reasoning_content")))
    parts += _parts(message.get("content"), f"{param}.content", dropped)
    if message.get("refusal"):
        parts.append(Part(kind=PartKind.REFUSAL, text=_text(message["refusal"], f"{param}.refusal")))
    for index, value in enumerate(_list(message.get("tool_calls") or [], f"{param}.tool_calls")):
        where = f"{param}.tool_calls[{index}]"
        call = _object(value, where)
        if call.get("type", "function") != "function":
            raise _unsupported(f"{where}.type")
        function = _object(call.get("function"), f"{where}.function")
        parts.append(
            Part(
                kind=PartKind.TOOL_CALL,
                id=_text(call.get("id"), f"{where}.id"),
                name=_text(function.get("name"), f"{where}.function.name"),
                text=_text(function.get("arguments") or "", f"{where}.function.arguments"),
            )
        )
    return tuple(parts)


def _parts(value: object, param: str, dropped: list[str]) -> tuple[Part, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (Part(kind=PartKind.TEXT, text=value),)
    return tuple(_part(part, f"{param}[{index}]", dropped) for index, part in enumerate(_list(value, param)))


def _part(value: object, param: str, dropped: list[str]) -> Part:
    part = _object(value, param)
    kind = part.get("type")
    if kind == "text":
        return Part(kind=PartKind.TEXT, text=_text(part.get("text"), f"{param}.text"))
    if kind == "refusal":
        return Part(kind=PartKind.REFUSAL, text=_text(part.get("refusal"), f"{param}.refusal"))
    if kind == "image_url":
        image = _object(part.get("image_url"), f"{param}.image_url")
        if image.get("detail") not in (None, "auto"):
            dropped.append("image_url.detail")
        url = _text(image.get("url"), f"{param}.image_url.url")
        return Part(kind=PartKind.IMAGE, text=url, media_type=_media_type(url, f"{param}.image_url.url"))
    if kind in ("input_audio", "file"):
        raise _unsupported(f"{param}.{kind}")
    raise _invalid(f"{param}.type", f"{param}.type must be text or image_url")


def _media_type(url: str, param: str) -> str:
    """Return the media type of a data URL, "" for an http(s) URL, which is passed on and never fetched here."""
    if url[:8].lower().startswith(("https://", "http://")):
        return ""
    head, comma, payload = url.partition(",")
    if not head.startswith("data:") or not head.endswith(";base64") or not comma or not payload:
        raise _invalid(param, f"{param} must be an https URL or a base64 data URL")
    return head[5:].partition(";")[0].lower()


# ---- tools and formats ------------------------------------------------------------------------------------------------


def _tools(values: Mapping[str, Any]) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    tools = tuple(_tool(tool, f"tools[{index}]") for index, tool in enumerate(_list(values.get("tools", []), "tools")))
    parallel = values.get("parallel_tool_calls")
    if parallel is not None and not isinstance(parallel, bool):
        raise _invalid("parallel_tool_calls", "parallel_tool_calls must be true or false")
    choice = values.get("tool_choice")
    if choice is None:
        return tools, ToolChoice(parallel=parallel) if parallel is not None else None
    if choice in ("auto", "none", "required"):
        return tools, ToolChoice(mode=choice, parallel=parallel)
    wanted = _object(choice, "tool_choice")
    if wanted.get("type") == "function":
        name = _text(_object(wanted.get("function"), "tool_choice.function").get("name"), "tool_choice.function.name")
        if name not in {tool.name for tool in tools}:
            raise _invalid("tool_choice", f"tool_choice names the function {name[:64]!r}, which is not in tools")
        return tools, ToolChoice(mode="function", name=name, parallel=parallel)
    if wanted.get("type") == "allowed_tools":
        allowed = _object(wanted.get("allowed_tools"), "tool_choice.allowed_tools")
        entries = [_object(entry, "tool_choice") for entry in _list(allowed.get("tools"), "tool_choice")]
        names = {_text(_object(entry.get("function"), "tool_choice").get("name"), "tool_choice") for entry in entries}
        mode = "required" if allowed.get("mode") == "required" else "auto"
        return tuple(tool for tool in tools if tool.name in names), ToolChoice(mode=mode, parallel=parallel)
    raise _unsupported("tool_choice")


def _tool(value: object, param: str) -> Tool:
    tool = _object(value, param)
    if tool.get("type") != "function":
        raise _unsupported(f"{param}.type")
    function = _object(tool.get("function"), f"{param}.function")
    schema = function.get("parameters")
    strict = function.get("strict")
    if strict is not None and not isinstance(strict, bool):
        raise _invalid(f"{param}.function.strict", f"{param}.function.strict must be true or false")
    return Tool(
        name=_text(function.get("name"), f"{param}.function.name"),
        description=_text(function.get("description") or "", f"{param}.function.description"),
        schema=None if schema is None else msgspec.Raw(orjson.dumps(_object(schema, f"{param}.function.parameters"))),
        strict=strict,
    )


def _format(value: object) -> tuple[msgspec.Raw | None, str, bool]:
    """Return the schema, its name, and whether any JSON object will do."""
    if value is None:
        return None, "", False
    wanted = _object(value, "response_format")
    if wanted.get("type") == "text":
        return None, "", False
    if wanted.get("type") == "json_object":
        return None, "", True
    if wanted.get("type") != "json_schema":
        raise _invalid("response_format.type", "response_format.type must be text, json_object or json_schema")
    named = _object(wanted.get("json_schema"), "response_format.json_schema")
    schema = named.get("schema")
    name = _text(named.get("name") or "", "response_format.json_schema.name")
    if schema is None:
        return None, name, True
    return msgspec.Raw(orjson.dumps(_object(schema, "response_format.json_schema.schema"))), name, False
