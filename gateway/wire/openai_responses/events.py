"""Writes neutral chunks as the events of the Responses API: items and parts are opened, filled and closed, all numbered. Knows no vendor."""

from collections.abc import Callable
from typing import Any, ClassVar

import orjson

from gateway.terms import Chunk, ChunkKind, TokensChunk, Usage
from gateway.wire import Told, logprobs
from gateway.wire.given import left_out
from gateway.wire.openai_responses.envelope import Envelope, annotation, outcome, reasoning_item, text_part
from gateway.wire.openai_responses.reasoning import sealed
from gateway.wire.openai_responses.told import error_event, function_call, picture
from gateway.wire.signatures import seal_call

_dumps = orjson.dumps
# the tiers an answer names; the standard one needs no name
_TIERS = frozenset(("flex", "priority"))


def _delta_of(kind: str, identity: str, index: int, rest: str = "") -> bytes:
    """Return everything of a delta's event up to its text; it is written once for a part, not once for a token."""
    event = f"response.{kind}.delta"
    return f'event: {event}\ndata: {{"type":"{event}","item_id":"{identity}","output_index":{index}{rest},"delta":'.encode()


class _Tool:
    """A function call that is not closed."""

    __slots__ = ("before", "call_id", "identity", "index", "name", "pieces")

    def __init__(self, identity: str, index: int, call_id: str, name: str) -> None:
        self.identity, self.index, self.call_id, self.name = identity, index, call_id, name
        self.before = _delta_of("function_call_arguments", identity, index)
        self.pieces: list[str] = []


class ChunkWriter:
    """Writes one stream. After END or ERROR it writes nothing more.

    Function calls of a turn stay open until something else comes, for their arguments may arrive in any order.
    """

    __slots__ = (
        "_annotations", "_before", "_closed", "_content", "_envelope", "_finish", "_identity", "_index", "_item", "_items", "_logprobs", "_number", "_part",
        "_pieces", "_signature", "_started", "_tools", "_untold", "_usage",
    )  # fmt: skip

    def __init__(self, told: Told) -> None:
        self._envelope = Envelope(told)
        self._number = 0
        self._items: list[bytes] = []
        # the item that is open: "message", "reasoning" or "", and of a message its part: "text", "refusal" or ""
        self._item = self._part = self._identity = ""
        self._index = 0
        self._before = b""
        self._pieces: list[str] = []
        self._content: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._logprobs: list[dict[str, Any]] = []
        self._tools: dict[int, _Tool] = {}
        self._signature: Chunk | None = None
        self._finish = "stop"
        self._usage: Usage | None = None
        self._untold: list[str] = []
        self._started = self._closed = False

    def write(self, chunk: Chunk) -> bytes:
        """Return the chunk's events; b"" for what this caller does not get."""
        kind = chunk.kind
        if kind is ChunkKind.TEXT and self._part == "text":
            return self._delta(self._before, chunk.text)
        if kind is ChunkKind.TOOL_ARGUMENTS:
            tool = self._tools.get(chunk.index)
            return self._argument(tool, chunk.text) if tool is not None and chunk.text else b""
        if kind is ChunkKind.REASONING and self._item == "reasoning":
            return self._delta(self._before, chunk.text)
        return self._turn(chunk)

    def _turn(self, chunk: Chunk) -> bytes:
        """Write what does not merely continue what is open."""
        if self._closed:
            return b""
        kind = chunk.kind
        if kind is ChunkKind.PING:
            return b": keep-alive\n\n"
        if kind is ChunkKind.ERROR:
            self._closed, self._item, self._part, self._tools = True, "", "", {}
            return error_event(chunk.status or 502, "upstream_error", "api_error", chunk.text, None, chunk.extra or {}, self._number)
        out = b"" if self._started else self._start()
        if self._signature is not None:
            out += self._proof(is_of_call=kind is ChunkKind.TOOL_START)
        handler = self._HANDLERS.get(kind)
        return out + handler(self, chunk) if handler is not None else out

    # ---- events -----------------------------------------------------------------------------------------------------

    def _event(self, event: str, /, **members: Any) -> bytes:
        number = self._number
        self._number = number + 1
        body = _dumps({"type": f"response.{event}", **members, "sequence_number": number})
        return b"event: response.%b\ndata: %b\n\n" % (event.encode(), body)

    def _delta(self, before: bytes, text: str) -> bytes:
        if not text:
            return b""
        self._pieces.append(text)
        number = self._number
        self._number = number + 1
        return b'%b%b,"sequence_number":%d}\n\n' % (before, _dumps(text), number)

    def _argument(self, tool: _Tool, text: str) -> bytes:
        tool.pieces.append(text)
        number = self._number
        self._number = number + 1
        return b'%b%b,"sequence_number":%d}\n\n' % (tool.before, _dumps(text), number)

    def _about(self, name: str, response: bytes) -> bytes:
        number = self._number
        self._number = number + 1
        return b'event: response.%b\ndata: {"type":"response.%b","response":%b,"sequence_number":%d}\n\n' % (name.encode(), name.encode(), response, number)

    def _start(self) -> bytes:
        self._started = True
        response = self._envelope.written("in_progress")
        return self._about("created", response) + self._about("in_progress", response)

    # ---- items ------------------------------------------------------------------------------------------------------

    def _open(self, item: str, prefix: str, shown: dict[str, Any]) -> bytes:
        """Open an item after closing what was open."""
        out = self._close()
        self._item, self._index = item, len(self._items)
        self._identity = f"{prefix}_{self._envelope.stem}_{self._index}"
        self._items.append(b"")
        return out + self._event("output_item.added", output_index=self._index, item={"id": self._identity, **shown})

    def _done(self, index: int, item: dict[str, Any]) -> bytes:
        self._items[index] = _dumps(item)
        return self._event("output_item.done", output_index=index, item=item)

    def _close(self, status: str = "completed") -> bytes:
        """Close whatever is open; `status` is that of the last item."""
        out = b""
        if self._item == "message":
            out = self._close_part() + self._done(self._index, self._message(status))
            self._content = []
        elif self._item == "reasoning":
            out = self._close_reasoning("")
        self._item = ""
        return out + self._close_tools(status) if self._tools else out

    def _message(self, status: str) -> dict[str, Any]:
        return {"id": self._identity, "type": "message", "role": "assistant", "status": status, "content": self._content}

    def _close_tools(self, status: str) -> bytes:
        out = []
        for place, tool in enumerate(self._tools.values(), 1):
            arguments = "".join(tool.pieces)
            out.append(self._event("function_call_arguments.done", item_id=tool.identity, output_index=tool.index, name=tool.name, arguments=arguments))
            own = status if place == len(self._tools) else "completed"
            out.append(self._done(tool.index, function_call(tool.identity, tool.call_id, tool.name, arguments, own)))
        self._tools = {}
        return b"".join(out)

    def _close_part(self) -> bytes:
        kind, self._part = self._part, ""
        if not kind:
            return b""
        text, place = "".join(self._pieces), {"item_id": self._identity, "output_index": self._index, "content_index": len(self._content)}
        self._pieces = []
        if kind == "refusal":
            part: dict[str, Any] = {"type": "refusal", "refusal": text}
            out = self._event("refusal.done", **place, refusal=text)
        else:
            part = {**text_part(text, self._annotations), "logprobs": self._logprobs}
            out = self._event("output_text.done", **place, text=text, logprobs=self._logprobs)
            self._logprobs = []
        self._content.append(part)
        self._annotations = []
        return out + self._event("content_part.done", **place, part=part)

    def _close_reasoning(self, encrypted: str) -> bytes:
        text, place = "".join(self._pieces), {"item_id": self._identity, "output_index": self._index, "summary_index": 0}
        self._pieces, self._item = [], ""
        out = self._event("reasoning_summary_text.done", **place, text=text)
        out += self._event("reasoning_summary_part.done", **place, part={"type": "summary_text", "text": text})
        return out + self._done(self._index, reasoning_item(self._identity, text, encrypted))

    def _sealed_item(self, encrypted: str) -> bytes:
        """Write reasoning that nobody but its vendor can read."""
        out = self._open("sealed", "rs", {"type": "reasoning", "summary": []})
        self._item = ""
        return out + self._done(self._index, reasoning_item(self._identity, "", encrypted))

    def _proof(self, *, is_of_call: bool) -> bytes:
        """Write a signature that came without reasoning: of the call that comes now, else of reasoning that was not shown."""
        chunk, self._signature = self._signature, None
        assert chunk is not None
        return self._sealed_item(seal_call(chunk.signed_by, chunk.text) if is_of_call else sealed(chunk.text, chunk.signed_by, is_redacted=False))

    # ---- chunks -----------------------------------------------------------------------------------------------------

    def _text(self, chunk: Chunk) -> bytes:
        return (self._begin("text") + self._delta(self._before, chunk.text)) if chunk.text else b""

    def _refusal(self, chunk: Chunk) -> bytes:
        out = b"" if self._part == "refusal" else self._begin("refusal")
        return out + self._delta(self._before, chunk.text)

    def _begin(self, part: str) -> bytes:
        """Open a part of a message, and the message if none is."""
        if self._item == "message":
            out = self._close_part()
        else:
            out = self._open("message", "msg", {"type": "message", "role": "assistant", "status": "in_progress", "content": []})
        self._part = part
        index = len(self._content)
        rest = f',"content_index":{index}' + (',"logprobs":[]' if part == "text" else "")
        self._before = _delta_of("output_text" if part == "text" else "refusal", self._identity, self._index, rest)
        shown = text_part("", []) if part == "text" else {"type": "refusal", "refusal": ""}
        return out + self._event("content_part.added", item_id=self._identity, output_index=self._index, content_index=index, part=shown)

    def _citation(self, chunk: Chunk) -> bytes:
        if chunk.citation is None:
            return b""
        out = b"" if self._part == "text" else self._begin("text")
        place = {"item_id": self._identity, "output_index": self._index, "content_index": len(self._content)}
        made = annotation(chunk.citation, sum(map(len, self._pieces)))
        self._annotations.append(made)
        return out + self._event("output_text.annotation.added", **place, annotation_index=len(self._annotations) - 1, annotation=made)

    def _reasoning(self, chunk: Chunk) -> bytes:
        out = self._open("reasoning", "rs", {"type": "reasoning", "summary": []})
        self._before = _delta_of("reasoning_summary_text", self._identity, self._index, ',"summary_index":0')
        place = {"item_id": self._identity, "output_index": self._index, "summary_index": 0}
        out += self._event("reasoning_summary_part.added", **place, part={"type": "summary_text", "text": ""})
        return out + self._delta(self._before, chunk.text)

    def _sign(self, chunk: Chunk) -> bytes:
        if self._item == "reasoning":
            return self._close_reasoning(sealed(chunk.text, chunk.signed_by, is_redacted=False))
        self._signature = chunk
        return b""

    def _redacted(self, chunk: Chunk) -> bytes:
        return self._sealed_item(sealed(chunk.text, chunk.signed_by, is_redacted=True))

    def _image(self, chunk: Chunk) -> bytes:
        out = self._open("image", "ig", {"type": "image_generation_call", "status": "in_progress", "result": None})
        self._item = ""
        out += self._event("image_generation_call.completed", item_id=self._identity, output_index=self._index)
        return out + self._done(self._index, picture(self._identity, chunk.text))

    def _tool(self, chunk: Chunk) -> bytes:
        out = self._close() if self._item else b""
        index = len(self._items)
        identity = f"fc_{self._envelope.stem}_{index}"
        self._items.append(b"")
        if chunk.index in self._tools:
            out += self._close_tools("completed")
        self._tools[chunk.index] = _Tool(identity, index, chunk.id, chunk.name)
        return out + self._event("output_item.added", output_index=index, item=function_call(identity, chunk.id, chunk.name, "", "in_progress"))

    def _finished(self, chunk: Chunk) -> bytes:
        self._finish = chunk.finish
        return self._close(outcome(chunk.finish)[0])

    def _take_usage(self, chunk: Chunk) -> bytes:
        self._usage = chunk.usage
        return b""

    def _tokens(self, chunk: Chunk) -> bytes:
        """Tell how likely the tokens of the text were that was just told, which needs a delta of its own."""
        assert isinstance(chunk, TokensChunk)
        out = b"" if self._part == "text" else self._begin("text")
        told = logprobs.written(chunk.tokens)
        self._logprobs += told
        place = {"item_id": self._identity, "output_index": self._index, "content_index": len(self._content)}
        return out + self._event("output_text.delta", **place, delta="", logprobs=told)

    def _leave_out(self, chunk: Chunk) -> bytes:
        self._untold.append(chunk.text)
        return b""

    def _end(self, chunk: Chunk) -> bytes:
        status, reason = outcome(self._finish)
        out = self._close(status)
        self._closed = True
        tier = self._usage.tier if self._usage is not None else ""
        output = b"[%b]" % b",".join(self._items)
        response = self._envelope.written(status, output, self._usage, reason=reason, tier=tier if tier in _TIERS else "")
        if self._untold:
            response = response[:-1] + b"," + _dumps(left_out(self._untold))[1:]
        return out + self._about(status, response)

    _HANDLERS: ClassVar[dict[ChunkKind, Callable[["ChunkWriter", Chunk], bytes]]] = {
        ChunkKind.TEXT: _text,
        ChunkKind.REFUSAL: _refusal,
        ChunkKind.CITATION: _citation,
        ChunkKind.REASONING: _reasoning,
        ChunkKind.SIGNATURE: _sign,
        ChunkKind.REDACTED: _redacted,
        ChunkKind.IMAGE: _image,
        ChunkKind.TOOL_START: _tool,
        ChunkKind.FINISH: _finished,
        ChunkKind.USAGE: _take_usage,
        ChunkKind.UNTOLD: _leave_out,
        ChunkKind.LOGPROBS: _tokens,
        ChunkKind.END: _end,
    }
