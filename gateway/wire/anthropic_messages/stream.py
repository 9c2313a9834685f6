"""Reads streams of Anthropic's Messages API as neutral chunks, event by event. Knows nothing about whole answers."""

from typing import Any

import msgspec

from gateway.terms import Chunk, ChunkKind, Usage
from gateway.wire import WireError
from gateway.wire.anthropic_messages.answer import KNOWN, VendorUsage, cited, finish_of, read_vendor_usage, usage_of
from gateway.wire.anthropic_messages.blocks import WIRE_NAME
from gateway.wire.sse import data_of

# https://docs.claude.com/en/api/errors: what each error would have been as a status.
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class _Error(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    message: str = ""


class _Delta(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    signature: str | None = None
    citation: dict[str, Any] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Block(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    id: str | None = None
    name: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"null")


class _Message(msgspec.Struct, frozen=True, gc=False):
    id: str = ""
    usage: msgspec.Raw = msgspec.Raw(b"null")


class _Event(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    index: int = 0
    delta: _Delta | None = None
    content_block: _Block | None = None
    message: _Message | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")
    error: _Error | None = None


class _OpenTool(msgspec.Struct, gc=False):
    ordinal: int
    has_arguments: bool = False


_EVENT = msgspec.json.Decoder(_Event)
_EMPTY_INPUT = (b"{}", b"null")
_NO_FIGURES = (b"{}", b"null")


class ChunkReader:
    """Reads the events of one stream, in order. FINISH and USAGE come with the stop reason, END with message_stop; after END or
    ERROR nothing comes. For streams that are cut, `usage_so_far` knows the input tokens.
    """

    __slots__ = ("_closed", "_finished", "_problem", "_said", "_started", "_text_start", "_thinks", "_tools", "_tools_count", "_usage")

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
        self._usage = VendorUsage()
        self._problem = ""

    @property
    def usage_so_far(self) -> Usage | None:
        """Tokens reported up to now: the input is exact from the first event on, the output only once USAGE came."""
        return usage_of(self._usage) if self._usage.input_tokens is not None else None

    @property
    def problem(self) -> str:
        """Say "usage_invalid" once figures came that nobody can believe."""
        return self._problem

    def feed(self, event: bytes) -> list[Chunk]:
        """Return the chunks a raw event stands for; raises WireError("garbage") when its data is not a JSON object."""
        data = data_of(event)
        if self._closed or not data.strip():
            return []
        try:
            read = _EVENT.decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise WireError("garbage", "the provider sent an event that is not JSON of this wire") from None
        kind = read.type
        if kind == "content_block_delta":
            return self._delta(read)
        if kind == "content_block_start":
            return self._block_start(read)
        if kind == "content_block_stop":
            return self._block_stop(read)
        if kind == "message_delta":
            return self._message_delta(read)
        if kind == "message_start":
            return self._start(read)
        if kind == "message_stop":
            self._closed = True
            end = Chunk(kind=ChunkKind.END)
            return [end] if self._finished else [Chunk(kind=ChunkKind.FINISH, finish="stop"), end]
        if kind == "error":
            return self._error(read.error or _Error())
        return [Chunk(kind=ChunkKind.PING)] if kind == "ping" else []

    def end(self) -> list[Chunk]:
        """Return nothing: a stream without message_stop was cut."""
        return []

    def _start(self, read: _Event) -> list[Chunk]:
        if self._started:
            return []
        self._started = True
        message = read.message or _Message()
        self._merge(message.usage)
        return [Chunk(kind=ChunkKind.START, id=message.id)]

    def _merge(self, raw: msgspec.Raw) -> bool:
        """Take over the figures an event reports: they are cumulative, and a figure left out still stands."""
        new = read_vendor_usage(raw)
        if new is None:
            if bytes(raw) not in _NO_FIGURES:
                self._problem = "usage_invalid"
            return False
        old = self._usage
        self._usage = VendorUsage(
            input_tokens=old.input_tokens if new.input_tokens is None else new.input_tokens,
            output_tokens=old.output_tokens if new.output_tokens is None else new.output_tokens,
            cache_read_input_tokens=old.cache_read_input_tokens if new.cache_read_input_tokens is None else new.cache_read_input_tokens,
            cache_creation_input_tokens=(old.cache_creation_input_tokens if new.cache_creation_input_tokens is None else new.cache_creation_input_tokens),
            cache_creation=new.cache_creation or old.cache_creation,
            output_tokens_details=new.output_tokens_details or old.output_tokens_details,
            service_tier=new.service_tier or old.service_tier,
            speed=new.speed or old.speed,
            server_tool_use=new.server_tool_use or old.server_tool_use,
            iterations=new.iterations or old.iterations,
        )
        return True

    def _block_start(self, read: _Event) -> list[Chunk]:
        block = read.content_block or _Block()
        if block.type == "tool_use":
            tool = self._tools[read.index] = _OpenTool(self._tools_count)
            self._tools_count += 1
            start = Chunk(kind=ChunkKind.TOOL_START, index=tool.ordinal, id=block.id or "", name=block.name or "")
            given = bytes(block.input)
            if given in _EMPTY_INPUT:
                return [start]
            tool.has_arguments = True
            return [start, Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=tool.ordinal, text=given.decode())]
        if block.type == "text":
            self._text_start = self._said
            self._said += len(block.text or "")
        if block.type == "text" and block.text:
            return [Chunk(kind=ChunkKind.TEXT, text=block.text)]
        if block.type == "thinking":
            self._thinks = bool(block.thinking)
            return [Chunk(kind=ChunkKind.REASONING, text=block.thinking)] if block.thinking else []
        if block.type == "redacted_thinking" and block.data:
            return [Chunk(kind=ChunkKind.REDACTED, text=block.data, signed_by=WIRE_NAME)]
        return [] if not block.type or block.type in KNOWN else [Chunk(kind=ChunkKind.UNTOLD, text=block.type)]

    def _delta(self, read: _Event) -> list[Chunk]:
        delta = read.delta
        if delta is None:
            return []
        if delta.text and delta.type == "text_delta":
            self._said += len(delta.text)
            return [Chunk(kind=ChunkKind.TEXT, text=delta.text)]
        if delta.thinking and delta.type == "thinking_delta":
            self._thinks = True
            return [Chunk(kind=ChunkKind.REASONING, text=delta.thinking)]
        tool = self._tools.get(read.index)
        if tool is not None and delta.partial_json and delta.type == "input_json_delta":
            tool.has_arguments = True
            return [Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=tool.ordinal, text=delta.partial_json)]
        if delta.signature and delta.type == "signature_delta":
            signature = Chunk(kind=ChunkKind.SIGNATURE, text=delta.signature, signed_by=WIRE_NAME)
            # thinking that is not shown is signed all the same
            return [signature] if self._thinks else [Chunk(kind=ChunkKind.REASONING), signature]
        if delta.citation is not None and delta.type == "citations_delta":
            return [Chunk(kind=ChunkKind.CITATION, citation=cited(delta.citation, self._text_start, self._said))]
        return []

    def _block_stop(self, read: _Event) -> list[Chunk]:
        tool = self._tools.pop(read.index, None)
        if tool is None or tool.has_arguments:
            return []
        # A tool without parameters sends no delta; "" would not be JSON for the caller.
        return [Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=tool.ordinal, text="{}")]

    def _message_delta(self, read: _Event) -> list[Chunk]:
        chunks = []
        is_known = self._merge(read.usage)
        if read.delta is not None and read.delta.stop_reason and not self._finished:
            self._finished = True
            stopped_by = read.delta.stop_sequence or "" if read.delta.stop_reason == "stop_sequence" else ""
            chunks.append(Chunk(kind=ChunkKind.FINISH, finish=finish_of(read.delta.stop_reason), stop_sequence=stopped_by))
        if is_known and self._finished:
            chunks.append(Chunk(kind=ChunkKind.USAGE, usage=usage_of(self._usage)))
        return chunks

    def _error(self, error: _Error) -> list[Chunk]:
        self._closed = True
        return [Chunk(kind=ChunkKind.ERROR, text=error.message or error.type, name=error.type, status=_STATUS.get(error.type, 502))]
