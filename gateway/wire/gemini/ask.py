"""Reads a Gemini request into the neutral form, for upstreams on another wire. Knows no vendor."""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from gateway.terms import Ask, Tool, ToolChoice
from gateway.wire.gemini import schema as schemas
from gateway.wire.gemini.config import read_config
from gateway.wire.gemini.fields import camel, drop_others, json_text, members, several
from gateway.wire.gemini.turns import read_contents, read_system
from gateway.wire.given import dropped as names
from gateway.wire.given import invalid, labels, list_, text, unsupported, value

_KNOWN = frozenset(
    {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "safetySettings", "cachedContent", "serviceTier", "labels", "model", "store"}
)
_TIERS = {"standard": "default", "flex": "flex", "priority": "priority", "unspecified": "", "": ""}
_FUNCTION = frozenset({"name", "description", "parameters", "parametersJsonSchema", "response", "responseJsonSchema", "behavior"})
_CALLING = frozenset({"mode", "allowedFunctionNames"})
_MODES = {"AUTO": "auto", "ANY": "required", "NONE": "none", "VALIDATED": "auto", "MODE_UNSPECIFIED": "auto", "": "auto"}


def read_ask(fields: Mapping[str, msgspec.Raw], model: str, stream: bool) -> Ask:
    """Return the request in neutral form; names of fields that have no neutral form are in `dropped`.

    Raises WireError("invalid_request") for nonsense and WireError("unsupported_field") for what cannot be translated
    without changing the answer's meaning; both name the field.
    """
    given = _given(fields)
    if "generateContentRequest" in given:
        # what is to be counted may stand in a request of its own
        given = members(given["generateContentRequest"], "generateContentRequest")
    if "cachedContent" in given:
        raise unsupported("cachedContent")
    dropped: list[str] = []
    drop_others(given, _KNOWN, "", dropped)
    dropped += [name for name in ("safetySettings", "store") if given.get(name)]
    tools = _tools(given["tools"], dropped) if "tools" in given else ()
    tools, choice = _choice(given["toolConfig"], tools, dropped) if "toolConfig" in given else (tools, None)
    messages = read_contents(given.get("contents"), dropped)
    system = read_system(given["systemInstruction"], dropped) if "systemInstruction" in given else None
    settings = read_config(given["generationConfig"], dropped) if "generationConfig" in given else {}
    if stream and settings.get("answers", 1) > 1:
        raise unsupported("generationConfig.candidateCount")
    return Ask(
        model=model,
        messages=tuple(messages if system is None else [system, *messages]),
        stream=stream,
        tools=tools,
        tool_choice=choice,
        service_tier=_tier(given["serviceTier"]) if "serviceTier" in given else "",
        metadata=labels(given["labels"], "labels") or None if "labels" in given else None,
        dropped=names(dropped),
        **settings,
    )


def _given(fields: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, raw in fields.items():
        plain = camel(name)
        if plain in given:
            raise invalid(plain[:64], f"{plain[:64]} is given twice, as camelCase and as snake_case")
        given[plain] = value(plain[:64], raw)
    return {name: one for name, one in given.items() if one is not None} if None in given.values() else given


def _tier(given: object) -> str:
    tier = text(given, "serviceTier").lower().removeprefix("service_tier_")
    if tier not in _TIERS:
        raise invalid("serviceTier", "serviceTier must be standard, flex or priority")
    return _TIERS[tier]


def _tools(given: object, dropped: list[str]) -> tuple[Tool, ...]:
    tools: list[Tool] = []
    for index, each in enumerate(several(given, "tools")):
        tool = members(each, f"tools[{index}]")
        for name in tool:
            if name != "functionDeclarations":
                raise unsupported(f"tools[{index}].{name[:64]}")
        declared = several(tool.get("functionDeclarations", []), f"tools[{index}].functionDeclarations")
        tools += [_function(one, f"tools[{index}].functionDeclarations[{at}]", dropped) for at, one in enumerate(declared)]
    return tuple(tools)


def _function(declared: object, param: str, dropped: list[str]) -> Tool:
    function = members(declared, param)
    drop_others(function, _FUNCTION, "tools.functionDeclarations", dropped)
    dropped += [f"tools.functionDeclarations.{name}" for name in ("response", "responseJsonSchema") if name in function]
    if function.get("behavior") not in (None, "BLOCKING", "UNSPECIFIED"):
        raise unsupported(f"{param}.behavior")
    given, schema = function.get("parametersJsonSchema"), None
    if given is not None:
        if not isinstance(given, dict):
            raise invalid(f"{param}.parametersJsonSchema", f"{param}.parametersJsonSchema must be an object")
        schema = msgspec.Raw(json_text(given, f"{param}.parametersJsonSchema").encode())
    elif "parameters" in function:
        schema = msgspec.Raw(orjson.dumps(schemas.plain(function["parameters"], f"{param}.parameters")))
    name = text(function.get("name"), f"{param}.name")
    return Tool(name=name, description=text(function.get("description", ""), f"{param}.description"), schema=schema)


def _choice(given: object, tools: tuple[Tool, ...], dropped: list[str]) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    config = members(given, "toolConfig")
    drop_others(config, frozenset({"functionCallingConfig"}), "toolConfig", dropped)
    if "functionCallingConfig" not in config:
        return tools, None
    param = "toolConfig.functionCallingConfig"
    calling = members(config["functionCallingConfig"], param)
    drop_others(calling, _CALLING, param, dropped)
    word = text(calling.get("mode", ""), f"{param}.mode").upper()
    mode = _MODES.get(word)
    if mode is None:
        raise invalid(f"{param}.mode", f"{param}.mode must be AUTO, ANY, NONE or VALIDATED")
    if word == "VALIDATED":
        dropped.append(f"{param}.mode")
    allowed = [text(one, f"{param}.allowedFunctionNames") for one in list_(calling.get("allowedFunctionNames", []), f"{param}.allowedFunctionNames")]
    if not allowed or mode == "none":
        return tools, ToolChoice(mode=mode)
    unknown = set(allowed) - {tool.name for tool in tools}
    if unknown:
        raise invalid(f"{param}.allowedFunctionNames", f"{param}.allowedFunctionNames names a function that tools does not declare")
    if mode == "required" and len(set(allowed)) == 1:
        return tools, ToolChoice(mode="function", name=allowed[0])
    return tuple(tool for tool in tools if tool.name in allowed), ToolChoice(mode=mode)
