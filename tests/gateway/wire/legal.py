"""What the vendors themselves say is legal: their SDKs' types, and the shapes of AWS, for requests we write and answers we tell."""

import base64
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import anthropic.types as claude
from botocore.session import Session
from botocore.validate import ParamValidator
from google.genai import _common
from google.genai import types as gemini
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming, CompletionCreateParamsStreaming
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming, ResponseCreateParamsStreaming
from pydantic import TypeAdapter

from tests.gateway.wire.strictly import adapter

# what we add on purpose to answers in OpenAI's shape, as other vendors of that wire do
OURS = frozenset({"reasoning_content", "reasoning_details", "extra_content"})

SAMPLING = frozenset({"temperature", "top_p", "top_k"})


def request(wire: str, body: dict[str, Any]) -> None:
    """Raise ValidationError unless a request is one its vendor describes."""
    REQUESTS[wire](body)


def answer(wire: str, body: dict[str, Any]) -> None:
    """Raise ValidationError unless an answer is one that the wire's SDK describes."""
    ANSWERS[wire](body)


def event(wire: str, data: object) -> None:
    """Raise ValidationError unless an event of a stream is one that the wire's SDK describes; comments, pings and errors have no type there."""
    if isinstance(data, dict) and "error" not in data and data.get("type") not in ("error", "ping"):
        EVENTS[wire](data)


def output_limit(wire: str, body: dict[str, Any]) -> int | None:
    """Return the output limit of a request."""
    limit: int | None = LIMITS[wire](body)
    return limit


def _chat_request(body: dict[str, Any]) -> None:
    kind = CompletionCreateParamsStreaming if body.get("stream") else CompletionCreateParamsNonStreaming
    adapter(kind).validate_python(_without_ours(body))


def _claude_request(body: dict[str, Any]) -> None:
    from anthropic.types.message_create_params import MessageCreateParamsNonStreaming, MessageCreateParamsStreaming

    # the SDK speaks a later version of the API, which took these away; the one we ask with has them
    known = {name: value for name, value in body.items() if name not in SAMPLING}
    adapter(MessageCreateParamsStreaming if body.get("stream") else MessageCreateParamsNonStreaming).validate_python(known)


def _responses_request(body: dict[str, Any]) -> None:
    adapter(ResponseCreateParamsStreaming if body.get("stream") else ResponseCreateParamsNonStreaming).validate_python(body)


def _without_ours(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_ours(one) for name, one in value.items() if name not in OURS}
    return [_without_ours(one) for one in value] if isinstance(value, list) else value


class _GeminiConfig(gemini.GenerationConfig):
    """With what the SDK keeps elsewhere."""

    thinking_config: gemini.ThinkingConfig | None = None


class _GeminiRequest(_common.BaseModel):
    """The body of generateContent, which Google's SDK puts together of these types and has no type for."""

    contents: list[gemini.Content]
    system_instruction: gemini.Content | None = None
    tools: list[gemini.Tool] | None = None
    tool_config: gemini.ToolConfig | None = None
    generation_config: _GeminiConfig | None = None
    service_tier: gemini.ServiceTier | None = None


def _gemini_request(body: dict[str, Any]) -> None:
    _GeminiRequest.model_validate(body)


def without_left_out(data: dict[str, Any]) -> dict[str, Any]:
    """Return an event without what we say of parts that are left out; the SDKs themselves keep or skip members they do not know."""
    return {name: value for name, value in data.items() if name != "sgw"}


@cache
def _converse() -> Any:
    return Session().get_service_model("bedrock-runtime").operation_model("Converse").input_shape


def _converse_request(body: dict[str, Any]) -> None:
    report = ParamValidator().validate({"modelId": "the path says", **_with_blobs(body, _converse())}, _converse())
    if report.has_errors():
        raise ValueError(report.generate_report())
    _within_enums(body, _converse())


def _with_blobs(value: Any, shape: Any) -> Any:
    """Return a body with its base64 as the bytes that AWS's SDK is given. Raises ValueError."""
    if shape.type_name == "blob":
        return base64.b64decode(value, validate=True)
    if shape.type_name == "list":
        return [_with_blobs(one, shape.member) for one in value]
    if shape.type_name == "structure" and not shape.is_document_type:
        return {name: _with_blobs(one, shape.members[name]) if name in shape.members else one for name, one in value.items()}
    return value


def _within_enums(value: Any, shape: Any) -> None:
    """Raise ValueError for words and patterns that AWS does not know, which its SDK leaves to the service, and for blocks that are not one kind."""
    if shape.type_name == "string":
        pattern = shape.metadata.get("pattern")
        if (shape.enum and value not in shape.enum) or (pattern and not re.fullmatch(pattern, value)):
            raise ValueError(f"{shape.name}: {value}")
    elif shape.type_name == "list":
        for one in value:
            _within_enums(one, shape.member)
    elif shape.type_name == "map":
        for name, one in value.items():
            _within_enums(name, shape.key)
            _within_enums(one, shape.value)
    elif shape.type_name == "structure" and not shape.is_document_type:
        if shape.is_tagged_union and len(value) != 1:
            raise ValueError(f"{shape.name}: {sorted(value)}")
        for name, one in value.items():
            _within_enums(one, shape.members[name])


Check = Callable[[dict[str, Any]], Any]
REQUESTS: dict[str, Check] = {
    "openai_chat": _chat_request,
    "openai_responses": _responses_request,
    "anthropic_messages": _claude_request,
    "gemini": _gemini_request,
    "bedrock_converse": _converse_request,
}
ANSWERS: dict[str, Check] = {
    "openai_chat": lambda body: ChatCompletion.model_validate(body, strict=True),
    "openai_responses": lambda body: Response.model_validate(body, strict=True),
    "anthropic_messages": lambda body: claude.Message.model_validate(body, strict=True),
    "gemini": gemini.GenerateContentResponse.model_validate,
}
EVENTS: dict[str, Check] = {
    "openai_chat": lambda data: ChatCompletionChunk.model_validate(data, strict=True),
    "openai_responses": TypeAdapter(ResponseStreamEvent).validate_python,
    "anthropic_messages": lambda data: adapter(claude.RawMessageStreamEvent).validate_python(without_left_out(data)),
    "gemini": lambda data: gemini.GenerateContentResponse.model_validate(without_left_out(data)),
}
LIMITS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "openai_chat": lambda body: body.get("max_completion_tokens", body.get("max_tokens")),
    "openai_responses": lambda body: body.get("max_output_tokens"),
    "anthropic_messages": lambda body: body["max_tokens"],
    "gemini": lambda body: body.get("generationConfig", {}).get("maxOutputTokens"),
    "bedrock_converse": lambda body: body.get("inferenceConfig", {}).get("maxTokens"),
}
