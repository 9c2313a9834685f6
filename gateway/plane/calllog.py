"""One structured line per call on standard output, with its id and figures and never its content; written in batches."""

import contextlib
import os

import msgspec

FLUSH_BYTES = 32 * 1024


class Line(msgspec.Struct, frozen=True, gc=False):
    """What is said of a call."""

    event: str
    at: float
    call: str
    endpoint: str
    status: int
    code: str
    key: str
    project: str
    model: str
    deployment: str
    attempts: int
    duration_ms: int


class CallLog:
    """Collects lines and writes them to a descriptor; what cannot be written is dropped, the journal holds the truth."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: list[bytes] = []
        self._bytes = 0
        self._encode = msgspec.json.Encoder().encode

    def note(self, line: Line) -> None:
        """Take a line."""
        encoded = self._encode(line)
        self._lines.append(encoded)
        self._bytes += len(encoded)
        if self._bytes >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what was collected."""
        if self._lines:
            lines, self._lines, self._bytes = self._lines, [], 0
            with contextlib.suppress(OSError):
                os.write(self._descriptor, b"\n".join(lines) + b"\n")

    def close(self) -> None:
        """Write the rest and let go of the descriptor."""
        self.flush()
        os.close(self._descriptor)
