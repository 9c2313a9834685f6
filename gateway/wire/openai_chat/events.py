"""Writes neutral chunks as the events of a chat completion's stream. Knows nothing about who produced them."""

from typing import Any

import orjson

from gateway.terms import Chunk, ChunkKind, TokensChunk
from gateway.wire import Told, logprobs
from gateway.wire.given import left_out
from gateway.wire.openai_chat.told import CREATED_BY_GATEWAY, annotation, error_event, picture, sealed_detail, signed_call, signed_detail, usage_of

_dumps = orjson.dumps
_TIERS = frozenset(("flex", "priority"))


class ChunkWriter:
    """Writes one stream. After END or ERROR it writes nothing more."""

    __slots__ = ("_closed", "_details", "_head", "_include_usage", "_said", "_signature", "_tail", "_thought", "_untold")

    def __init__(self, told: Told) -> None:
        head = _dumps({"id": CREATED_BY_GATEWAY + told.call_id, "object": "chat.completion.chunk", "created": told.created_at_s, "model": told.model})
        self._head = b"data: " + head[:-1] + b',"choices":['
        self._tail = b'],"usage":null}\n\n' if told.wants_usage else b"]}\n\n"
        self._include_usage = told.wants_usage
        self._closed = False
        # characters said so far, which a citation is about that does not say so itself
        self._said = 0
        # reasoning since the last signature, which is told again with its own
        self._thought: list[str] = []
        self._details = 0
        self._untold: list[str] = []
        self._signature = ("", "")

    def write(self, chunk: Chunk) -> bytes:
        """Return the chunk's event bytes; b"" for what this caller does not get (usage unasked, anything after the end)."""
        if self._closed:
            return b""
        kind = chunk.kind
        if kind is ChunkKind.TEXT:
            self._said += len(chunk.text)
            return self._delta(b'{"content":' + _dumps(chunk.text) + b"}")
        if kind is ChunkKind.TOOL_ARGUMENTS:
            call: dict[str, Any] = {"index": chunk.index, "function": {"arguments": chunk.text}}
            return self._delta(b'{"tool_calls":[' + _dumps(call) + b"]}")
        if kind is ChunkKind.REASONING:
            self._thought.append(chunk.text)
            return self._delta(b'{"reasoning_content":' + _dumps(chunk.text) + b"}") if chunk.text else b""
        if kind is ChunkKind.TOOL_START:
            return self._tool(chunk)
        if kind is ChunkKind.START:
            return self._delta(b'{"role":"assistant","content":""}')
        if kind is ChunkKind.FINISH:
            return self._finish(_dumps(chunk.finish))
        if kind is ChunkKind.PING:
            return b": keep-alive\n\n"
        if kind is ChunkKind.USAGE:
            if not self._include_usage or chunk.usage is None:
                return b""
            tier = b',"service_tier":' + _dumps(chunk.usage.tier) if chunk.usage.tier in _TIERS else b""
            return self._head + b'],"usage":' + _dumps(usage_of(chunk.usage)) + tier + b"}\n\n"
        if kind is ChunkKind.END:
            self._closed = True
            return b"data: [DONE]\n\n"
        return self._seldom(chunk)

    def _seldom(self, chunk: Chunk) -> bytes:
        kind = chunk.kind
        if kind is ChunkKind.REFUSAL:
            return self._delta(b'{"refusal":' + _dumps(chunk.text) + b"}")
        if kind is ChunkKind.SIGNATURE:
            return self._signed(chunk)
        if kind is ChunkKind.REDACTED:
            return self._detail(sealed_detail(self._details, chunk.text, chunk.signed_by))
        if kind is ChunkKind.IMAGE:
            return self._delta(_dumps({"images": [picture(chunk.text)]}))
        if kind is ChunkKind.CITATION and chunk.citation is not None:
            if chunk.citation.url:
                return self._delta(_dumps({"annotations": [annotation(chunk.citation, 0, self._said)]}))
            self._untold.append("citations")
        if isinstance(chunk, TokensChunk):
            told = _dumps({"content": logprobs.written(chunk.tokens), "refusal": None})
            return self._head + b'{"index":0,"delta":{},"logprobs":' + told + b',"finish_reason":null}' + self._tail
        if kind is ChunkKind.UNTOLD:
            self._untold.append(chunk.text)
        if kind is ChunkKind.ERROR:
            self._closed = True
            return error_event(chunk.status or 502, "upstream_error", "api_error", chunk.text, None, chunk.extra or {})
        return b""

    def _tool(self, chunk: Chunk) -> bytes:
        call: dict[str, Any] = {"index": chunk.index, "id": chunk.id, "type": "function", "function": {"name": chunk.name, "arguments": ""}}
        if self._signature[0]:
            call["extra_content"] = signed_call(*self._signature)
            self._signature = ("", "")
        return self._delta(b'{"tool_calls":[' + _dumps(call) + b"]}")

    def _signed(self, chunk: Chunk) -> bytes:
        """Tell signed reasoning whole, so that what the client keeps can go back as it is; without reasoning the next tool call is meant."""
        if not self._thought:
            self._signature = (chunk.text, chunk.signed_by)
            return b""
        text = "".join(self._thought)
        self._thought.clear()
        return self._detail(signed_detail(self._details, text, chunk.text, chunk.signed_by))

    def _detail(self, detail: dict[str, Any]) -> bytes:
        self._details += 1
        return self._delta(_dumps({"reasoning_details": [detail]}))

    def _finish(self, finish: bytes) -> bytes:
        event = self._delta(b"{}", finish)
        return event if not self._untold else event[:-3] + b"," + _dumps(left_out(self._untold))[1:] + b"\n\n"

    def _delta(self, delta: bytes, finish: bytes = b"null") -> bytes:
        return self._head + b'{"index":0,"delta":' + delta + b',"logprobs":null,"finish_reason":' + finish + b"}" + self._tail
