"""Writes answers and errors the way OpenAI's SDKs read them. Knows nothing about who produced them, nor about streams."""

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.terms import Answer, PartKind, Usage
from gateway.wire import Told

CREATED_BY_GATEWAY = "chatcmpl-"


def write_answer(answer: Answer, told: Told) -> bytes:
    """Return a chat.completion naming the caller's model; the call's own moment stands in when the vendor gave none."""
    text = _joined(answer, PartKind.TEXT)
    calls = [part for part in answer.parts if part.kind is PartKind.TOOL_CALL]
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": _joined(answer, PartKind.REFUSAL)}
    reasoning = _joined(answer, PartKind.REASONING)
    if reasoning is not None:
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = [{"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.text}} for call in calls]
    elif text is None and message["refusal"] is None:
        message["content"] = ""
    body: dict[str, Any] = {
        "id": answer.id if answer.id.startswith(CREATED_BY_GATEWAY) else CREATED_BY_GATEWAY + answer.id,
        "object": "chat.completion",
        "created": answer.created_at_s or told.created_at_s,
        "model": told.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish}],
    }
    if answer.usage is not None:
        body["usage"] = usage_of(answer.usage)
    if answer.service_tier:
        body["service_tier"] = answer.service_tier
    return orjson.dumps(body)


def _joined(answer: Answer, kind: PartKind) -> str | None:
    texts = [part.text for part in answer.parts if part.kind is kind and part.text]
    return "".join(texts) if texts else None


def usage_of(usage: Usage) -> dict[str, Any]:
    """Return tokens as OpenAI counts them."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "audio_tokens": usage.audio_input_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens, "audio_tokens": usage.audio_output_tokens},
    }


def error_body(status: int, code: str, kind: str, message: str, param: str | None, sgw: Mapping[str, Any]) -> bytes:
    """Return an error the OpenAI SDKs understand, our own detail under `error.sgw`."""
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code, "sgw": {"status": status, **sgw}}})


def error_event(status: int, code: str, kind: str, message: str, param: str | None, sgw: Mapping[str, Any]) -> bytes:
    """Return the same error as one stream event; nothing may follow it."""
    return b"data: " + error_body(status, code, kind, message, param, sgw) + b"\n\n"
