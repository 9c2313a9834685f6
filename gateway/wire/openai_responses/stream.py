"""Reads streams of the Responses API as neutral chunks, event by event. Knows nothing about whole answers."""

from typing import Any

import msgspec

from gateway.terms import Chunk, ChunkKind, Part, PartKind, TokensChunk, Usage
from gateway.wire import WireError, logprobs
from gateway.wire.openai_responses.answer import (
    KNOWN,
    NULL,
    Annotation,
    Item,
    Reason,
    VendorError,
    believed,
    citation_of,
    finish_of,
    parts_of,
    signature_of,
    with_searches,
)
from gateway.wire.openai_responses.reasoning import NAME
from gateway.wire.sse import data_of

# what each error would have been as a status; everything else is the vendor's failure
_STATUS = {"rate_limit_exceeded": 429, "insufficient_quota": 429, "invalid_prompt": 400, "context_length_exceeded": 400, "invalid_request_error": 400}


class _Response(msgspec.Struct, frozen=True, gc=False):
    id: str = ""
    output: msgspec.Raw = NULL
    usage: msgspec.Raw = NULL
    service_tier: str | None = None
    incomplete_details: Reason | None = None
    error: VendorError | None = None


class _Event(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    delta: str | None = None
    logprobs: tuple[Any, ...] | None = None
    output_index: int = 0
    summary_index: int = 0
    content_index: int = 0
    arguments: str | None = None
    item: Item | None = None
    response: _Response | None = None
    annotation: Annotation | None = None
    code: str | None = None
    message: str | None = None
    error: VendorError | None = None


class _OpenTool(msgspec.Struct, gc=False):
    ordinal: int
    has_arguments: bool = False


_EVENT = msgspec.json.Decoder(_Event)
_ITEMS = msgspec.json.Decoder(list[Item] | None)
_WHOLE = {PartKind.REFUSAL: ChunkKind.REFUSAL, PartKind.REASONING: ChunkKind.REASONING, PartKind.REDACTED: ChunkKind.REDACTED}
_GARBLED = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
_NO_PAGE = Chunk(kind=ChunkKind.UNTOLD, text="annotations")
_TEXTS = {
    "response.output_text.delta": ChunkKind.TEXT,
    "response.refusal.delta": ChunkKind.REFUSAL,
    "response.reasoning_summary_text.delta": ChunkKind.REASONING,
    "response.reasoning_text.delta": ChunkKind.REASONING,
}
# open models' servers number the parts of reasoning by content_index, OpenAI those of its summary by summary_index
_ADDED = frozenset({"response.reasoning_summary_part.added", "response.reasoning_part.added"})


class ChunkReader:
    """Reads the events of one stream, in order. FINISH, USAGE and END come with the response's last event; after END or ERROR nothing comes."""

    __slots__ = ("_calls", "_closed", "_has_items", "_is_thought", "_problem", "_said", "_started", "_thought", "_tools", "_usage")

    def __init__(self) -> None:
        self._started = self._closed = False
        # what of the item under way came in pieces: by order, for servers number items as they like
        self._said: set[ChunkKind] = set()
        self._is_thought = False
        self._has_items = False
        self._tools: dict[int, _OpenTool] = {}
        self._calls = 0
        # the item whose reasoning was read: what is encrypted at its end proves it
        self._thought = -1
        self._usage: Usage | None = None
        self._problem = ""

    @property
    def usage_so_far(self) -> Usage | None:
        """Return nothing before the end: usage comes with it."""
        return self._usage

    @property
    def problem(self) -> str:
        """Say what is wrong with the figures that came."""
        return self._problem

    def feed(self, event: bytes) -> list[Chunk]:
        """Return the chunks a raw event stands for; raises WireError("garbage") when its data is not a JSON object."""
        data = data_of(event)
        if self._closed or not data.strip():
            return []
        try:
            read = _EVENT.decode(data)
        except _GARBLED:
            if data.strip() == b"[DONE]":  # some servers of this wire end with it all the same
                return []
            raise WireError("garbage", "the provider sent an event that is not JSON of this wire") from None
        kind = read.type
        said = _TEXTS.get(kind)
        if said is not None:
            if said is ChunkKind.REASONING:
                self._thought = read.output_index
                self._is_thought = True
            else:
                self._said.add(said)
            chunks = [Chunk(kind=said, text=read.delta)] if read.delta else []
            if not read.logprobs:
                return chunks
            self._said.add(ChunkKind.LOGPROBS)
            return [*chunks, TokensChunk(ChunkKind.LOGPROBS, tokens=logprobs.read(list(read.logprobs)))]
        if kind == "response.function_call_arguments.delta":
            tool = self._tools.get(read.output_index)
            if tool is None or not read.delta:
                return []
            tool.has_arguments = True
            return [Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=tool.ordinal, text=read.delta)]
        return self._structure(kind, read)

    def end(self) -> list[Chunk]:
        """Return nothing: a stream without its last event was cut."""
        return []

    def _structure(self, kind: str, read: _Event) -> list[Chunk]:
        if kind == "response.output_item.added":
            return self._item_added(read)
        if kind == "response.output_item.done":
            return self._item_done(read)
        if kind == "response.created":
            if self._started:
                return []
            self._started = True
            return [Chunk(kind=ChunkKind.START, id=read.response.id if read.response else "")]
        if kind in ("response.completed", "response.incomplete"):
            return self._finish(read.response or _Response())
        if kind == "response.failed":
            return self._fail(read.response or _Response())
        if kind == "error":
            return self._error(read.error or VendorError(code=read.code, message=read.message))
        if kind in _ADDED and self._thought == read.output_index and (read.summary_index or read.content_index):
            return [Chunk(kind=ChunkKind.REASONING, text="\n\n")]
        if kind == "response.output_text.annotation.added" and read.annotation is not None:
            self._said.add(ChunkKind.CITATION)
            return [Chunk(kind=ChunkKind.CITATION, citation=citation_of(read.annotation)) if read.annotation.url else _NO_PAGE]
        return [Chunk(kind=ChunkKind.PING)] if kind == "keepalive" else []

    def _item_added(self, read: _Event) -> list[Chunk]:
        item = read.item
        if item is None or item.type != "function_call":
            return []
        tool = self._tools[read.output_index] = _OpenTool(self._calls)
        self._calls += 1
        start = Chunk(kind=ChunkKind.TOOL_START, index=tool.ordinal, id=item.call_id or "", name=item.name or "")
        return [start, *self._arguments(tool, item.arguments)]

    def _arguments(self, tool: _OpenTool, text: str | None) -> list[Chunk]:
        """Return arguments that came whole, unless they came before."""
        if tool.has_arguments or not text:
            return []
        tool.has_arguments = True
        return [Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=tool.ordinal, text=text)]

    def _item_done(self, read: _Event) -> list[Chunk]:
        self._has_items = True
        item = read.item
        if item is None:
            return []
        if item.type == "function_call":
            tool = self._tools.get(read.output_index)
            chunks = [] if tool is not None else self._item_added(read)
            # a function without parameters gets no delta; "" would not be JSON for the caller
            return chunks + self._arguments(self._tools[read.output_index], item.arguments or "{}")
        if item.type not in KNOWN:
            return [Chunk(kind=ChunkKind.UNTOLD, text=item.type)]
        if item.type == "message":
            said, self._said = self._said, set()
            return [chunk for chunk in _message(item) if (ChunkKind.CITATION if chunk is _NO_PAGE else chunk.kind) not in said]
        came, self._is_thought = self._is_thought, False
        if not came:
            return _whole(item)
        if not item.encrypted_content:
            return []
        kind = ChunkKind.SIGNATURE if self._thought == read.output_index else ChunkKind.REDACTED
        return [Chunk(kind=kind, text=signature_of(item), signed_by=NAME)]

    def _finish(self, response: _Response) -> list[Chunk]:
        self._closed = True
        came = [] if self._has_items or self._calls or self._said or self._is_thought else self._all_at_once(response.output)
        chunks = [*came, Chunk(kind=ChunkKind.FINISH, finish=finish_of(response.incomplete_details, has_calls=self._calls > 0))]
        return [*chunks, *self._take_usage(response), Chunk(kind=ChunkKind.END)]

    def _all_at_once(self, output: msgspec.Raw) -> list[Chunk]:
        """Return the items of a stream that told of none before its last event."""
        try:
            items = _ITEMS.decode(output) or []
        except _GARBLED:
            raise WireError("garbage", "the provider sent an event that is not JSON of this wire") from None
        return [chunk for index, item in enumerate(items) for chunk in self._item_done(_Event(item=item, output_index=index))]

    def _take_usage(self, response: _Response) -> list[Chunk]:
        self._usage, self._problem = with_searches(*believed(response.usage, response.service_tier), response.output)
        return [Chunk(kind=ChunkKind.USAGE, usage=self._usage)] if self._usage is not None else []

    def _fail(self, response: _Response) -> list[Chunk]:
        usage = self._take_usage(response)
        return [*usage, *self._error(response.error or VendorError())]

    def _error(self, error: VendorError) -> list[Chunk]:
        self._closed = True
        code = error.code or error.type or ""
        words = error.message or code or "the provider reported an error"
        return [Chunk(kind=ChunkKind.ERROR, text=words[:2000], name=code, status=_STATUS.get(code, 502))]


def _whole(item: Item) -> list[Chunk]:
    """Return what an item says that came in one piece."""
    return [chunk for part in parts_of(item) if part.text for chunk in _whole_part(part)]


def _message(item: Item) -> list[Chunk]:
    """Return what a message in one piece says, names and counts: words, sources, probabilities."""
    tokens = tuple(one for words in item.content or () if words.logprobs for one in logprobs.read(words.logprobs))
    has_other_sources = any(not each.url for words in item.content or () for each in words.annotations or ())
    return [*_whole(item), *([_NO_PAGE] if has_other_sources else []), *([TokensChunk(ChunkKind.LOGPROBS, tokens=tokens)] if tokens else [])]


def _whole_part(part: Part) -> list[Chunk]:
    chunks = [Chunk(kind=_WHOLE.get(part.kind, ChunkKind.TEXT), text=part.text, signed_by=part.signed_by if part.kind is PartKind.REDACTED else "")]
    if part.signature:
        chunks.append(Chunk(kind=ChunkKind.SIGNATURE, text=part.signature, signed_by=part.signed_by))
    return [*chunks, *(Chunk(kind=ChunkKind.CITATION, citation=one) for one in part.citations)]
