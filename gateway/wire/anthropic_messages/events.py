"""Writes neutral chunks as the events of a Messages stream: message_start, blocks one after another, message_delta, message_stop."""

import orjson

from gateway.terms import Chunk, ChunkKind, Usage
from gateway.wire import Told, signatures
from gateway.wire.anthropic_messages.blocks import WIRE_NAME
from gateway.wire.anthropic_messages.told import (
    TIERS,
    citation_of,
    envelope,
    error_event,
    message_id,
    redacted,
    sealed_call,
    stop_details,
    stop_reason,
    usage_of,
)
from gateway.wire.given import left_out

_START = b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":%b}\n\n'
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":%b}\n\n'
_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_END = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_TEXT = b'{"type":"text","text":""}'
_THINKING = b'{"type":"thinking","thinking":"","signature":""}'
_NOTHING_YET = {"input_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0}
_dumps = orjson.dumps


class ChunkWriter:
    """Writes one stream. One block is open at a time; usage is told with message_delta, right before the end. After END or ERROR it writes nothing more."""

    __slots__ = ("_closed", "_finish", "_index", "_is_refusal", "_open", "_signature", "_started", "_stop_sequence", "_told", "_tools", "_untold", "_usage")

    def __init__(self, told: Told) -> None:
        self._told = told
        self._index = -1
        self._open: ChunkKind | None = None
        self._tools: dict[int, int] = {}
        self._signature = ("", "")
        self._untold: list[str] = []
        self._usage: Usage | None = None
        self._finish = "stop"
        self._stop_sequence = ""
        self._is_refusal = self._started = self._closed = False

    def write(self, chunk: Chunk) -> bytes:
        """Return the chunk's event bytes; b"" for what waits for the end, and for anything after it."""
        if self._closed:
            return b""
        kind = chunk.kind
        if kind is ChunkKind.TEXT:
            return self._text(chunk.text) if chunk.text else b""
        if kind is ChunkKind.TOOL_ARGUMENTS:
            # by the call's own block: a vendor may come back to an earlier call
            at = self._tools.get(chunk.index)
            return _DELTA % (at, b'{"type":"input_json_delta","partial_json":%b}' % _dumps(chunk.text)) if at is not None else b""
        if kind is ChunkKind.REASONING:
            before = b"" if self._open is kind else self._begin(kind, _THINKING)
            return before + _DELTA % (self._index, b'{"type":"thinking_delta","thinking":%b}' % _dumps(chunk.text)) if chunk.text else before
        if kind is ChunkKind.START:
            return self._start(chunk.id)
        if kind is ChunkKind.FINISH:
            self._finish, self._stop_sequence = chunk.finish, chunk.stop_sequence
            return b""
        if kind is ChunkKind.USAGE:
            self._usage = chunk.usage
            return b""
        if kind is ChunkKind.END:
            return self._end()
        if kind is ChunkKind.PING:
            return _PING
        return self._seldom(chunk)

    def _seldom(self, chunk: Chunk) -> bytes:
        kind = chunk.kind
        if kind is ChunkKind.TOOL_START:
            return self._tool(chunk)
        if kind is ChunkKind.SIGNATURE:
            return self._signed(chunk)
        if kind is ChunkKind.REDACTED:
            return self._begin(kind, _dumps(redacted(chunk.text, chunk.signed_by))) + self._stop()
        if kind is ChunkKind.REFUSAL:
            self._is_refusal = True
            return self._text(chunk.text) if chunk.text else b""
        if kind is ChunkKind.CITATION and chunk.citation is not None:
            before = b"" if self._open is ChunkKind.TEXT else self._begin(ChunkKind.TEXT, _TEXT)
            return before + _DELTA % (self._index, _dumps({"type": "citations_delta", "citation": citation_of(chunk.citation)}))
        if kind is ChunkKind.IMAGE or kind is ChunkKind.UNTOLD:
            self._untold.append(chunk.text if kind is ChunkKind.UNTOLD else "images")
            return b""
        if kind is ChunkKind.ERROR:
            self._closed = True
            return error_event(chunk.status or 502, "upstream_error", "api_error", chunk.text, None, chunk.extra or {})
        return b""

    def _start(self, vendors_id: str) -> bytes:
        if self._started:
            return b""
        self._started = True
        message = {**envelope(message_id(vendors_id, self._told), self._told.model), "usage": {**_NOTHING_YET, "service_tier": None}}
        return b"event: message_start\ndata: " + _dumps({"type": "message_start", "message": message}) + b"\n\n"

    def _text(self, text: str) -> bytes:
        delta = b'{"type":"text_delta","text":%b}' % _dumps(text)
        if self._open is ChunkKind.TEXT:
            return _DELTA % (self._index, delta)
        return self._begin(ChunkKind.TEXT, _TEXT) + _DELTA % (self._index, delta)

    def _begin(self, kind: ChunkKind, block: bytes) -> bytes:
        before = (b"" if self._started else self._start("")) + self._stop()
        self._index += 1
        self._open = kind
        return before + _START % (self._index, block)

    def _stop(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        return _STOP % self._index

    def _tool(self, chunk: Chunk) -> bytes:
        signature, signed_by = self._signature
        before = b""
        if signature:
            self._signature = ("", "")
            before = self._begin(ChunkKind.REDACTED, _dumps(sealed_call(signature, signed_by)))
        before += self._begin(ChunkKind.TOOL_START, _dumps({"type": "tool_use", "id": chunk.id, "name": chunk.name, "input": {}}))
        self._tools[chunk.index] = self._index
        return before

    def _signed(self, chunk: Chunk) -> bytes:
        if self._open is not ChunkKind.REASONING:
            self._signature = (chunk.text, chunk.signed_by)
            return b""
        told = signatures.told(chunk.text, chunk.signed_by, WIRE_NAME)
        return _DELTA % (self._index, b'{"type":"signature_delta","signature":%b}' % _dumps(told)) + self._stop()

    def _end(self) -> bytes:
        self._closed = True
        before = (b"" if self._started else self._start("")) + self._stop()
        reason = stop_reason(self._finish, self._stop_sequence, is_refusal=self._is_refusal)
        delta = {"stop_reason": reason, "stop_sequence": self._stop_sequence or None, "stop_details": stop_details(reason), "container": None}
        usage = usage_of(self._usage or Usage())
        if self._usage is not None and self._usage.tier:
            usage["service_tier"] = TIERS.get(self._usage.tier)
        last = {"type": "message_delta", "delta": delta, "usage": usage, **left_out(self._untold)}
        return before + b"event: message_delta\ndata: " + _dumps(last) + b"\n\n" + _END
