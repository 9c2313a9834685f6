"""Writes neutral chunks as the events of a chat completion's stream. Knows nothing about who produced them."""

from typing import Any

import orjson

from gateway.terms import Chunk, ChunkKind
from gateway.wire import Told
from gateway.wire.openai_chat.told import CREATED_BY_GATEWAY, error_event, usage_of


class ChunkWriter:
    """Writes neutral chunks as chat.completion.chunk events. After END or ERROR it writes nothing more."""

    __slots__ = ("_closed", "_head", "_include_usage", "_tail")

    def __init__(self, told: Told) -> None:
        head = orjson.dumps({"id": CREATED_BY_GATEWAY + told.call_id, "object": "chat.completion.chunk", "created": told.created_at_s, "model": told.model})
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
            return self._head + b'],"usage":' + orjson.dumps(usage_of(chunk.usage)) + b"}\n\n"
        if kind is ChunkKind.END:
            self._closed = True
            return b"data: [DONE]\n\n"
        if kind is not ChunkKind.ERROR:
            return b""
        self._closed = True
        return error_event(chunk.status or 502, "upstream_error", "api_error", chunk.text, None, chunk.extra or {})

    def _delta(self, delta: bytes, finish: bytes = b"null") -> bytes:
        return self._head + b'{"index":0,"delta":' + delta + b',"logprobs":null,"finish_reason":' + finish + b"}" + self._tail
