"""Reads a Messages request into the neutral form, for upstreams on another wire. Knows no other vendor; content blocks are read by blocks.py.

Fields are named the way Anthropic names them in errors: messages.0.content.1.source.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.terms import Ask, Message, Part, Tool, ToolChoice
from gateway.wire import given as read
from gateway.wire.anthropic_messages.blocks import cache_of, parts_of

# What they ask for happens at Anthropic alone, or where its data may go: an answer without would be a wrong one, not a poorer one.
_REFUSED = ("container", "mcp_servers", "inference_geo")
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
# Anthropic's own default: adaptive thinking without a word about effort is thinking with high effort.
_DEFAULT_EFFORT = "high"
_DISPLAYS = {"": None, "summarized": True, "omitted": False}
_TIERS = {"": "", "auto": "", "standard_only": "default"}
_MODES = {"auto": "auto", "any": "required", "none": "none", "tool": "function"}
# Fields of a tool that shape how the vendor presents it; the call itself is the same without.
_TOOL_EXTRAS = ("input_examples", "defer_loading", "eager_input_streaming", "toolset_name")
_TOOL_FIELDS = frozenset(("type", "name", "description", "input_schema", "strict", "cache_control"))
_DIRECT = ["direct"]


def _stops(value: object, param: str) -> tuple[str, ...]:
    return tuple([read.text(stop, param) for stop in read.list_(value, param)])


# fields that stand for themselves: the name in the neutral form and what reads them
_PLAIN: Mapping[str, tuple[str, Callable[[Any, str], Any]]] = {
    "max_tokens": ("max_output_tokens", lambda value, param: read.integer(value, param, 1)),
    "temperature": ("temperature", lambda value, param: read.number(value, param, 1)),
    "top_p": ("top_p", lambda value, param: read.number(value, param, 1)),
    "top_k": ("top_k", lambda value, param: read.integer(value, param, 0)),
    "stop_sequences": ("stop", _stops),
    "service_tier": ("service_tier", lambda value, param: _TIERS[read.choice(value, param, ("auto", "standard_only"))]),
    "metadata": ("end_user", lambda value, param: read.text(read.object_(value, param).get("user_id") or "", f"{param}.user_id")),
    "tool_choice": ("tool_choice", lambda value, param: _tool_choice(value)),
}
_OTHERS = frozenset(("model", "messages", "stream", "system", "tools", "thinking", "output_config", "output_format", "cache_control"))
_REASONED = frozenset(("thinking", "output_config", "output_format"))


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
            if value is not None:
                made[plain[0]] = plain[1](value, name)
        elif name in _OTHERS:
            value = read.value(name, raw)
            if value is not None:
                values[name] = value
        elif not read.says_nothing(raw):
            if name in _REFUSED:
                raise read.unsupported(name)
            dropped.append(name)
    if "max_output_tokens" not in made:
        raise read.invalid("max_tokens", "max_tokens: Field required")
    if not _REASONED.isdisjoint(values):
        made |= _reasoned(values, dropped)
    if "tools" in values:
        made["tools"] = tuple([_tool(tool, f"tools.{index}", dropped) for index, tool in enumerate(read.list_(values["tools"], "tools"))])
    made["messages"] = _messages(values, dropped)
    if dropped:
        made["dropped"] = read.dropped(dropped)
    return Ask(model=model, stream=stream, **made)


def _reasoned(values: Mapping[str, Any], dropped: list[str]) -> dict[str, Any]:
    """Return what is said about thinking and the shape of the answer."""
    output = read.object_(values.get("output_config", {}), "output_config")
    dropped += [f"output_config.{name}" for name in output if name not in ("effort", "format") and output[name] is not None]
    effort, budget_tokens, shows = _thinking(values.get("thinking"), output)
    schema = _schema(output.get("format"), "output_config.format") or _schema(values.get("output_format"), "output_format")
    return {
        "json_schema": schema,
        "json_strict": True if schema is not None else None,
        "reasoning_effort": effort,
        "reasoning_budget_tokens": budget_tokens,
        "shows_reasoning": shows,
    }


def _thinking(value: object, output: Mapping[str, Any]) -> tuple[str, int | None, bool | None]:
    """Return effort, exact budget in tokens, and whether the caller wants to read the thinking."""
    effort = read.choice(output.get("effort"), "output_config.effort", _EFFORTS)
    if value is None:
        return effort, None, None
    thinking = read.object_(value, "thinking")
    kind = read.choice(thinking.get("type"), "thinking.type", ("enabled", "adaptive", "disabled", "between_tools"))
    display = read.choice(thinking.get("display"), "thinking.display", ("summarized", "omitted"))
    if kind == "disabled":
        return "none", None, None
    if kind == "enabled":
        budget_tokens = read.integer(thinking.get("budget_tokens"), "thinking.budget_tokens", 1024)
        if budget_tokens is None:
            raise read.invalid("thinking.budget_tokens", "thinking.budget_tokens: Field required")
        return effort, budget_tokens, _DISPLAYS[display] is not False
    if not kind:
        raise read.invalid("thinking.type", "thinking.type must be enabled, adaptive, disabled or between_tools")
    return effort or _DEFAULT_EFFORT, None, _DISPLAYS[display] is not False


def _schema(value: object, param: str) -> msgspec.Raw | None:
    if value is None:
        return None
    wanted = read.object_(value, param)
    if wanted.get("type") != "json_schema":
        raise read.invalid(f"{param}.type", f"{param}.type must be json_schema")
    return read.raw_object(wanted.get("schema"), f"{param}.schema")


# ---- conversation -----------------------------------------------------------------------------------------------------


def _messages(values: Mapping[str, Any], dropped: list[str]) -> tuple[Message, ...]:
    listed = read.list_(values.get("messages"), "messages")
    if not listed:
        raise read.invalid("messages", "messages: at least one message is required")
    messages = []
    if system := parts_of(values.get("system"), "system", dropped):
        messages.append(Message(role="system", parts=system, at="system"))
    messages += [_message(message, f"messages.{index}", dropped) for index, message in enumerate(listed)]
    cache = cache_of(values.get("cache_control"), "cache_control") if "cache_control" in values else ""
    if cache and messages[-1].parts:
        # the automatic mark stands at the end of the conversation
        last = messages[-1]
        messages[-1] = msgspec.structs.replace(last, parts=(*last.parts[:-1], _marked(last.parts[-1], cache)))
    return tuple(messages)


def _marked(part: Part, cache: str) -> Part:
    return msgspec.structs.replace(part, cache=part.cache or cache)


def _message(value: object, param: str, dropped: list[str]) -> Message:
    message = read.object_(value, param)
    role = message.get("role")
    if role not in ("user", "assistant", "system"):
        raise read.invalid(f"{param}.role", f"{param}.role must be user or assistant")
    if message.get("content") is None:
        raise read.invalid(f"{param}.content", f"{param}.content: Field required")
    return Message(role=role, parts=parts_of(message["content"], f"{param}.content", dropped), at=param)


# ---- tools ------------------------------------------------------------------------------------------------------------


def _tool(value: object, param: str, dropped: list[str]) -> Tool:
    tool = read.object_(value, param)
    if tool.get("type") not in (None, "custom"):
        # the vendor's own tools, with schemas only its models know
        raise read.unsupported(f"{param}.type")
    if tool.get("allowed_callers") not in (None, _DIRECT):
        raise read.unsupported(f"{param}.allowed_callers")
    if not _TOOL_FIELDS.issuperset(tool):
        dropped += [f"tools.{name}" for name in _TOOL_EXTRAS if tool.get(name)]
    return Tool(
        name=read.text(tool.get("name"), f"{param}.name"),
        description=read.text(tool.get("description") or "", f"{param}.description"),
        schema=read.raw_object(tool.get("input_schema"), f"{param}.input_schema"),
        strict=read.flag(tool["strict"], f"{param}.strict") if "strict" in tool else None,
        cache=cache_of(tool["cache_control"], f"{param}.cache_control") if "cache_control" in tool else "",
    )


def _tool_choice(value: object) -> ToolChoice | None:
    if value is None:
        return None
    choice = read.object_(value, "tool_choice")
    kind = read.choice(choice.get("type"), "tool_choice.type", _MODES)
    if not kind:
        raise read.invalid("tool_choice.type", "tool_choice.type must be auto, any, tool or none")
    serial = read.flag(choice.get("disable_parallel_tool_use"), "tool_choice.disable_parallel_tool_use")
    return ToolChoice(
        mode=_MODES[kind],
        name=read.text(choice.get("name"), "tool_choice.name") if kind == "tool" else "",
        parallel=None if serial is None else not serial,
    )
