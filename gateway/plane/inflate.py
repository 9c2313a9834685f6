"""Content decoding with a ceiling, for vendors that compress although nobody asked. Knows nothing about connections."""

import zlib

from gateway.errors import UpstreamFault


class Inflater:
    """Undoes gzip or deflate in bounded steps and refuses to yield more than `limit_bytes` in all."""

    __slots__ = ("_engine", "_left_bytes", "_wbits")

    def __init__(self, encoding: bytes, limit_bytes: int) -> None:
        self._wbits = 31 if encoding in (b"gzip", b"x-gzip") else 15
        self._engine = zlib.decompressobj(self._wbits)
        self._left_bytes = limit_bytes

    def feed(self, data: bytes) -> bytes:
        """Return what `data` decodes to; raises UpstreamFault too_large past the limit and protocol on damaged data."""
        out = []
        try:
            while data:
                if self._engine.eof:  # gzip members may follow one another
                    self._engine = zlib.decompressobj(self._wbits)
                piece = self._engine.decompress(data, self._left_bytes + 1)
                self._left_bytes -= len(piece)
                if self._left_bytes < 0:
                    raise UpstreamFault("too_large", "the decoded answer exceeds the limit", sent=True)
                out.append(piece)
                data = self._engine.unused_data if self._engine.eof else self._engine.unconsumed_tail
        except zlib.error:
            raise UpstreamFault("protocol", "the answer's compression is damaged", sent=True) from None
        return b"".join(out)

    def finish(self) -> None:
        """Raise UpstreamFault protocol if the compressed stream stopped half-way."""
        if not self._engine.eof:
            raise UpstreamFault("protocol", "the answer's compression is cut short", sent=True)


def inflater_for(encoding: bytes, limit_bytes: int) -> Inflater | None:
    """Return the decoder of a content-encoding, None for identity; raises UpstreamFault protocol for one that was never offered."""
    encoding = encoding.strip().lower()
    if encoding in (b"", b"identity"):
        return None
    if encoding not in (b"gzip", b"x-gzip", b"deflate"):
        raise UpstreamFault("protocol", "the answer has an encoding that was not asked for", sent=True)
    return Inflater(encoding, limit_bytes)
