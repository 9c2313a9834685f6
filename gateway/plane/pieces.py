"""Bodies that are too large to hold in memory, or to hold twice: pieces in memory and on disk, sent a block at a time."""

import os
from collections.abc import Iterator
from typing import IO

BLOCK_BYTES = 262_144
Piece = bytes | memoryview | range


class Pieces:
    """Bytes that stand in pieces, some of them in a file without a name: nothing outlives the last who knows it, and whoever sends it may send it again."""

    __slots__ = ("_file", "_pieces", "_size")

    def __init__(self, file: IO[bytes] | None, *pieces: Piece) -> None:
        """`pieces` are bytes themselves, or where in the file they stand."""
        self._file, self._pieces, self._size = file, pieces, sum(map(len, pieces))

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: slice) -> bytes:
        start, end, _ = place.indices(self._size)
        return b"".join(self._read(self._cut(start, end)))

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes in order, a block at a time. Raises OSError where the disk fails."""
        return self._read(self._pieces)

    def swapped(self, start: int, end: int, data: bytes) -> "Pieces":
        """Return the same body with other bytes from `start` to `end`."""
        return Pieces(self._file, *self._cut(0, start), data, *self._cut(end, self._size))

    def _cut(self, start: int, end: int) -> tuple[Piece, ...]:
        found, at = [], 0
        for piece in self._pieces:
            cut = piece[max(0, start - at) : max(0, end - at)]
            if len(cut):
                found.append(cut)
            at += len(piece)
        return tuple(found)

    def _read(self, pieces: tuple[Piece, ...]) -> Iterator[bytes]:
        for piece in pieces:
            for at in range(0, len(piece), BLOCK_BYTES):
                block = piece[at : at + BLOCK_BYTES]
                yield self._from_disk(block) if isinstance(block, range) else bytes(block)

    def _from_disk(self, place: range) -> bytes:
        assert self._file is not None
        block = os.pread(self._file.fileno(), len(place), place.start)
        if len(block) < len(place):
            raise OSError("an upload is shorter than it was")
        return block
