"""Meters a stream that passes unchanged by reading it as a translation would. For wires whose speed on the same wire is not everything."""

from collections.abc import Callable

from gateway.terms import Chunk, ChunkKind, Usage
from gateway.wire import ChunkReader, Seen

# what they say is for the vendor alone, or no text
_SILENT = frozenset({ChunkKind.ERROR, ChunkKind.START, ChunkKind.SIGNATURE, ChunkKind.REDACTED})


class ReaderMeter:
    """A Meter made of a wire's ChunkReader."""

    __slots__ = ("_reader",)

    def __init__(self, make_reader: Callable[[], ChunkReader]) -> None:
        self._reader = make_reader()

    @property
    def usage_so_far(self) -> Usage | None:
        """What the vendor told before the end."""
        return self._reader.usage_so_far

    def feed(self, event: bytes) -> Seen:
        """Return what a raw event says; raises WireError("garbage")."""
        chunks = self._reader.feed(event)
        return _seen(chunks, self._reader.problem) if chunks else Seen(problem=self._reader.problem)


def _seen(chunks: list[Chunk], problem: str) -> Seen:
    usage, text_bytes, finish, terminal = None, 0, False, False
    for chunk in chunks:
        kind = chunk.kind
        if kind is ChunkKind.ERROR:
            return Seen(error=chunk.text or "the provider reported an error")
        if kind not in _SILENT:
            text_bytes += len(chunk.text) if chunk.text.isascii() else len(chunk.text.encode("utf-8", "replace"))
        usage = chunk.usage or usage
        finish = finish or kind is ChunkKind.FINISH
        terminal = terminal or kind is ChunkKind.END
    return Seen(text_bytes, usage, problem, False, finish, terminal)
