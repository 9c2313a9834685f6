"""Reads streams of Gemini's API, as neutral chunks or only to meter them. Knows nothing about whole answers."""

import msgspec
import orjson

from gateway.terms import Chunk, ChunkKind, TokensChunk, Usage
from gateway.wire import Seen, WireError
from gateway.wire.gemini.answer import (
    arguments_of,
    believed,
    bytes_of,
    call_id,
    citations_of,
    error_of,
    finish_of,
    picture_of,
    refusal_of,
    searches_in,
    tokens_of,
    unclear,
    untold_of,
)
from gateway.wire.gemini.shapes import RESPONSE, Candidate, Response, VendorPart
from gateway.wire.gemini.thoughts import NAME
from gateway.wire.sse import data_of

_START_OF_ERROR = b"null"
_NOTHING = Seen()


def _read(event: bytes) -> Response | None:
    """Return what an event says, None for a comment. Raises WireError("garbage")."""
    if event.startswith(b"data: "):
        try:
            # blank lines after the data are white space to the decoder
            return RESPONSE.decode(event[6:])
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            pass
    data = data_of(event)
    if not data.strip():
        return None
    try:
        return RESPONSE.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise WireError("garbage", "the provider sent an event that is not JSON of this wire") from None


def _error(response: Response) -> tuple[str, int] | None:
    raw = bytes(response.error)
    if raw == _START_OF_ERROR:
        return None
    words, status = error_of({"error": orjson.loads(raw)})
    return words or "the provider reported an error", status


class ChunkReader:
    """Reads the events of one stream, in order. Its end is the end of the body: FINISH, USAGE and END come then, if a finish reason did."""

    __slots__ = ("_blocked", "_closed", "_finish", "_id", "_problem", "_started", "_text", "_thinks", "_tools", "_usage")

    def __init__(self) -> None:
        self._started = self._closed = self._thinks = False
        self._finish = self._id = self._problem = ""
        self._blocked = False
        self._tools = 0
        self._usage: Usage | None = None
        self._text: list[str] = []

    @property
    def usage_so_far(self) -> Usage | None:
        """Tokens reported up to now; every event tells them."""
        return self._usage

    @property
    def problem(self) -> str:
        """Say "usage_invalid" once figures came that nobody can believe."""
        return self._problem

    def feed(self, event: bytes) -> list[Chunk]:
        """Return the chunks a raw event stands for. Raises WireError("garbage") when its data is no JSON of this wire."""
        if self._closed:
            return []
        response = _read(event)
        if response is None:
            return [Chunk(ChunkKind.PING)]
        error = _error(response)
        if error is not None:
            self._closed = True
            return [Chunk(ChunkKind.ERROR, text=error[0], status=error[1])]
        chunks: list[Chunk] = []
        if not self._started:
            self._started, self._id = True, response.response_id or ""
            chunks.append(Chunk(ChunkKind.START, id=self._id))
        usage, problem = believed(response.usage_metadata)
        if usage is not None:
            self._usage = usage
        elif problem == "usage_invalid":
            self._problem = problem
        if response.candidates:
            self._candidate(response.candidates[0], chunks)
        elif response.prompt_feedback is not None and response.prompt_feedback.block_reason and not self._finish:
            self._finish, self._blocked = "SAFETY", True
            chunks.append(Chunk(ChunkKind.REFUSAL, text=refusal_of(response.prompt_feedback)))
        return chunks

    def end(self) -> list[Chunk]:
        """Return the end of a stream that had finished; nothing for one that was cut."""
        if self._closed or not self._finish:
            return []
        self._closed = True
        chunks = [Chunk(ChunkKind.UNTOLD, text=name) for name in unclear(self._finish)]
        chunks.append(Chunk(ChunkKind.FINISH, finish=finish_of(self._finish, has_calls=self._tools > 0)))
        if self._usage is not None:
            chunks.append(Chunk(ChunkKind.USAGE, usage=self._usage))
        return [*chunks, Chunk(ChunkKind.END)]

    def _candidate(self, candidate: Candidate, chunks: list[Chunk]) -> None:
        if candidate.content is not None:
            for part in candidate.content.parts or ():
                self._part(part, chunks)
        if candidate.logprobs_result is not None:
            chunks.append(TokensChunk(ChunkKind.LOGPROBS, tokens=tokens_of(candidate.logprobs_result)))
        if candidate.grounding_metadata is not None or candidate.citation_metadata is not None:
            chunks += [Chunk(ChunkKind.CITATION, citation=one) for one in citations_of(candidate, "".join(self._text))]
        if candidate.finish_reason and candidate.finish_reason != "FINISH_REASON_UNSPECIFIED":
            self._finish = candidate.finish_reason

    def _part(self, part: VendorPart, chunks: list[Chunk]) -> None:
        signature = part.thought_signature
        call = part.function_call
        if call is not None:
            if signature:
                # signs the call, not a thought before it
                chunks.append(Chunk(ChunkKind.SIGNATURE, text=signature, signed_by=NAME))
            chunks.append(Chunk(ChunkKind.TOOL_START, index=self._tools, id=call_id(call.id, self._id, self._tools), name=call.name))
            chunks.append(Chunk(ChunkKind.TOOL_ARGUMENTS, index=self._tools, text=arguments_of(call)))
            self._tools += 1
            self._thinks = False
            return
        if part.inline_data is not None and not part.thought:
            self._thinks = False
            chunks.append(Chunk(ChunkKind.IMAGE, text=picture_of(part.inline_data)))
        elif not part.text:
            chunks += [Chunk(ChunkKind.UNTOLD, text=name) for name in untold_of(part)]
        if part.text:
            if part.thought:
                self._thinks = True
                chunks.append(Chunk(ChunkKind.REASONING, text=part.text))
            else:
                self._thinks = False
                self._text.append(part.text)
                chunks.append(Chunk(ChunkKind.TEXT, text=part.text))
        if signature:
            if not (part.thought and self._thinks):
                chunks.append(Chunk(ChunkKind.REASONING))
            self._thinks = False
            chunks.append(Chunk(ChunkKind.SIGNATURE, text=signature, signed_by=NAME))


class Meter:
    """Meters the events of a stream that passes unchanged; the figures of an event without a finish reason are those of a stream that is cut."""

    __slots__ = ("_finished", "_searches", "_usage")

    def __init__(self) -> None:
        self._usage: Usage | None = None
        self._finished = False
        self._searches = 0

    @property
    def usage_so_far(self) -> Usage | None:
        """Tokens reported up to now."""
        return self._usage

    def feed(self, event: bytes) -> Seen:
        """Return what a raw event says. Raises WireError("garbage")."""
        response = _read(event)
        if response is None:
            return _NOTHING
        error = _error(response)
        if error is not None:
            return Seen(error=error[0])
        text_bytes = 0
        for candidate in response.candidates or ():
            for part in (candidate.content.parts if candidate.content is not None else None) or ():
                text_bytes += bytes_of(part)
            if candidate.finish_reason and candidate.finish_reason != "FINISH_REASON_UNSPECIFIED":
                self._finished = True
            if candidate.grounding_metadata is not None:
                # an event that tells more of it tells all of it
                self._searches = max(self._searches, searches_in(response))
        if not response.candidates and response.prompt_feedback is not None and response.prompt_feedback.block_reason:
            self._finished = True
        usage, problem = believed(response.usage_metadata)
        self._usage = usage or self._usage
        if self._searches and self._usage is not None:
            self._usage = msgspec.structs.replace(self._usage, web_searches=self._searches)
        if not self._finished:
            return Seen(text_bytes, None, problem if problem == "usage_invalid" else "")
        return Seen(text_bytes, self._usage, problem if problem == "usage_invalid" else "", False, True)
