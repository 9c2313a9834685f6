"""Reads streams of servers that speak OpenAI's chat wire as neutral chunks, each with its own habits. Knows nothing about whole answers."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.terms import Chunk, ChunkKind, TokensChunk, Usage
from gateway.wire import WireError, logprobs
from gateway.wire.openai_chat.answer import arguments_of, call_signature, citation_of, finish_of, pictures, text_of, untold_of
from gateway.wire.openai_chat.calls import CallOrder
from gateway.wire.openai_chat.meter import error_message, usage_in
from gateway.wire.openai_chat.turns import REASONING_FIELDS, WIRE_NAME
from gateway.wire.sse import data_of

_NULL = msgspec.Raw(b"null")


class _Delta(msgspec.Struct, frozen=True, gc=False):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    reasoning_details: Any = None
    refusal: Any = None
    tool_calls: Any = None
    annotations: Any = None
    images: Any = None
    audio: Any = None


class _Choice(msgspec.Struct, frozen=True, gc=False):
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: Any = None
    index: Any = 0
    logprobs: Any = None


class _Event(msgspec.Struct, frozen=True, gc=False):
    id: Any = ""
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = _NULL
    error: Any = None
    service_tier: Any = None


_EVENT = msgspec.json.Decoder(_Event)
_START = ChunkKind.START


def tokens_of(told: object) -> list[Chunk]:
    """Return how likely the tokens of an event's text were."""
    tokens = logprobs.read(told.get("content")) if isinstance(told, dict) else ()
    return [TokensChunk(ChunkKind.LOGPROBS, tokens=tokens)] if tokens else []


class ChunkReader:
    """Reads the events of one stream, in order. Usage is told once, right before END, whichever events it came in; after END or ERROR nothing comes."""

    __slots__ = ("_calls", "_closed", "_finished", "_ids", "_order", "_problem", "_reasoning", "_started", "_usage")

    def __init__(self) -> None:
        self._started = self._finished = self._closed = False
        self._usage: Usage | None = None
        self._problem = ""
        # the field reasoning is coming in, until something else comes
        self._reasoning = ""
        # by the vendor's index: our number; by our number: the call's id
        self._calls: dict[object, int] = {}
        self._ids: list[str] = []
        self._order = CallOrder()

    @property
    def usage_so_far(self) -> Usage | None:
        """Tokens reported up to now; most servers report them with the last event alone."""
        return self._usage

    @property
    def problem(self) -> str:
        """Say "usage_invalid" once figures came that nobody can believe."""
        return self._problem

    def feed(self, event: bytes) -> list[Chunk]:
        """Return the chunks a raw event stands for; raises WireError("garbage") when its data is neither an object of this wire nor [DONE]."""
        data = data_of(event).strip()
        if self._closed or not data:
            return []
        if data == b"[DONE]":
            return self._end()
        try:
            read = _EVENT.decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise WireError("garbage", "the provider sent an event that is not JSON of this wire") from None
        if read.error:
            return self._error(data, read.error)
        usage = read.usage
        if usage is not _NULL and bytes(usage) != b"null":
            self._take(usage, read.service_tier)
        chunks: list[Chunk] = []
        for choice in read.choices or ():
            if choice.index == 0 or choice.index is None:
                if not self._started:
                    self._started = True
                    chunks.append(Chunk(kind=_START, id=read.id if isinstance(read.id, str) else ""))
                self._choice(choice, chunks)
        return chunks

    def end(self) -> list[Chunk]:
        """Return the end of a stream that had finished: not every server sends [DONE]. Nothing where it was cut."""
        return self._end() if self._finished and not self._closed else []

    def _end(self) -> list[Chunk]:
        self._closed = True
        chunks: list[Chunk] = []
        if not self._finished:
            self._finish(None, chunks)
        if self._usage is not None:
            chunks.append(Chunk(kind=ChunkKind.USAGE, usage=self._usage))
        chunks.append(Chunk(kind=ChunkKind.END))
        return chunks

    def _take(self, raw: msgspec.Raw, tier: object) -> None:
        """Keep the greatest figures: some servers report them with every event, growing."""
        usage, problem = usage_in(raw, tier)
        if usage is None:
            self._problem = self._problem or problem
        elif self._usage is None or usage.input_tokens + usage.output_tokens >= self._usage.input_tokens + self._usage.output_tokens:
            self._usage = usage

    def _choice(self, choice: _Choice, chunks: list[Chunk]) -> None:
        delta = choice.delta or choice.message
        if delta is not None:
            content = delta.content
            if delta.reasoning_content or delta.reasoning or delta.reasoning_details:
                self._thought(delta, chunks)
            if content:
                text, thought = (content, "") if isinstance(content, str) else text_of(content)
                if thought:
                    chunks.append(Chunk(kind=ChunkKind.REASONING, text=thought))
                if text:
                    self._settle_reasoning(chunks)
                    chunks.append(Chunk(kind=ChunkKind.TEXT, text=text))
            if delta.images or delta.annotations or delta.audio:
                self._beside(delta, chunks)
            if delta.tool_calls:
                self._settle_reasoning(chunks)
                self._tool_calls(delta.tool_calls, chunks)
            if delta.refusal and isinstance(delta.refusal, str):
                self._settle_reasoning(chunks)
                chunks.append(Chunk(kind=ChunkKind.REFUSAL, text=delta.refusal))
        if choice.logprobs:
            chunks += tokens_of(choice.logprobs)
        if choice.finish_reason and not self._finished:
            self._finish(choice.finish_reason, chunks)

    def _beside(self, delta: _Delta, chunks: list[Chunk]) -> None:
        """Read what comes beside a text: pictures, sources, sound."""
        if delta.images:
            self._settle_reasoning(chunks)
            chunks += [Chunk(kind=ChunkKind.IMAGE, text=url) for url in pictures(delta.images)]
        found = [citation for each in delta.annotations if (citation := citation_of(each))] if isinstance(delta.annotations, list) else []
        chunks += [Chunk(kind=ChunkKind.CITATION, citation=citation) for citation in found]
        chunks += [Chunk(kind=ChunkKind.UNTOLD, text=name) for name in untold_of(delta.audio, delta.images, delta.annotations)]

    def _thought(self, delta: _Delta, chunks: list[Chunk]) -> None:
        for field in REASONING_FIELDS:
            text = getattr(delta, field)
            if text and isinstance(text, str):
                self._reasoning = field
                chunks.append(Chunk(kind=ChunkKind.REASONING, text=text))
                break
        for detail in delta.reasoning_details if isinstance(delta.reasoning_details, list) else ():
            if not isinstance(detail, dict):
                continue
            if isinstance(data := detail.get("data"), str) and data:
                self._settle_reasoning(chunks)
                chunks.append(Chunk(kind=ChunkKind.REDACTED, text=data, signed_by=WIRE_NAME))
            elif isinstance(signature := detail.get("signature"), str) and signature:
                if not self._reasoning:
                    text = detail.get("text")
                    chunks.append(Chunk(kind=ChunkKind.REASONING, text=text if isinstance(text, str) else ""))
                self._reasoning = ""
                chunks.append(Chunk(kind=ChunkKind.SIGNATURE, text=signature, signed_by=WIRE_NAME))

    def _settle_reasoning(self, chunks: list[Chunk]) -> None:
        """Close reasoning that no signature closed: what it is given back with is the name of the field it came in."""
        if self._reasoning:
            chunks.append(Chunk(kind=ChunkKind.SIGNATURE, text=self._reasoning, signed_by=WIRE_NAME))
            self._reasoning = ""

    def _tool_calls(self, calls: object, chunks: list[Chunk]) -> None:
        for call in calls if isinstance(calls, list) else ():
            if not isinstance(call, dict):
                raise WireError("garbage", "the provider sent a tool call that is no object")
            function = call.get("function")
            fields: Mapping[str, Any] = function if isinstance(function, dict) else {}
            number = self._number(call, fields, chunks)
            if arguments := arguments_of(fields.get("arguments")):
                chunks += self._order.arguments(number, arguments)

    def _number(self, call: Mapping[str, Any], function: Mapping[str, Any], chunks: list[Chunk]) -> int:
        """Return which call of ours a piece belongs to. Some servers leave the index out, give every call the same one, or repeat the id in every piece."""
        index, given, name = call.get("index"), call.get("id"), function.get("name")
        if isinstance(index, dict | list):
            raise WireError("garbage", "the provider sent a tool call whose index is no number")
        call_id = given if isinstance(given, str) else ""
        known = self._calls.get(index)
        if known is None and index is None and self._ids and not name:
            known = len(self._ids) - 1
        if known is not None and not (call_id and name and call_id != self._ids[known]):
            return known
        number = self._calls[index] = len(self._ids)
        self._ids.append(call_id or f"call_{number}")
        opening = Chunk(kind=ChunkKind.TOOL_START, index=number, id=self._ids[number], name=name if isinstance(name, str) else "")
        signature = call_signature(call)
        signed = (Chunk(kind=ChunkKind.SIGNATURE, text=signature, signed_by=WIRE_NAME),) if signature else ()
        chunks += self._order.start((*signed, opening))
        return number

    def _finish(self, reason: object, chunks: list[Chunk]) -> None:
        self._finished = True
        self._settle_reasoning(chunks)
        chunks += self._order.finish()
        chunks.append(Chunk(kind=ChunkKind.FINISH, finish=finish_of(reason, has_calls=bool(self._ids))))

    def _error(self, data: bytes, error: object) -> list[Chunk]:
        self._closed = True
        code = error.get("code") if isinstance(error, dict) else None
        status = code if isinstance(code, int) and 400 <= code <= 599 else 502
        return [Chunk(kind=ChunkKind.ERROR, text=error_message(data) or "the provider reported an error", status=status)]
