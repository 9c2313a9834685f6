"""Writes answers, stream chunks and errors the way OpenAI's SDKs read them. Knows nothing about who produced them."""

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.terms import Answer, Chunk, ChunkKind, PartKind, Usage
from gateway.wire import Told

_CREATED_BY_GATEWAY = "chatcmpl-"


def write_answer(answer: Answer, told: Told) -> bytes:
    """Return a chat.completion naming the caller's model; the call's own moment stands in when the vendor gave none."""
    text = _joined(answer, PartKind.TEXT)
    calls = [part for part in answer.parts if part.kind is PartKind.TOOL_CALL]
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": _joined(answer, PartKind.REFUSAL)}
    reasoning = _joined(answer, PartKind.REASONING)
    if reasoning is not None:
        message["reasoning_content"] = reasoning
    if calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.text}} for call in calls
        ]
    elif text is None and message["refusal"] is None:
        message["content"] = ""
    body: dict[str, Any] = {
        "id": answer.id if answer.id.startswith(_CREATED_BY_GATEWAY) else _CREATED_BY_GATEWAY + answer.id,
        "object": "chat.completion",
        "created": answer.created_at_s or told.created_at_s,
        "model": told.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish}],
    }
    if answer.usage is not None:
        body["usage"] = _usage(answer.usage)
    if answer.service_tier:
        body["service_tier"] = answer.service_tier
    return orjson.dumps(body)


def _joined(answer: Answer, kind: PartKind) -> str | None:
    texts = [part.text for part in answer.parts if part.kind is kind and part.text]
    return "".join(texts) if texts else None


def _usage(usage: Usage) -> dict[str, Any]:
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


class ChunkWriter:
    """Writes neutral chunks as chat.completion.chunk events. After END or ERROR it writes nothing more."""

    __slots__ = ("_closed", "_head", "_include_usage", "_tail")

    def __init__(self, told: Told) -> None:
        head = orjson.dumps({"id": _CREATED_BY_GATEWAY + told.call_id, "object": "chat.completion.chunk", "created": told.created_at_s, "model": told.model})
        self._head = b"data: " + head[:-1] + b',"choices":['
        self._tail = b'],"usage":null}\n\n' if told.wants_usage else b"]}\n\n"
        self._include_usage = told.wants_usage
        self._closed = False

    def write(self, chunk: Chunk) -> bytes:
        """Return the chunk's event bytes; b"" for what this caller does not get (usage unasked, anything after the end)."""
        if self._closed:
            return b""
        kind = chunk.kind
        if kind is ChunkKind.TEXT:
            return self._delta(b'{"content":' + orjson.dumps(chunk.text) + b"}")
        if kind is ChunkKind.TOOL_ARGUMENTS:
            call: dict[str, Any] = {"index": chunk.index, "function": {"arguments": chunk.text}}
            return self._delta(b'{"tool_calls":[' + orjson.dumps(call) + b"]}")
        if kind is ChunkKind.REASONING:
            return self._delta(b'{"reasoning_content":' + orjson.dumps(chunk.text) + b"}")
        if kind is ChunkKind.TOOL_START:
            call = {"index": chunk.index, "id": chunk.id, "type": "function", "function": {"name": chunk.name, "arguments": ""}}
            return self._delta(b'{"tool_calls":[' + orjson.dumps(call) + b"]}")
        if kind is ChunkKind.START:
            return self._delta(b'{"role":"assistant","content":""}')
        if kind is ChunkKind.FINISH:
            return self._delta(b"{}", orjson.dumps(chunk.finish))
        if kind is ChunkKind.PING:
            return b": keep-alive\n\n"
        if kind is ChunkKind.USAGE:
            if not self._include_usage or chunk.usage is None:
                return b""
            return self._head + b'],"usage":' + orjson.dumps(_usage(chunk.usage)) + b"}\n\n"
        if kind is ChunkKind.END:
            self._closed = True
            return b"data: [DONE]\n\n"
        if kind is not ChunkKind.ERROR:
            return b""
        self._closed = True
        return error_event(chunk.status or 502, "upstream_error", "api_error", chunk.text, None, chunk.extra or {})

    def _delta(self, delta: bytes, finish: bytes = b"null") -> bytes:
        return self._head + b'{"index":0,"delta":' + delta + b',"logprobs":null,"finish_reason":' + finish + b"}" + self._tail


def error_body(status: int, code: str, kind: str, message: str, param: str | None, sgw: Mapping[str, Any]) -> bytes:
    """Return an error the OpenAI SDKs understand, our own detail under `error.sgw`."""
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code, "sgw": {"status": status, **sgw}}})


def error_event(status: int, code: str, kind: str, message: str, param: str | None, sgw: Mapping[str, Any]) -> bytes:
    """Return the same error as one stream event; nothing may follow it."""
    return b"data: " + error_body(status, code, kind, message, param, sgw) + b"\n\n"
