"""What is written to the journal about a call: intent, progress and settlement, and how they are framed. No Django."""

import re
import zlib
from collections.abc import Callable, Iterator
from enum import Enum
from struct import Struct
from typing import Any, NamedTuple, TypeVar

import msgspec

HEADER = Struct("<II")
# A settlement is about 700 bytes; what claims to be longer than this is not a record.
MOST_PAYLOAD_BYTES = 1 << 20
MOST_INTEGER = 2**63 - 1


class Charge(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What one attempt was, or may have been, billed by its vendor: where, by which price, tokens and their source, cost in nano-USD."""

    provider: str
    upstream_model: str
    price: str
    usage_source: str
    flags: str
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    audio_input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    audio_output_tokens: int
    cost_nanousd: int
    # of the writes, those for an hour; from here on not in records of old
    cache_write_1h_tokens: int = 0
    web_searches: int = 0


class Attempted(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One attempt: deployment slug, account slug, outcome, upstream status (0: none), elapsed milliseconds.

    `charge` stands only in calls of which an attempt cost money and did not serve them; then every attempt that cost has one, and together they
    are what the call is billed. `quote` is the revision of the configuration by whose prices the call was quoted, 0 where none is known.
    """

    deployment: str
    account: str
    outcome: str
    status: int
    elapsed_ms: int
    charge: Charge | None = None
    quote: int = 0


# What stands in the flags of a call that is billed for more than the attempt that served it.
ATTEMPTS_BILLED = "attempts_billed"


class Intent(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="i"):
    """Written before the first upstream byte. `input_tokens` and `input_nanousd` are the estimate an orphan is settled with.

    `worker` holds `quote_nanousd` and `quote_tokens` in each of the budget `windows` (their ids, separated by spaces). `attempts` came before
    and are here only if one of them cost money. `person` is whose personal key or access token the call is made by.
    """

    call_id: str
    started_at_ms: int
    key: str
    project: str
    business_unit: str
    model: str
    deployment: str
    account: str
    provider: str
    upstream_model: str
    endpoint: str
    stream: bool
    price: str
    input_tokens: int
    input_nanousd: int
    quote_nanousd: int
    worker: str = ""
    windows: str = ""
    quote_tokens: int = 0
    attempts: tuple[Attempted, ...] = ()
    person: str = ""


class Progress(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="p"):
    """Written every few seconds of a long stream: tokens delivered so far and their cost, without those of attempts before."""

    call_id: str
    at_ms: int
    input_tokens: int
    output_tokens: int
    cost_nanousd: int


class Settle(msgspec.Struct, frozen=True, gc=False, array_like=True, tag="s"):
    """The receipt of a call. `usage_source` is provider, counted, estimated or none; `outcome` ok, refused, failed, aborted or unknown.

    Its cost is spent in each of the budget `windows` (their ids, separated by spaces), out of what `worker` leased of them.
    """

    call_id: str
    started_at_ms: int
    duration_ms: int
    first_byte_ms: int
    gateway_us: int
    key: str
    project: str
    business_unit: str
    model: str
    deployment: str
    account: str
    provider: str
    upstream_model: str
    endpoint: str
    stream: bool
    status: int
    outcome: str
    error_code: str
    usage_source: str
    flags: str
    input_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    audio_input_tokens: int
    output_tokens: int
    reasoning_tokens: int
    audio_output_tokens: int
    price: str
    cost_nanousd: int
    quote_nanousd: int
    attempts: tuple[Attempted, ...]
    end_user: str
    session: str
    tags: str
    ip: str
    user_agent: str
    client_request_id: str
    worker: str = ""
    windows: str = ""
    quote_tokens: int = 0
    person: str = ""
    cache_write_1h_tokens: int = 0
    web_searches: int = 0


Record = Intent | Progress | Settle
Storable = TypeVar("Storable", bound=msgspec.Struct)


_encode = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes], Record] = msgspec.msgpack.Decoder(Record).decode
_pack = HEADER.pack
_crc32 = zlib.crc32
# Where a frame may begin: eight bytes of header, then an array of records' lengths that opens with one of the three tags.
_FRAME_START = re.compile(rb"(?=[\x00-\xff]{8}(?:\xdc\x00[\x00-\xff]|[\x90-\x9f])\xa1[ips])")


class Stop(Enum):
    """Why reading ended: at the end, where nothing was written yet, at a frame that is not all there, or at bytes that are no frame."""

    END = "end"
    BLANK = "blank"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"


class Frame(NamedTuple):
    """One frame whose checksum holds. `record` is None when its payload is not a known record; `start` and `end` are byte offsets."""

    record: Record | None
    payload: bytes
    start: int
    end: int


def encode(record: Record) -> bytes:
    """The record as a frame: length and CRC-32 of the payload, little-endian 32 bits each, then the payload as MessagePack.

    Never fails on what a caller sent: lone surrogates become question marks and integers are cut to 64 bits signed.
    """
    try:
        payload = _encode(record)
    except (UnicodeEncodeError, OverflowError):
        payload = _encode(_storable(record))
    return _pack(len(payload), _crc32(payload)) + payload


def decode(payload: bytes) -> Record | None:
    """The record in a frame's payload, or None if it is not a known record."""
    try:
        return _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class Frames(Iterator[Frame]):
    """The frames of a buffer, one by one. Once exhausted `stop` says why and `offset` is the end of the last good frame."""

    def __init__(self, buffer: bytes, offset: int) -> None:
        self.buffer = buffer
        self.offset = offset
        self.stop = Stop.END

    def __next__(self) -> Frame:
        """The next frame; raises StopIteration at the first that is incomplete or bad."""
        for frame in self.take(1):
            return frame
        raise StopIteration

    def take(self, most: int) -> list[Frame]:
        """The next frames, at most so many, up to the first that is incomplete or bad; none once exhausted."""
        buffer, size, start = self.buffer, len(self.buffer), self.offset
        header_bytes, unpack = HEADER.size, HEADER.unpack_from
        found: list[Frame] = []
        while len(found) < most:
            body = start + header_bytes
            if body > size:
                self.stop = Stop.END if start >= size else Stop.TRUNCATED
                break
            length, checksum = unpack(buffer, start)
            # The checksum of nothing is zero, so that zeros, of which a new segment is full, would read as records.
            if not length and not checksum:
                self.stop = Stop.BLANK
                break
            if not 0 < length <= MOST_PAYLOAD_BYTES:
                self.stop = Stop.CORRUPT
                break
            end = body + length
            if end > size:
                self.stop = Stop.TRUNCATED
                break
            payload = buffer[body:end]
            if _crc32(payload) != checksum:
                self.stop = Stop.CORRUPT
                break
            found.append(Frame(decode(payload), payload, start, end))
            start = end
        self.offset = start
        return found


def decode_frames(buffer: bytes, offset: int = 0) -> Frames:
    """Read the frames of a buffer from a byte offset on, up to the first bad or incomplete one."""
    return Frames(buffer, offset)


def frame_length(buffer: bytes) -> int:
    """Bytes that the frame at the start of a buffer says it has, header included; 0 when not even its header is there."""
    return HEADER.size + int(HEADER.unpack_from(buffer)[0]) if len(buffer) >= HEADER.size else 0


def next_frame(buffer: bytes, offset: int) -> int | None:
    """Byte offset of the first whole frame at or after an offset, or None: finds the way back after damaged bytes."""
    for match in _FRAME_START.finditer(buffer, offset):
        start = match.start()
        length, checksum = HEADER.unpack_from(buffer, start)
        body = start + HEADER.size
        if 0 < length <= min(MOST_PAYLOAD_BYTES, len(buffer) - body) and _crc32(buffer[body : body + length]) == checksum:
            return start
    return None


def _storable(record: Storable) -> Storable:
    changes: dict[str, Any] = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, str):
            changes[name] = value.encode("utf-8", "replace").decode()
        elif isinstance(value, int) and not isinstance(value, bool):
            changes[name] = max(-MOST_INTEGER, min(MOST_INTEGER, value))
        elif isinstance(value, tuple):
            changes[name] = tuple(_storable(attempt) for attempt in value)
        elif isinstance(value, msgspec.Struct):
            changes[name] = _storable(value)
    return msgspec.structs.replace(record, **changes)
