"""Nothing is lost in silence: every field that a vendor's SDK can send is carried to every other wire, named as left out, or refused by name."""

import copy
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import orjson
import pytest
import typing_extensions
from anthropic.types import beta as claude_beta
from anthropic.types.beta.message_create_params import MessageCreateParamsNonStreaming as BetaParams
from google.genai import types as gemini
from openai.types.chat import ChatCompletionAssistantMessageParam, ChatCompletionContentPartTextParam, ChatCompletionUserMessageParam
from openai.types.chat.chat_completion_content_part_image_param import ImageURL
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from openai.types.responses import FunctionToolParam, ResponseInputImageParam, ResponseInputTextParam, ResponseTextConfigParam
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from openai.types.responses.response_input_item_param import Message
from openai.types.shared_params import FunctionDefinition, Reasoning

from gateway.plane import speak
from gateway.wire import WireError, shelf
from gateway.wire.strict import fields
from tests.gateway.wire.grid import MODEL, pairs

Path = tuple[str | int, ...]
PICTURE = "data:image/png;base64,iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
CHAT_TOOL = {"type": "function", "function": {"name": "f", "parameters": SCHEMA}}
CLAUDE_TOOL = {"name": "f", "input_schema": SCHEMA}
GEMINI_TOOL = {"functionDeclarations": [{"name": "f"}]}
TOOL = {"type": "function", "name": "f", "parameters": SCHEMA}
BASES: dict[str, dict[str, Any]] = {
    "openai_chat": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "JSON"}, {"type": "image_url", "image_url": {"url": PICTURE}}]},
            {"role": "assistant", "content": "So."},
            {"role": "user", "content": "And?"},
        ],
        "tools": [CHAT_TOOL],
    },
    "openai_responses": {
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "JSON"}, {"type": "input_image", "image_url": PICTURE}]}],
        "tools": [TOOL],
    },
    "anthropic_messages": {
        "max_tokens": 9000,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "JSON"},
                    {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}},
                ],
            }
        ],
        "tools": [CLAUDE_TOOL],
        "output_config": {},
    },
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "JSON"}]}], "tools": [GEMINI_TOOL], "generationConfig": {}},
}
UPSTREAM_MODELS = {
    "openai_chat": "gpt-4o", "openai_responses": "gpt-4o", "anthropic_messages": "claude-sonnet-4-5", "gemini": "gemini-2.5-flash",
    "bedrock_converse": "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
}  # fmt: skip
FORMAT = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
# A value for each field that one word does not do for; what a name alone says is the same at every vendor.
VALUES: dict[str, Any] = {
    "temperature": 0.5, "top_p": 0.5, "topP": 0.5, "top_k": 7, "topK": 7, "seed": 7, "n": 2, "frequency_penalty": 0.5, "presence_penalty": 0.5,
    "frequencyPenalty": 0.5, "presencePenalty": 0.5, "max_tokens": 8000, "max_completion_tokens": 8000, "max_output_tokens": 8000, "maxOutputTokens": 8000,
    "stop": ["x"], "stop_sequences": ["x"], "stopSequences": ["x"], "candidateCount": 2, "parallel_tool_calls": False, "strict": True,
    "metadata": {"a": "b"}, "labels": {"a": "b"}, "service_tier": "flex", "serviceTier": "flex", "verbosity": "low", "modalities": ["audio"],
    "responseModalities": ["AUDIO"], "response_format": FORMAT, "tool_choice": "required", "description": "Does it.", "instructions": "Short.",
    "responseMimeType": "application/json", "includeThoughts": True, "thinkingBudget": 2000, "thinkingLevel": "LOW", "effort": "low", "summary": "auto",
    "generate_summary": "auto", "truncation": "auto", "include": ["message.output_text.logprobs"], "reasoning_effort": "low", "allowed_callers": ["x"],
    "user_id": "u", "disable_parallel_tool_use": True, "mode": "ANY", "allowedFunctionNames": ["f"], "display": "omitted", "budget_tokens": 2000,
    "store": True, "background": True, "logprobs": True, "cache_control": {"type": "ephemeral"}, "systemInstruction": {"parts": [{"text": "Short."}]},
}  # fmt: skip
AT: dict[tuple[str, Path], Any] = {
    ("anthropic_messages", ("tool_choice",)): {"type": "any"},
    ("anthropic_messages", ("thinking",)): {"type": "enabled", "budget_tokens": 2000},
    ("anthropic_messages", ("service_tier",)): "standard_only",
    ("anthropic_messages", ("metadata",)): {"user_id": "u"},
    ("anthropic_messages", ("system",)): "Short.",
    ("anthropic_messages", ("output_config", "format")): {"type": "json_schema", "schema": SCHEMA},
    ("openai_responses", ("text", "format")): {"type": "json_schema", "name": "a", "schema": SCHEMA},
    ("anthropic_messages", ("messages", 0, "content", 1, "citations")): {"enabled": True},
    ("anthropic_messages", ("messages", 0, "content", 0, "citations")): [
        {"type": "web_search_result_location", "url": "https://e.com", "title": "E", "cited_text": "x"}
    ],
    ("anthropic_messages", ("output_config",)): {"effort": "low"},
    ("openai_chat", ("messages", 0, "content", 0, "prompt_cache_breakpoint")): {"mode": "explicit"},
    ("openai_chat", ("messages", 1, "tool_calls")): [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    ("openai_responses", ("reasoning",)): {"effort": "low"},
    ("openai_responses", ("text",)): {"verbosity": "low"},
    ("openai_responses", ("input", 0, "content", 1, "detail")): "high",
    ("gemini", ("generationConfig", "thinkingConfig")): {"thinkingBudget": 2000},
    ("gemini", ("generationConfig", "responseSchema")): {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
    ("gemini", ("generationConfig", "responseJsonSchema")): SCHEMA,
    ("gemini", ("toolConfig", "functionCallingConfig")): {"mode": "ANY"},
    ("gemini", ("toolConfig",)): {"functionCallingConfig": {"mode": "ANY"}},
    ("gemini", ("tools", 0, "functionDeclarations", 0, "parameters")): {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}},
    ("gemini", ("tools", 0, "functionDeclarations", 0, "parametersJsonSchema")): SCHEMA,
}
# what a field needs beside it, or needs not to be there
WITH: dict[tuple[str, Path], dict[str, Any]] = {
    ("openai_chat", ("top_logprobs",)): {"logprobs": True},
    ("openai_responses", ("top_logprobs",)): {"include": ["message.output_text.logprobs"]},
    ("gemini", ("generationConfig", "logprobs")): {"generationConfig": {"responseLogprobs": True}},
    ("gemini", ("generationConfig", "thinkingConfig", "includeThoughts")): {"generationConfig": {"thinkingConfig": {"thinkingBudget": 2000}}},
    ("gemini", ("generationConfig", "responseSchema")): {"generationConfig": {"responseMimeType": "application/json"}},
    ("gemini", ("generationConfig", "responseJsonSchema")): {"generationConfig": {"responseMimeType": "application/json"}},
}
# fields whose refusal names what they need beside them
REFUSED_FIRST = {"top_logprobs": ("logprobs", "include"), "generationConfig.logprobs": ("generationConfig.responseLogprobs",)}
INTEGERS = frozenset({"logprobs", "top_logprobs", "max_tool_calls"})
FLAGS = frozenset({"responseLogprobs"})


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)


def _named(kind: Any) -> list[str]:
    return sorted(_camel(name) for name in kind.model_fields) if hasattr(kind, "model_fields") else sorted(typing_extensions.get_type_hints(kind))


# where fields stand, and the vendor's own type of what stands there
PLACES: list[tuple[str, Path, Any]] = [
    ("openai_chat", (), CompletionCreateParamsNonStreaming),
    ("openai_chat", ("tools", 0, "function"), FunctionDefinition),
    ("openai_chat", ("messages", 0), ChatCompletionUserMessageParam),
    ("openai_chat", ("messages", 0, "content", 0), ChatCompletionContentPartTextParam),
    ("openai_chat", ("messages", 0, "content", 1, "image_url"), ImageURL),
    ("openai_chat", ("messages", 1), ChatCompletionAssistantMessageParam),
    ("openai_responses", (), ResponseCreateParamsNonStreaming),
    ("openai_responses", ("reasoning",), Reasoning),
    ("openai_responses", ("text",), ResponseTextConfigParam),
    ("openai_responses", ("tools", 0), FunctionToolParam),
    ("openai_responses", ("input", 0), Message),
    ("openai_responses", ("input", 0, "content", 0), ResponseInputTextParam),
    ("openai_responses", ("input", 0, "content", 1), ResponseInputImageParam),
    ("anthropic_messages", (), BetaParams),
    ("anthropic_messages", ("messages", 0, "content", 0), claude_beta.BetaTextBlockParam),
    ("anthropic_messages", ("messages", 0, "content", 1), claude_beta.BetaRequestDocumentBlockParam),
    ("anthropic_messages", ("output_config",), claude_beta.BetaOutputConfigParam),
    ("anthropic_messages", ("tools", 0), claude_beta.BetaToolParam),
    ("gemini", (), gemini.GenerateContentConfig),
    ("gemini", ("generationConfig",), gemini.GenerationConfig),
    ("gemini", ("generationConfig", "thinkingConfig"), gemini.ThinkingConfig),
    ("gemini", ("contents", 0, "parts", 0), gemini.Part),
    ("gemini", ("toolConfig",), gemini.ToolConfig),
    ("gemini", ("tools", 0, "functionDeclarations", 0), gemini.FunctionDeclaration),
]
# Fields that are no loss: what a request always has, what the SDK keeps to itself, and what says how the answer travels, which is the gateway's business.
NO_LOSS: dict[str, frozenset[str]] = {
    "openai_chat": frozenset({"model", "stream", "stream_options"}),
    # the plane keeps answers and refuses work in the background; what became of an item says nothing to a model
    "openai_responses": frozenset({"model", "stream", "store", "background", "input.status"}),
    "anthropic_messages": frozenset({"model", "stream", "betas", "tools.type"}),
    "gemini": frozenset({"httpOptions", "automaticFunctionCalling", "shouldReturnHttpResponse"}),
}
# Providers of these wires tell what they tell of their reasoning, asked or not.
SHOWN_ANYWAY = {
    "openai_chat": frozenset({"reasoning.summary", "reasoning.generate_summary", "generationConfig.thinkingConfig.includeThoughts"}),
    "bedrock_converse": frozenset({"generationConfig.thinkingConfig.includeThoughts"}),
}
# fields with two names, named by the other one
ALIASES = {"prompt_cache_breakpoint": "cache_control", "generate_summary": "reasoning.summary"}
# what a part of a user's text is not
KINDS = frozenset(
    {
        "thought",
        "thoughtSignature",
        "fileData",
        "functionCall",
        "functionResponse",
        "inlineData",
        "executableCode",
        "codeExecutionResult",
        "toolCall",
        "toolResponse",
    }
)


def _paths() -> Iterator[tuple[str, Path]]:
    """Return every field but those that the plainest request has."""
    elsewhere = {(): {*_named(gemini.GenerationConfig), "thinkingConfig", "imageConfig"}, ("contents", 0, "parts", 0): KINDS}
    for client, place, kind in PLACES:
        at: Any = BASES[client]
        for each in place:
            at = at[each] if isinstance(each, int) else at.get(each, {})
        others = elsewhere.get(place, frozenset()) if client == "gemini" else frozenset()
        yield from ((client, (*place, name)) for name in _named(kind) if name not in others and (name not in at or at[name] == {}))


def _is_within(one: str, other: str) -> bool:
    """Return whether of two fields one is the other, or within it."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def _dotted(path: Path) -> str:
    return ".".join(each for each in path if isinstance(each, str))


def _value(client: str, path: Path) -> Any:
    name = str(path[-1])
    if (client, path) in AT:
        return AT[client, path]
    return 3 if (name in INTEGERS and client != "openai_chat") or name == "top_logprobs" else True if name in FLAGS else VALUES.get(name, "x")


def _asked(client: str, path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a request without a field and the same one with it."""
    without = copy.deepcopy(BASES[client])
    for name, value in WITH.get((client, path), {}).items():
        without[name] = {**without[name], **value} if isinstance(value, dict) and name in without else value
    asked = copy.deepcopy(without)
    at: Any = asked
    for each in path[:-1]:
        at = at[each] if isinstance(each, int) else at.setdefault(each, {})
    at[path[-1]] = _value(client, path)
    return without, asked


@cache
def _composed(client: str, upstream: str, body: bytes) -> tuple[bytes, tuple[str, ...]]:
    speaker, provider = shelf()[client].client, shelf()[upstream].upstream
    assert speaker is not None and provider is not None
    given = fields(body)
    return speak.composed(speaker, provider, speaker.read_ask(given, MODEL, False), UPSTREAM_MODELS[upstream], given)


def _fate(client: str, upstream: str, path: Path) -> str:
    """Return what becomes of a field."""
    without, asked = (orjson.dumps(each) for each in _asked(client, path))
    named, name = _dotted(path), str(path[-1])
    try:
        body, dropped = _composed(client, upstream, asked)
    except WireError as error:
        about = re.sub(r"\[\d+\]|\.\d+(?=\.|$)", "", error.param or "")
        is_named = _is_within(about, named) or about in REFUSED_FIRST.get(named, ())
        return "refused" if error.code == "unsupported_field" and is_named else f"{error.code}: {error.message}"
    plain, _ = _composed(client, upstream, without)
    if body != plain:
        return "carried"
    is_named = any(each in (name, ALIASES.get(name)) or _is_within(each, named) for each in dropped)
    return "dropped" if is_named else "lost"


@pytest.mark.parametrize(("client", "upstream"), pairs())
def test_no_field_is_lost_in_silence(client: str, upstream: str) -> None:
    asked = [path for speaker, path in _paths() if speaker == client and _dotted(path) not in NO_LOSS[client] | SHOWN_ANYWAY.get(upstream, frozenset())]
    told = {path: fate for path in asked if (fate := _fate(client, upstream, path)) not in ("carried", "dropped", "refused")}
    assert told == {}


@pytest.mark.parametrize("client", sorted(BASES))
def test_what_is_called_no_loss_are_fields_of_the_sdk(client: str) -> None:
    assert NO_LOSS[client] - {_dotted(path) for speaker, path in _paths() if speaker == client} == set()
