"""Writes AWS's event stream encoding (application/vnd.amazon.eventstream). Knows nothing of what the events say."""

import struct
import zlib


def frame(event: str, payload: bytes, kind: str = "event") -> bytes:
    """Return one message of a stream: prelude, headers, payload, checksums. `kind` is event or exception."""
    named = {":event-type" if kind == "event" else ":exception-type": event, ":content-type": "application/json", ":message-type": kind}
    headers = b"".join(_header(name, value) for name, value in named.items())
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def _header(name: str, value: str) -> bytes:
    return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
