"""Writes answers and streams of legacy completions: text and its end, nothing else. Knows nothing about who produced them."""

from typing import Any

import orjson

from gateway.terms import Answer, Chunk, ChunkKind, Part, PartKind, Usage
from gateway.wire import Told
from gateway.wire.given import left_out
from gateway.wire.openai_chat.told import error_event, usage_of

_PREFIX = "cmpl-"
_TEXTS = (PartKind.TEXT, PartKind.REFUSAL)
_UNTOLD = {ChunkKind.IMAGE: "images", ChunkKind.CITATION: "citations", ChunkKind.REASONING: "reasoning"}
_FINISHES = frozenset(("stop", "length", "content_filter"))


def _finish(finish: str) -> str:
    return finish if finish in _FINISHES else "stop"


def _head(told: Told) -> dict[str, Any]:
    return {"id": _PREFIX + told.call_id, "object": "text_completion", "created": told.created_at_s, "model": told.model}


def write_answer(answer: Answer, told: Told) -> bytes:
    """Return a text_completion naming the caller's model."""
    text = "".join(part.text for part in answer.parts if part.kind in _TEXTS)
    body = {**_head(told), "choices": [{"text": text, "index": 0, "logprobs": None, "finish_reason": _finish(answer.finish)}]}
    if answer.usage is not None:
        body["usage"] = usage_of(answer.usage)
    return orjson.dumps(body)


def untold(answer: Answer) -> tuple[str, ...]:
    """Return what of an answer has no place on this wire: what the model thought, pictures and citations."""
    found = {"images" if part.kind is PartKind.IMAGE else "reasoning" for part in answer.parts if part.kind is PartKind.IMAGE or _is_thought(part)}
    return tuple(sorted(found | {"citations" for part in answer.parts if part.citations}))


def _is_thought(part: Part) -> bool:
    return part.kind is PartKind.REASONING and bool(part.text)


class ChunkWriter:
    """Writes one stream. After END or ERROR it writes nothing more."""

    __slots__ = ("_closed", "_head", "_untold", "_wants_usage")

    def __init__(self, told: Told) -> None:
        self._head = b"data: " + orjson.dumps(_head(told))[:-1] + b',"choices":['
        self._wants_usage = told.wants_usage
        self._closed = False
        self._untold: dict[str, None] = {}

    def write(self, chunk: Chunk) -> bytes:
        """Return the chunk's event bytes; b"" for what this caller does not get."""
        if self._closed:
            return b""
        kind = chunk.kind
        if kind is ChunkKind.TEXT or kind is ChunkKind.REFUSAL:
            return self._said(orjson.dumps(chunk.text), b"null")
        if kind is ChunkKind.FINISH:
            event = self._said(b'""', orjson.dumps(_finish(chunk.finish)))
            return event if not self._untold else event[:-3] + b"," + orjson.dumps(left_out(self._untold))[1:] + b"\n\n"
        if kind in _UNTOLD or kind is ChunkKind.UNTOLD:
            self._untold[_UNTOLD.get(kind, chunk.text)] = None
            return b""
        if kind is ChunkKind.USAGE:
            return self._usage(chunk.usage) if self._wants_usage and chunk.usage is not None else b""
        if kind is ChunkKind.PING:
            return b": keep-alive\n\n"
        if kind is ChunkKind.END:
            self._closed = True
            return b"data: [DONE]\n\n"
        if kind is not ChunkKind.ERROR:
            return b""
        self._closed = True
        return error_event(chunk.status or 502, "upstream_error", "api_error", chunk.text, None, chunk.extra or {})

    def _said(self, text: bytes, finish: bytes) -> bytes:
        tail = b'],"usage":null}\n\n' if self._wants_usage else b"]}\n\n"
        return self._head + b'{"text":' + text + b',"index":0,"logprobs":null,"finish_reason":' + finish + b"}" + tail

    def _usage(self, usage: Usage) -> bytes:
        return self._head + b'],"usage":' + orjson.dumps(usage_of(usage)) + b"}\n\n"
