"""Headers as they stand on the wire: lines of bytes, put together once and pasted into every answer. Knows nothing of what they say."""

from collections.abc import Iterable, Sequence

from gateway.terms import Header


class UnsafeHeader(ValueError):
    """A header holds a line break or a NUL that would change the message around it."""


def lines(headers: Iterable[Header]) -> bytes:
    """Return headers as lines, each ended by CRLF; names must be lower-case. Raises UnsafeHeader."""
    written = [b"%b: %b\r\n" % header for header in headers]
    joined = b"".join(written)
    # as many line breaks as lines: none can be hidden in a name or value
    if not joined.count(b"\r") == joined.count(b"\n") == len(written) or b"\0" in joined:
        raise UnsafeHeader("a header holds a line break")
    return joined


def headers(lines: bytes) -> list[Header]:
    """Return lines as headers again, for servers that take nothing else."""
    return [(name, value) for name, _, value in (line.partition(b": ") for line in lines.split(b"\r\n")[:-1])]


def replaced(head: bytes, headers: Sequence[Header]) -> bytes:
    """Return lines (a request line may come first) with these headers in place of those of the same names. Raises UnsafeHeader."""
    names = {name for name, _ in headers}
    kept = [line for line in head.split(b"\r\n")[:-1] if line.partition(b":")[0] not in names]
    return b"\r\n".join(kept) + b"\r\n" + lines(headers)
