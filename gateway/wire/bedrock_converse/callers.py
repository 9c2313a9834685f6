"""How AWS's own SDKs are understood and told on the provider path of a Bedrock account. Their requests pass as they are."""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from gateway.wire import Head, WireError
from gateway.wire.bedrock_converse.frames import exception
from gateway.wire.given import misfit
from gateway.wire.strict import splice

MOST_OUTPUT_TOKENS = 10_000_000
# headers by which SDKs ask InvokeModel for more than an answer
PASSED = frozenset(
    b"x-amzn-bedrock-" + name
    for name in (b"trace", b"guardrailidentifier", b"guardrailversion", b"performanceconfig-latency", b"service-tier", b"request-metadata")
)
# what SDKs raise, by status; with anything else they would try again or not as the status says
_ERRORS = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    402: "ServiceQuotaExceededException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
}
_IN_STREAMS = {400: "validationException", 429: "throttlingException", 503: "serviceUnavailableException"}
_REQUEST_ID = b"x-amzn-requestid: "
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_GUARDRAIL = "Requests name no guardrail: it belongs to whoever holds the account at AWS, and has a price of its own. Leave guardrailConfig out."
_LATENCY = "Optimized latency has a price that answers do not tell of: leave performanceConfig out."


class _Config(msgspec.Struct, rename="camel"):
    max_tokens: int | None = None


class _Performance(msgspec.Struct):
    latency: str | None = None


class _Fields(msgspec.Struct, rename="camel"):
    inference_config: _Config | None = None
    guardrail_config: Any = None
    performance_config: _Performance | None = None


def read_head(parsed: Mapping[str, Any]) -> Head:
    """Return what the gateway reads of a request to converse, or to count its tokens. Raises WireError."""
    try:
        fields = msgspec.convert(parsed, _Fields)
    except msgspec.ValidationError as error:
        raise misfit(error) from None
    if fields.guardrail_config is not None:
        raise WireError("unsupported_field", _GUARDRAIL, "guardrailConfig")
    if fields.performance_config is not None and fields.performance_config.latency not in (None, "standard"):
        raise WireError("unsupported_field", _LATENCY, "performanceConfig.latency")
    output_tokens = (fields.inference_config.max_tokens or 0) if fields.inference_config is not None else 0
    if not 0 <= output_tokens <= MOST_OUTPUT_TOKENS:
        raise WireError("invalid_request", "inferenceConfig.maxTokens must be between 1 and 10 000 000.", "inferenceConfig.maxTokens")
    return Head(max_output_tokens=output_tokens)


def limit_output(fields: Mapping[str, msgspec.Raw], tokens: int) -> Mapping[str, bytes | None]:
    """Return the change that bounds an answer's tokens, which stands in `inferenceConfig`."""
    given = fields.get("inferenceConfig")
    config = _FIELDS.decode(given) if given is not None and bytes(given) != b"null" else {}
    return {"inferenceConfig": splice(config, {"maxTokens": b"%d" % tokens})}


def may_name(parsed: Mapping[str, Any]) -> bool:
    """Return whether a request may name what AWS would read with the account's rights: places in S3 may stand anywhere."""
    return True


def write_count(tokens: int) -> bytes:
    """Return a count of tokens."""
    return orjson.dumps({"inputTokens": tokens})


def error_body(status: int, code: str, kind: str, message: str, param: str | None, detail: Mapping[str, Any]) -> bytes:
    """Return a refusal as SDKs read it, with our own words for it beside."""
    name = _ERRORS.get(status, "InternalServerException" if status >= 500 else "ValidationException")
    return orjson.dumps({"__type": name, "message": message, "code": name, "sgw": {"code": code, "param": param, **detail}})


def error_event(status: int, code: str, kind: str, message: str, param: str | None, detail: Mapping[str, Any]) -> bytes:
    """Return a refusal as the last frame of a stream."""
    told = orjson.dumps({"message": message, "sgw": {"code": code, "param": param, **detail}})
    return exception(_IN_STREAMS.get(status, "internalServerException"), told)


def answer_lines(head: bytes, now_s: float) -> bytes:
    """Return the header lines of an answer with the id that SDKs look for; `now_s` is Unix time."""
    if _REQUEST_ID in head:
        return head
    found = next((line for line in head.split(b"\r\n") if line.startswith(b"x-request-id: ")), b"")
    return head + _REQUEST_ID + found.partition(b": ")[2] + b"\r\n" if found else head
