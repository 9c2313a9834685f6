"""Usage records as files of compressed JSON lines, one object per record, with the sums and the checksum that prove them."""

import gzip
import hashlib
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import msgspec

COMPRESSION = 6
READ_BYTES = 1024 * 1024


class Sums(NamedTuple):
    """What a set of records adds up to; cost in nano-USD."""

    rows: int = 0
    cost_nanousd: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


class PartBroken(Exception):
    """A stored file is not what was written; the message says how."""


@dataclass
class Written:
    """A finished local file: its sums, its checksum and size, its last record, and what each budget window paid."""

    sums: Sums
    sha256: str
    bytes: int
    last: tuple[str, str]
    calls: Counter[str] = field(default_factory=Counter)
    cost_nanousd: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)


class _Amounts(msgspec.Struct):
    cost_nanousd: int
    input_tokens: int
    output_tokens: int


class _Hashed:
    """Passes a stored file on and adds it to a checksum."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.sha256 = stream, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes of the file."""
        data = self._stream.read(READ_BYTES if size < 0 else size)
        self.sha256.update(data)
        return data


def write_part(path: Path, records: Iterable[dict[str, Any]]) -> Written | None:
    """Write records, in order of call id and kind, as one file; None when there are none. The same records make the same bytes."""
    encode = msgspec.json.Encoder().encode
    rows = cost = input_tokens = output_tokens = 0
    calls: Counter[str] = Counter()
    spent: Counter[str] = Counter()
    tokens: Counter[str] = Counter()
    record: dict[str, Any] = {}
    with path.open("wb") as raw, gzip.GzipFile("", "wb", COMPRESSION, raw, mtime=0) as file:
        for record in records:
            file.write(encode(record) + b"\n")
            rows += 1
            cost += record["cost_nanousd"]
            input_tokens += record["input_tokens"]
            output_tokens += record["output_tokens"]
            for window in record["windows"].split():
                calls[window] += 1
                spent[window] += record["cost_nanousd"]
                tokens[window] += record["input_tokens"] + record["output_tokens"]
    if not rows:
        return None
    with path.open("rb") as file_read:
        sha256 = hashlib.file_digest(file_read, "sha256").hexdigest()
    sums = Sums(rows, cost, input_tokens, output_tokens)
    return Written(sums, sha256, path.stat().st_size, (record["call_id"], record["kind"]), calls, spent, tokens)


def lines(stream: BinaryIO, sha256: str) -> Iterator[bytes]:
    """Yield the records of a stored file as JSON; raises PartBroken, at the latest at its end, unless it is the file with this checksum."""
    with closing(stream):
        hashed = _Hashed(stream)
        try:
            with gzip.open(cast("BinaryIO", hashed)) as file:  # it only reads
                yield from file
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise PartBroken(f"it cannot be read: {error}") from error
        while hashed.read(READ_BYTES):
            pass
        if hashed.sha256.hexdigest() != sha256:
            raise PartBroken("its checksum is not the recorded one.")


def sums_of(stream: BinaryIO, sha256: str) -> Sums:
    """Return what a stored file adds up to; raises PartBroken unless it is whole and has this checksum."""
    decode = msgspec.json.Decoder(_Amounts).decode
    rows = cost = input_tokens = output_tokens = 0
    try:
        for line in lines(stream, sha256):
            amounts = decode(line)
            rows += 1
            cost += amounts.cost_nanousd
            input_tokens += amounts.input_tokens
            output_tokens += amounts.output_tokens
    except msgspec.MsgspecError as error:
        raise PartBroken(f"a line is no record: {error}") from error
    return Sums(rows, cost, input_tokens, output_tokens)
