"""What a request's body may be."""

from collections.abc import Iterator
from typing import Protocol


class Upload(Protocol):
    """A form or file that is too large to hold in memory; whoever reads it begins anew."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: slice, /) -> bytes: ...

    def blocks(self) -> Iterator[bytes]:
        """Yield its bytes in order, a block at a time. Raises OSError where the disk fails."""
        ...

    def swapped(self, start: int, end: int, data: bytes) -> "Upload":
        """Return the same upload with other bytes from `start` to `end`."""
        ...


Body = bytes | Upload
