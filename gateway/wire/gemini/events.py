"""Writes neutral chunks as the events of a Gemini stream. Knows nothing about who produced them."""

from typing import Any

import msgspec
import orjson

from gateway.terms import Chunk, ChunkKind, Citation, TokensChunk
from gateway.wire import Told
from gateway.wire.gemini import thoughts
from gateway.wire.gemini.told import FINISHES, arguments, error_event, grounded, logprobs_result, picture, sign_first, usage_metadata
from gateway.wire.given import left_out

# Google's SDKs take a comment for an answer that is no JSON; an empty line is nothing to them.
KEEP_ALIVE = b"\n\n"


class _Call(msgspec.Struct, gc=False):
    """A call that is being told; `signature` as in thoughtSignature."""

    id: str
    name: str
    signature: str
    arguments: list[str]


class ChunkWriter:
    """Writes neutral chunks as GenerateContentResponse events: a tool call whole, the finish with the usage. After END or ERROR it writes nothing."""

    __slots__ = ("_calls", "_citations", "_closed", "_finish", "_plain", "_refused", "_signature", "_tail", "_text", "_thinks", "_untold", "_usage")

    def __init__(self, told: Told) -> None:
        self._tail = b'],"role":"model"},"index":0}],"modelVersion":' + orjson.dumps(told.model) + b',"responseId":' + orjson.dumps(told.call_id) + b"}\n\n"
        # nothing is held back that must be told before the next text
        self._plain = True
        self._closed = self._refused = self._thinks = False
        self._calls: dict[int, _Call] = {}
        # a signature with no reasoning before it: the next call's, if one comes
        self._signature = ""
        self._finish = ""
        self._usage: dict[str, Any] | None = None
        self._citations: list[Citation] = []
        self._text: list[str] = []
        self._untold: list[str] = []

    def write(self, chunk: Chunk) -> bytes:
        """Return the chunk's event bytes; b"" for what this caller does not get, or not yet."""
        if self._closed:
            return b""
        kind = chunk.kind
        if kind is ChunkKind.TEXT:
            self._text.append(chunk.text)
            before = b"" if self._plain else self._held_back()
            return before + b'data: {"candidates":[{"content":{"parts":[{"text":' + orjson.dumps(chunk.text) + b"}" + self._tail
        if kind is ChunkKind.TOOL_ARGUMENTS:
            call = self._calls.get(chunk.index)
            if call is not None:
                call.arguments.append(chunk.text)
            return b""
        if kind is ChunkKind.REASONING:
            before = b"" if self._thinks or self._plain else self._held_back()
            self._thinks, self._plain = True, False
            return before + self._event(b'{"text":' + orjson.dumps(chunk.text) + b',"thought":true}') if chunk.text else before
        return self._rarer(kind, chunk)

    def _rarer(self, kind: ChunkKind, chunk: Chunk) -> bytes:
        if kind is ChunkKind.TOOL_START:
            self._calls[chunk.index] = _Call(chunk.id, chunk.name, self._signature, [])
            self._thinks, self._plain, self._signature = False, False, ""
            return b""
        if kind is ChunkKind.SIGNATURE:
            return self._signed(thoughts.written(chunk.text, chunk.signed_by))
        if kind is ChunkKind.REDACTED:
            return self._held_back() + self._sealed(thoughts.written_redacted(chunk.text, chunk.signed_by))
        if kind is ChunkKind.REFUSAL:
            self._refused = True
            return self._held_back() + self._event(orjson.dumps({"text": chunk.text}))
        if kind is ChunkKind.IMAGE:
            drawn = picture(chunk.text)
            return self._held_back() + self._event(orjson.dumps(drawn)) if drawn is not None else b""
        if kind is ChunkKind.PING:
            return KEEP_ALIVE
        if kind is ChunkKind.END:
            return self._end()
        if kind is ChunkKind.ERROR:
            self._closed = True
            return error_event(chunk.status or 502, "upstream_error", "api_error", chunk.text, None, chunk.extra or {})
        if kind is ChunkKind.CITATION and chunk.citation is not None:
            self._citations.append(chunk.citation)
        elif isinstance(chunk, TokensChunk):
            told = b',"logprobsResult":' + orjson.dumps(logprobs_result(chunk.tokens)) + b',"index":0'
            return b'data: {"candidates":[{"content":{"parts":[{"text":""}' + self._tail.replace(b',"index":0', told, 1)
        elif kind is ChunkKind.UNTOLD:
            self._untold.append(chunk.text)
        elif kind is ChunkKind.USAGE and chunk.usage is not None:
            self._usage = usage_metadata(chunk.usage)
        elif kind is ChunkKind.FINISH:
            self._finish = chunk.finish
            return self._held_back()
        return b""

    def _signed(self, signature: str) -> bytes:
        if self._thinks:
            self._thinks, self._plain = False, not self._calls
            return self._sealed(signature)
        before = self._sealed(self._signature) if self._signature else b""
        self._signature, self._plain = signature, False
        return before

    def _held_back(self) -> bytes:
        """Return what must be told before something new: complete calls, and a signature that no call came for."""
        parts: list[dict[str, Any]] = []
        for call in self._calls.values():
            part: dict[str, Any] = {"functionCall": {"id": call.id, "name": call.name, "args": arguments("".join(call.arguments))}}
            if call.signature:
                part["thoughtSignature"] = call.signature
            parts.append(part)
        sign_first(parts)
        out = self._event(orjson.dumps(parts)[1:-1]) if parts else b""
        if self._signature:
            out += self._sealed(self._signature)
        self._calls.clear()
        self._signature, self._thinks, self._plain = "", False, True
        return out

    def _sealed(self, signature: str) -> bytes:
        return self._event(orjson.dumps({"text": "", "thought": True, "thoughtSignature": signature}))

    def _event(self, parts: bytes) -> bytes:
        return b'data: {"candidates":[{"content":{"parts":[' + parts + self._tail

    def _end(self) -> bytes:
        before = self._held_back()
        self._closed = True
        finish = "SAFETY" if self._refused else FINISHES.get(self._finish or "stop", "OTHER")
        out = before + b'data: {"candidates":[{"finishReason":' + orjson.dumps(finish)
        if self._citations:
            text = "".join(self._text)
            out += b',"groundingMetadata":' + orjson.dumps(grounded([(0, text, one) for one in self._citations]))
        usage = b"" if self._usage is None else b',"usageMetadata":' + orjson.dumps(self._usage)
        if self._untold:
            usage += b"," + orjson.dumps(left_out(self._untold))[1:-1]
        parts, brace, rest = self._tail.partition(b',"modelVersion"')
        # a turn without parts is none for the SDKs' chats
        return out + b',"content":{"parts":[{"text":""}' + parts + usage + brace + rest
