"""Reads streams of Bedrock's ConverseStream as neutral chunks, frame by frame. Knows nothing about whole answers."""

from typing import Any

import msgspec

from gateway.terms import Chunk, ChunkKind, Usage
from gateway.wire import WireError
from gateway.wire.bedrock_converse.answer import NULL, SERVERS, UNREADABLE, WIRE_NAME, Tier, believed, cited, finish_of
from gateway.wire.bedrock_converse.frames import opened

# What each exception would have been as a status.
_STATUS = {
    "validationException": 400,
    "throttlingException": 429,
    "internalServerException": 500,
    "serviceUnavailableException": 503,
    "modelTimeoutException": 504,
}


class _ToolUse(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    tool_use_id: str = ""
    name: str = ""
    input: str = ""
    type: str | None = None


class _Reasoning(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class _Delta(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None
    citation: dict[str, Any] | None = None


class _Start(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    tool_use: _ToolUse | None = None
    tool_result: msgspec.Raw = NULL
    image: msgspec.Raw = NULL


class _Event(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    content_block_index: int = 0
    delta: _Delta | None = None
    start: _Start | None = None
    stop_reason: str | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")
    service_tier: Tier | None = None
    message: str | None = None
    original_message: str | None = None


class _OpenTool(msgspec.Struct, gc=False):
    ordinal: int
    has_arguments: bool = False


_EVENT = msgspec.json.Decoder(_Event)


class ChunkReader:
    """Reads the events of one stream, in order. FINISH comes with messageStop, USAGE and END with the metadata after it; then nothing."""

    __slots__ = ("_closed", "_finished", "_problem", "_said", "_started", "_text_start", "_thinks", "_tools", "_tools_count")

    def __init__(self) -> None:
        self._started = False
        self._finished = False
        self._closed = False
        # whether the open block's thinking has been told of
        self._thinks = False
        # characters of text told so far, and up to the open block
        self._said = self._text_start = 0
        self._tools: dict[int, _OpenTool] = {}
        self._tools_count = 0
        self._problem = ""

    @property
    def usage_so_far(self) -> Usage | None:
        """Return nothing: all figures come at the very end."""
        return None

    @property
    def problem(self) -> str:
        """Say "usage_invalid" once figures came that nobody can believe."""
        return self._problem

    def feed(self, event: bytes) -> list[Chunk]:
        """Return the chunks an event stands for; raises WireError("garbage") when its data is not a JSON object."""
        if self._closed:
            return []
        name, data = opened(event)
        try:
            read = _EVENT.decode(data)
        except UNREADABLE:
            raise WireError("garbage", "the provider sent an event that is not JSON of this wire") from None
        if name == b"contentBlockDelta":
            return self._delta(read)
        if name == b"contentBlockStart":
            return self._block_start(read)
        if name == b"contentBlockStop":
            return self._block_stop(read)
        if name == b"messageStart" and not self._started:
            self._started = True
            return [Chunk(kind=ChunkKind.START)]
        if name == b"messageStop" and not self._finished:
            self._finished = True
            return [Chunk(kind=ChunkKind.FINISH, finish=finish_of(read.stop_reason))]
        if name == b"metadata":
            return self._metadata(read)
        return self._exception(name, read) if name.startswith(b"!") else []

    def end(self) -> list[Chunk]:
        """Return END for a stream whose answer came whole and whose metadata did not; a stream without messageStop was cut."""
        if self._closed or not self._finished:
            return []
        self._closed = True
        return [Chunk(kind=ChunkKind.END)]

    def _block_start(self, read: _Event) -> list[Chunk]:
        if read.start is None:
            return []
        call = read.start.tool_use
        if call is None or call.type == SERVERS:
            lost = [(call is not None, SERVERS), (bytes(read.start.tool_result) != b"null", "toolResult"), (bytes(read.start.image) != b"null", "image")]
            return [Chunk(kind=ChunkKind.UNTOLD, text=name) for is_there, name in lost if is_there]
        tool = self._tools[read.content_block_index] = _OpenTool(self._tools_count)
        self._tools_count += 1
        return [Chunk(kind=ChunkKind.TOOL_START, index=tool.ordinal, id=call.tool_use_id, name=call.name)]

    def _delta(self, read: _Event) -> list[Chunk]:
        delta = read.delta
        if delta is None:
            return []
        if delta.text:
            self._said += len(delta.text)
            return [Chunk(kind=ChunkKind.TEXT, text=delta.text)]
        if delta.tool_use is not None:
            tool = self._tools.get(read.content_block_index)
            if tool is None or not delta.tool_use.input:
                return []
            tool.has_arguments = True
            return [Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=tool.ordinal, text=delta.tool_use.input)]
        if delta.reasoning_content is not None:
            return self._reasoning(delta.reasoning_content)
        if delta.citation is not None:
            return [Chunk(kind=ChunkKind.CITATION, citation=cited(delta.citation, self._text_start, self._said))]
        return []

    def _reasoning(self, told: _Reasoning) -> list[Chunk]:
        if told.text:
            self._thinks = True
            return [Chunk(kind=ChunkKind.REASONING, text=told.text)]
        if told.signature:
            signature = Chunk(kind=ChunkKind.SIGNATURE, text=told.signature, signed_by=WIRE_NAME)
            # thinking that is not shown is signed all the same
            return [signature] if self._thinks else [Chunk(kind=ChunkKind.REASONING), signature]
        return [Chunk(kind=ChunkKind.REDACTED, text=told.redacted_content, signed_by=WIRE_NAME)] if told.redacted_content else []

    def _block_stop(self, read: _Event) -> list[Chunk]:
        self._thinks, self._text_start = False, self._said
        tool = self._tools.pop(read.content_block_index, None)
        if tool is None or tool.has_arguments:
            return []
        # A tool without parameters sends no delta; "" would not be JSON for the caller.
        return [Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=tool.ordinal, text="{}")]

    def _metadata(self, read: _Event) -> list[Chunk]:
        usage, problem = believed(read.usage, read.service_tier)
        self._problem = problem
        told = [Chunk(kind=ChunkKind.USAGE, usage=usage)] if usage is not None else []
        if self._finished:
            self._closed = True
            told.append(Chunk(kind=ChunkKind.END))
        return told

    def _exception(self, name: bytes, read: _Event) -> list[Chunk]:
        self._closed = True
        kind = name[1:].decode("utf-8", "replace")
        words = read.message or read.original_message or kind or "the provider reported an error"
        return [Chunk(kind=ChunkKind.ERROR, text=words, name=kind, status=_STATUS.get(kind, 502))]
