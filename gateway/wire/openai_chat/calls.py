"""Puts the pieces of parallel tool calls in order: clients on other wires are told one call after the other. Knows no event."""

import msgspec
import orjson

from gateway.terms import Chunk, ChunkKind

# beyond any call
_ENDED = 1 << 62


class _Call(msgspec.Struct, gc=False):
    opening: tuple[Chunk, ...]
    pieces: list[str]


class CallOrder:
    """The calls of one answer. The first that is not whole is told as it comes, later ones wait until it is; a call without arguments gets {}."""

    __slots__ = ("_at", "_calls")

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._at = 0

    def start(self, opening: tuple[Chunk, ...]) -> list[Chunk]:
        """Begin a call that these chunks open; return what is told now."""
        self._calls.append(_Call(opening, []))
        return list(opening) if len(self._calls) == 1 else self._advance()

    def arguments(self, number: int, text: str) -> list[Chunk]:
        """Add to a call's arguments; return what is told now. What comes behind whole arguments is no part of them."""
        if number < self._at:
            return []
        self._calls[number].pieces.append(text)
        if number > self._at:
            return []
        told = [Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=number, text=text)]
        # only the piece that closes an object can make it whole
        return told + self._advance() if len(self._calls) > number + 1 and text.rstrip().endswith("}") else told

    def finish(self) -> list[Chunk]:
        """Return what was not told yet: "" would not be JSON for the caller."""
        if not self._calls or self._at == _ENDED:
            return []
        told = [] if self._calls[self._at].pieces else [Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=self._at, text="{}")]
        for number in range(self._at + 1, len(self._calls)):
            told += self._whole(number, "{}")
        self._at = _ENDED
        return told

    def _advance(self) -> list[Chunk]:
        told: list[Chunk] = []
        while self._at + 1 < len(self._calls) and _is_json("".join(self._calls[self._at].pieces)):
            self._at += 1
            told += self._whole(self._at, "")
        return told

    def _whole(self, number: int, otherwise: str) -> list[Chunk]:
        call = self._calls[number]
        text = "".join(call.pieces) or otherwise
        return [*call.opening, Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=number, text=text)] if text else list(call.opening)


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True
