"""Reads a Responses request into the neutral form, for upstreams on another wire. Knows no vendor and nothing of what is stored."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.terms import Ask, Tool, ToolChoice
from gateway.wire import WireError
from gateway.wire import given as read
from gateway.wire.openai_responses.items import read_messages

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_SUMMARIES = ("auto", "concise", "detailed")
# fields that stand for themselves: the name in the neutral form and what reads them
_PLAIN: Mapping[str, tuple[str, Callable[[Any, str], Any]]] = {
    "max_output_tokens": ("max_output_tokens", lambda value, param: read.integer(value, param, 1)),
    "temperature": ("temperature", lambda value, param: read.number(value, param, 2)),
    "top_p": ("top_p", lambda value, param: read.number(value, param, 1)),
    "service_tier": ("service_tier", lambda value, param: read.text(value or "", param)),
    "metadata": ("metadata", read.labels),
    "prompt_cache_key": ("cache_key", lambda value, param: read.text(value or "", param)),
}
# Read below, or without any meaning for the answer.
_PROBABILITIES = frozenset(("include", "top_logprobs"))
_TOOLS = frozenset(("tools", "tool_choice", "parallel_tool_calls"))
_END_USER = frozenset(("user", "safety_identifier"))
_OTHERS = _PROBABILITIES | _TOOLS | _END_USER | {"model", "input", "instructions", "stream", "store", "background", "text", "reasoning", "truncation"}
# Asking for these and not getting them would be a wrong answer, not a poorer one.
_REFUSED = frozenset(("conversation", "previous_response_id", "prompt", "moderation", "stop", "n"))
_TOOL = frozenset(("type", "name", "description", "parameters", "strict"))
# Encrypted reasoning is always told; the others are about the vendor's own tools, which are refused, or about what the caller sent.
_LOGPROBS = "message.output_text.logprobs"
_INCLUDED = frozenset(
    (
        "reasoning.encrypted_content", "message.input_image.image_url", "file_search_call.results", "web_search_call.results",
        "web_search_call.action.sources", "computer_call_output.output.image_url", "code_interpreter_call.outputs",
    )
)  # fmt: skip


def read_ask(fields: Mapping[str, msgspec.Raw], model: str, stream: bool) -> Ask:
    """Return the request in neutral form; names of fields that have no neutral form are in `dropped`.

    Raises WireError("invalid_request") for nonsense and WireError("unsupported_field") for what cannot be translated
    without changing the answer's meaning; both name the field.
    """
    values: dict[str, Any] = {}
    made: dict[str, Any] = {}
    dropped: list[str] = []
    refused: list[str] = []
    for name, raw in fields.items():
        plain = _PLAIN.get(name)
        if plain is not None or name in _OTHERS:
            value = read.value(name, raw)
            if value is None:
                continue
            if plain is None:
                values[name] = value
            else:
                made[plain[0]] = plain[1](value, name)
        elif not read.says_nothing(raw):
            (refused if name in _REFUSED else dropped).append(name)
    if refused:
        raise read.unsupported(min(refused))
    _read_others(values, made, dropped)
    made["messages"] = read_messages(values.get("instructions"), values.get("input"), dropped)
    return Ask(model=model, stream=stream, dropped=read.dropped(dropped), **made)


def _read_others(values: Mapping[str, Any], made: dict[str, Any], dropped: list[str]) -> None:
    """Read the fields that do not stand for themselves, the conversation apart."""
    if not _PROBABILITIES.isdisjoint(values):
        made["logprobs"], made["top_logprobs"] = _probabilities(values, dropped)
    if "truncation" in values and read.choice(values["truncation"], "truncation", ("auto", "disabled")) == "auto":
        dropped.append("truncation")
    if not _TOOLS.isdisjoint(values):
        made["tools"], made["tool_choice"] = _tools(values, dropped)
    if "text" in values:
        made["json_schema"], made["json_schema_name"], made["json_strict"], made["json_object"], made["verbosity"] = _text(values["text"], dropped)
    if "reasoning" in values:
        made["reasoning_effort"], made["shows_reasoning"] = _reasoning(values["reasoning"], dropped)
    if not _END_USER.isdisjoint(values):
        made["end_user"] = read.text(values.get("safety_identifier") or values.get("user") or "", "user")


def _probabilities(values: Mapping[str, Any], dropped: list[str]) -> tuple[bool, int]:
    """Return whether the probabilities of the answer's tokens are wanted, and with how many alternatives."""
    has_logprobs = _include(values.get("include"), dropped)
    top = read.integer(values.get("top_logprobs"), "top_logprobs", 0) or 0
    if top and not has_logprobs:
        raise read.invalid("top_logprobs", f"top_logprobs are told with the probabilities alone: put {_LOGPROBS} into include")
    return has_logprobs, top


def _include(value: object, dropped: list[str]) -> bool:
    """Return whether the probabilities of the answer's tokens are wanted."""
    names = [read.text(each, f"include[{index}]") for index, each in enumerate(read.list_(value or [], "include"))]
    if any(name != _LOGPROBS and name not in _INCLUDED for name in names):
        dropped.append("include")
    return _LOGPROBS in names


def _reasoning(value: object, dropped: list[str]) -> tuple[str, bool | None]:
    """Return the effort, and True where the caller wants to read a summary."""
    wanted = read.object_(value, "reasoning")
    dropped += [f"reasoning.{name}" for name in wanted if name not in ("effort", "summary", "generate_summary") and wanted[name] is not None]
    effort = read.choice(wanted.get("effort"), "reasoning.effort", _EFFORTS)
    summary = read.choice(wanted.get("summary"), "reasoning.summary", _SUMMARIES)
    older = read.choice(wanted.get("generate_summary"), "reasoning.generate_summary", _SUMMARIES)
    return effort, True if summary or older else None


def _text(value: object, dropped: list[str]) -> tuple[msgspec.Raw | None, str, bool | None, bool, str]:
    """Return the schema, its name, whether it must be kept exactly, whether any JSON object will do, and the verbosity."""
    wanted = read.object_(value, "text")
    dropped += [f"text.{name}" for name in wanted if name not in ("format", "verbosity")]
    verbosity = read.choice(wanted.get("verbosity"), "text.verbosity", ("low", "medium", "high"))
    if wanted.get("format") is None:
        return None, "", None, False, verbosity
    form = read.object_(wanted["format"], "text.format")
    kind = read.choice(form.get("type"), "text.format.type", ("text", "json_object", "json_schema"))
    if kind != "json_schema":
        return None, "", None, kind == "json_object", verbosity
    name = read.text(form.get("name"), "text.format.name")
    strict = read.flag(form.get("strict"), "text.format.strict")
    return read.raw_object(form.get("schema"), "text.format.schema"), name, strict, False, verbosity


def _tools(values: Mapping[str, Any], dropped: list[str]) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    tools = tuple(_tool(tool, f"tools[{index}]", dropped) for index, tool in enumerate(read.list_(values.get("tools", []), "tools")))
    parallel = read.flag(values.get("parallel_tool_calls"), "parallel_tool_calls")
    choice = values.get("tool_choice")
    if choice is None:
        return tools, ToolChoice(parallel=parallel) if parallel is not None else None
    if choice in ("auto", "none", "required"):
        return tools, ToolChoice(mode=choice, parallel=parallel)
    wanted = read.object_(choice, "tool_choice")
    if wanted.get("type") == "function":
        name = read.text(wanted.get("name"), "tool_choice.name")
        if name not in {tool.name for tool in tools}:
            raise read.invalid("tool_choice.name", f"tool_choice names the function {name[:64]!r}, which is not in tools")
        return tools, ToolChoice(mode="function", name=name, parallel=parallel)
    if wanted.get("type") != "allowed_tools":
        raise read.unsupported("tool_choice.type")
    entries = [(f"tool_choice.tools[{index}]", entry) for index, entry in enumerate(read.list_(wanted.get("tools"), "tool_choice.tools"))]
    names = {read.text(read.object_(entry, at).get("name"), f"{at}.name") for at, entry in entries}
    mode = read.choice(wanted.get("mode"), "tool_choice.mode", ("auto", "required"))
    return tuple(tool for tool in tools if tool.name in names), ToolChoice(mode=mode or "auto", parallel=parallel)


def _tool(value: object, param: str, dropped: list[str]) -> Tool:
    tool = read.object_(value, param)
    kind = read.text(tool.get("type"), f"{param}.type")
    if kind != "function":
        raise WireError(
            "unsupported_field",
            f"the tool {kind[:64]!r} runs at OpenAI, and the provider of this model has no such thing: leave it out or choose another model",
            f"{param}.type",
        )
    dropped += [f"tools.{name}" for name in tool if name not in _TOOL and tool[name] not in (None, False)]
    schema = tool.get("parameters")
    return Tool(
        name=read.text(tool.get("name"), f"{param}.name"),
        description=read.text(tool.get("description") or "", f"{param}.description"),
        schema=None if schema is None else read.raw_object(schema, f"{param}.parameters"),
        strict=read.flag(tool.get("strict"), f"{param}.strict"),
    )
