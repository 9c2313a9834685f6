"""Reads batches on Anthropic's wire: their requests stand in the body that makes them, their results are a JSON object a line. Knows no prices."""

from collections.abc import Iterator, Mapping

import msgspec
import orjson

from gateway.wire import BatchAsk, Batching, BatchResult, BatchTold, WireError
from gateway.wire.strict import check, splice
from gateway.wire.strict import fields as fields_of

# what Anthropic takes in one batch
MOST_ASKS = 100_000
MOST_ID_CHARACTERS = 64
# statuses of errors by their type (https://docs.claude.com/en/api/errors)
STATUSES = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403, "not_found_error": 404,
    "request_too_large": 413, "rate_limit_error": 429, "timeout_error": 504, "overloaded_error": 529,
}  # fmt: skip


class _Ask(msgspec.Struct):
    custom_id: str
    params: msgspec.Raw


class _Asks(msgspec.Struct):
    requests: list[_Ask]


class _RawAsks(msgspec.Struct):
    requests: list[msgspec.Raw]


class _Told(msgspec.Struct):
    id: str
    processing_status: str = ""


class _Error(msgspec.Struct):
    type: str = ""


class _Outer(msgspec.Struct):
    error: _Error | None = None


class _Outcome(msgspec.Struct):
    type: str = ""
    message: msgspec.Raw = msgspec.Raw(b"null")
    error: _Outer | None = None


class _Result(msgspec.Struct):
    custom_id: str
    result: _Outcome


_ASKS = msgspec.json.Decoder(_Asks)
_RAW_ASKS = msgspec.json.Decoder(_RawAsks)
_TOLD = msgspec.json.Decoder(_Told)
_RESULT = msgspec.json.Decoder(_Result)


def read_asks(content: bytes) -> Iterator[BatchAsk]:
    """Yield the requests of a batch. Raises WireError."""
    check(content)
    try:
        asks = _ASKS.decode(content).requests
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise WireError("invalid_request", f"The request does not fit: {error}.", "requests") from None
    if len(asks) > MOST_ASKS:
        raise WireError("invalid_request", f"requests holds more than {MOST_ASKS} requests.", "requests")
    for place, ask in enumerate(asks):
        if not 0 < len(ask.custom_id) <= MOST_ID_CHARACTERS:
            raise WireError("invalid_request", f"requests.{place} needs a custom_id of at most {MOST_ID_CHARACTERS} characters.", f"requests.{place}.custom_id")
        params = orjson.loads(bytes(ask.params))
        if not isinstance(params, dict):
            raise WireError("invalid_request", f"requests.{place}.params must be an object.", f"requests.{place}.params")
        yield BatchAsk(ask.custom_id, "messages", bytes(ask.params), params)


def rewrite(content: bytes, bodies: Mapping[int, bytes]) -> bytes:
    """Return a batch that `read_asks` could read with the bodies of some requests, by their place, replaced."""
    asks = [
        splice(fields_of(bytes(raw)), {"params": bodies[place]}) if place in bodies else bytes(raw)
        for place, raw in enumerate(_RAW_ASKS.decode(content).requests)
    ]
    return splice(fields_of(content), {"requests": b"[" + b",".join(asks) + b"]"})


def read_told(body: bytes) -> BatchTold:
    """Return what is told about a batch. Raises WireError."""
    try:
        told = _TOLD.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise WireError("garbage", "the provider's answer is not about a batch") from None
    return BatchTold(told.id, told.processing_status == "ended")


def read_result(line: bytes) -> BatchResult:
    """Return what became of a request. Raises WireError."""
    try:
        read = _RESULT.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise WireError("garbage", "a line of the results cannot be read") from None
    outcome = read.result
    if outcome.type == "succeeded":
        return BatchResult(read.custom_id, 200, bytes(outcome.message))
    if outcome.type == "errored":
        kind = outcome.error.error.type if outcome.error is not None and outcome.error.error is not None else ""
        return BatchResult(read.custom_id, STATUSES.get(kind, 500), error_code="vendor_refused")
    return BatchResult(read.custom_id, 0, error_code="batch_expired" if outcome.type == "expired" else "batch_cancelled")


def with_results_at(body: bytes, base: str) -> bytes:
    """Return what is told about a batch with the address of its results, where it has one, below another base URL. Raises WireError."""
    fields = fields_of(body)
    given = fields.get("results_url")
    if given is None or bytes(given) == b"null":
        return body
    return splice(fields, {"results_url": orjson.dumps(f"{base}/{read_told(body).object_id}/results")})


BATCHING = {
    "messages/batches": Batching(
        "message_batch",
        read_told,
        endpoints=frozenset({"messages"}),
        read_asks=read_asks,
        rewrite=rewrite,
        read_result=read_result,
        results="results",
        with_results_at=with_results_at,
    )
}
