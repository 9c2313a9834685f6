"""Reads batches on OpenAI's wire: files of requests and of results, a JSON object a line, and what is told about a batch. Knows no prices."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import orjson

from gateway.wire import BatchAsk, Batching, BatchResult, BatchTold, WireError
from gateway.wire.strict import check, splice
from gateway.wire.strict import fields as fields_of

# what OpenAI takes in one file
MOST_ASKS = 50_000
MOST_ID_CHARACTERS = 200
# in these states nothing more happens
OVER = frozenset({"completed", "failed", "expired", "cancelled"})
ENDPOINTS = frozenset({"chat/completions", "completions", "responses", "embeddings", "moderations"})


class _Ask(msgspec.Struct):
    custom_id: str
    url: str
    body: dict[str, Any]
    method: str = "POST"


class _Told(msgspec.Struct):
    id: str
    status: str = ""
    output_file_id: str | None = None
    error_file_id: str | None = None


class _Listed(msgspec.Struct):
    id: str
    input_file_id: str = ""


class _List(msgspec.Struct):
    data: list[_Listed]
    has_more: bool = False


class _Response(msgspec.Struct):
    status_code: int = 0
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Error(msgspec.Struct):
    code: str | None = None


class _Result(msgspec.Struct):
    custom_id: str
    response: _Response | None = None
    error: _Error | None = None


_TOLD = msgspec.json.Decoder(_Told)
_LIST = msgspec.json.Decoder(_List)
_RESULT = msgspec.json.Decoder(_Result)


def read_asks(content: bytes) -> Iterator[BatchAsk]:
    """Yield the requests of a file. Raises WireError naming the line."""
    for place, (number, line) in enumerate(_lines(content)):
        if place == MOST_ASKS:
            raise WireError("invalid_request", f"The file holds more than {MOST_ASKS} requests.")
        try:
            read = msgspec.convert(check(line), _Ask)
        except msgspec.ValidationError as error:
            raise WireError("invalid_request", f"Line {number} is no request of a batch: {error}.") from None
        except WireError as error:
            raise WireError(error.code, f"Line {number}: {error.message}") from None
        if read.method != "POST" or not 0 < len(read.custom_id) <= MOST_ID_CHARACTERS:
            raise WireError("invalid_request", f"Line {number} needs the method POST and a custom_id of at most {MOST_ID_CHARACTERS} characters.")
        yield BatchAsk(read.custom_id, read.url.removeprefix("/v1").removeprefix("/"), bytes(fields_of(line)["body"]), read.body)


def rewrite(content: bytes, bodies: Mapping[int, bytes]) -> bytes:
    """Return a file that `read_asks` could read with the bodies of some requests, by their place, replaced."""
    return b"\n".join(
        splice(fields_of(line), {"body": bodies[place]}) if place in bodies else line for place, (_, line) in enumerate(_lines(content))
    )


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield lines that hold something, with their numbers from 1."""
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            yield number, line.strip()


def read_told(body: bytes) -> BatchTold:
    """Return what is told about a batch. Raises WireError."""
    try:
        told = _TOLD.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise WireError("garbage", "the provider's answer is not about a batch") from None
    return BatchTold(told.id, told.status in OVER, tuple(name for name in (told.output_file_id, told.error_file_id) if name))


def find(page: bytes, file_id: str) -> tuple[tuple[str, ...], str]:
    """Return the batches of a list's page that are made of a file, and where the next page begins, "" behind the last. Raises WireError."""
    try:
        listed = _LIST.decode(page)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise WireError("garbage", "the provider's answer is no list of batches") from None
    rows = listed.data
    return tuple([row.id for row in rows if row.input_file_id == file_id]), rows[-1].id if listed.has_more and rows else ""


def read_result(line: bytes) -> BatchResult:
    """Return what became of a request. Raises WireError."""
    try:
        read = _RESULT.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise WireError("garbage", "a line of the results cannot be read") from None
    answered = read.response
    if answered is None or not answered.status_code:
        return BatchResult(read.custom_id, 0, error_code=(read.error.code if read.error is not None else None) or "batch_failed")
    return BatchResult(read.custom_id, answered.status_code, bytes(answered.body), "" if answered.status_code < 400 else _code_in(bytes(answered.body)))


def _code_in(body: bytes) -> str:
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "vendor_refused"
    error = said.get("error") if isinstance(said, dict) else None
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, str) and code.isascii() and 0 < len(code) <= 40 else "vendor_refused"


BATCHING = {"batches": Batching("batch", read_told, endpoints=ENDPOINTS, read_asks=read_asks, rewrite=rewrite, read_result=read_result, find=find)}
