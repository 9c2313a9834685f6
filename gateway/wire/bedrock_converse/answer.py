"""Reads whole answers, usage and errors of Bedrock's Converse. Knows nothing about streams."""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from gateway.terms import Answer, Citation, Part, PartKind, Usage
from gateway.wire import WireError
from gateway.wire.given import dropped

WIRE_NAME = "bedrock_converse"
_TOKENS_LIMIT = 1_000_000_000
_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "content_filter",
}
_PRICED_TIERS = frozenset({"priority", "flex"})
_PLACES = {"documentChar": "char", "documentPage": "page", "documentChunk": "block"}
NULL = msgspec.Raw(b"null")
# tools that AWS runs itself
SERVERS = "server_tool_use"


class VendorUsage(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Tokens as AWS counts them: `input_tokens` is without what was read from or written to the cache."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    cache_details: Any = None


class Tier(msgspec.Struct, frozen=True, gc=False):
    """The service tier that served a call."""

    type: str = ""


class _Thought(msgspec.Struct, frozen=True, gc=False):
    text: str = ""
    signature: str | None = None


class _Reasoning(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    reasoning_text: _Thought | None = None
    redacted_content: str | None = None


class _ToolUse(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    tool_use_id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")
    type: str | None = None


class _Text(msgspec.Struct, frozen=True, gc=False):
    text: str | None = None


class _Cited(msgspec.Struct, frozen=True, gc=False):
    content: list[_Text] = []
    citations: list[dict[str, Any]] = []


class _Block(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None
    citations_content: _Cited | None = None
    image: msgspec.Raw = NULL
    video: msgspec.Raw = NULL
    audio: msgspec.Raw = NULL
    tool_result: msgspec.Raw = NULL
    search_result: msgspec.Raw = NULL


class _Message(msgspec.Struct, frozen=True, gc=False):
    content: list[_Block]


class _Output(msgspec.Struct, frozen=True, gc=False):
    message: _Message


class _Answer(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    output: _Output
    stop_reason: str | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")
    service_tier: Tier | None = None


class _UsageOnly(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    usage: msgspec.Raw = msgspec.Raw(b"null")
    service_tier: Tier | None = None


# what comes of AWS's own tools, or has no neutral form: its name on this wire
_NO_FORM = (("image", "image"), ("video", "video"), ("audio", "audio"), ("tool_result", "toolResult"), ("search_result", "searchResult"))
UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
_ANSWER = msgspec.json.Decoder(_Answer)
_USAGE = msgspec.json.Decoder(VendorUsage)
_USAGE_ONLY = msgspec.json.Decoder(_UsageOnly)


def finish_of(stop_reason: str | None) -> str:
    """Return the neutral finish for a stop reason; an unknown reason is a plain stop."""
    return _FINISH.get(stop_reason or "", "stop")


def believed(raw: msgspec.Raw, tier: Tier | None) -> tuple[Usage | None, str]:
    """Return neutral tokens of a usage object, and "" or what is wrong with it: the cache's kinds are parts of the input."""
    if bytes(raw) == b"null":
        return None, "usage_missing"
    try:
        told = _USAGE.decode(raw)
    except UNREADABLE:
        return None, "usage_invalid"
    cached, written = told.cache_read_input_tokens or 0, told.cache_write_input_tokens or 0
    figures = (told.input_tokens, told.output_tokens, cached, written)
    if min(figures) < 0 or max(figures) > _TOKENS_LIMIT:
        return None, "usage_invalid"
    served = tier.type if tier is not None and tier.type in _PRICED_TIERS else ""
    whole_input = told.input_tokens + cached + written
    hour = _for_an_hour(told.cache_details, written) if told.cache_details else 0
    return Usage(
        input_tokens=whole_input, cached_tokens=cached, cache_write_tokens=written, output_tokens=told.output_tokens, tier=served, cache_write_1h_tokens=hour
    ), ""


def _for_an_hour(details: Any, written: int) -> int:
    """Return how many of the tokens written to the cache stay there for an hour: `cacheDetails` tells writes by their time to live."""
    each = [one.get("inputTokens") for one in details if isinstance(one, dict) and one.get("ttl") == "1h"] if isinstance(details, list) else []
    return max(0, min(sum(tokens for tokens in each if type(tokens) is int), written))


def read_answer(body: bytes) -> Answer:
    """Return a whole answer, usage None when it cannot be believed; raises WireError("garbage") when the body is no answer."""
    try:
        told = _ANSWER.decode(body)
    except UNREADABLE:
        raise WireError("garbage", "the provider's answer is not one of Converse") from None
    usage, problem = believed(told.usage, told.service_tier)
    return Answer(
        id="",
        model="",
        parts=tuple([part for block in told.output.message.content if (part := _part(block)) is not None]),
        finish=finish_of(told.stop_reason),
        usage=usage,
        problem=problem,
        untold=dropped([name for block in told.output.message.content for name in _untold(block)]),
        service_tier=told.service_tier.type if told.service_tier is not None else "",
    )


def _untold(block: _Block) -> list[str]:
    found = [name for field, name in _NO_FORM if (raw := getattr(block, field)) is not NULL and bytes(raw) != b"null"]
    return [*found, SERVERS] if block.tool_use is not None and block.tool_use.type == SERVERS else found


def read_usage(body: bytes) -> tuple[Usage | None, str]:
    """Return the tokens a whole answer reports, and "" or what is wrong (usage_missing, usage_invalid). Raises WireError("garbage")."""
    try:
        told = _USAGE_ONLY.decode(body)
    except UNREADABLE:
        raise WireError("garbage", "the provider's answer is not a JSON object") from None
    return believed(told.usage, told.service_tier)


def _part(block: _Block) -> Part | None:
    """Return a block as a part; None for what AWS's own tools did and for kinds that no client understands."""
    if block.text is not None:
        return Part(kind=PartKind.TEXT, text=block.text)
    if block.tool_use is not None and block.tool_use.type != SERVERS:
        call = block.tool_use
        return Part(kind=PartKind.TOOL_CALL, id=call.tool_use_id, name=call.name, text=bytes(call.input).decode())
    if block.reasoning_content is not None:
        return _reasoning(block.reasoning_content)
    if block.citations_content is not None:
        text = "".join(each.text or "" for each in block.citations_content.content)
        return Part(kind=PartKind.TEXT, text=text, citations=tuple(cited(each) for each in block.citations_content.citations))
    return None


def _reasoning(told: _Reasoning) -> Part | None:
    if told.reasoning_text is not None:
        signature = told.reasoning_text.signature or ""
        return Part(kind=PartKind.REASONING, text=told.reasoning_text.text, signature=signature, signed_by=WIRE_NAME if signature else "")
    return Part(kind=PartKind.REDACTED, text=told.redacted_content, signed_by=WIRE_NAME) if told.redacted_content else None


def cited(value: Mapping[str, Any], start: int = -1, end: int = -1) -> Citation:
    """Return a citation the vendor made of a piece of its text, whatever of it makes sense."""
    location = _object(value.get("location"))
    kind = next((name for name in _PLACES if name in location), "")
    place, web = _object(location.get(kind)), _object(location.get("web"))
    quoted = value.get("sourceContent")
    pieces = [_word(_object(each).get("text")) for each in quoted] if isinstance(quoted, list) else []
    source = _word(value.get("source"))
    return Citation(
        url=_word(web.get("url")) or (source if source.startswith(("https://", "http://")) else ""),
        title=_word(value.get("title")),
        quoted="".join(pieces),
        start=start,
        end=end,
        document=_count(place.get("documentIndex")),
        place=_PLACES.get(kind, ""),
        first=_count(place.get("start")),
        last=_count(place.get("end")),
    )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    return value if type(value) is int and value >= 0 else -1


def error_message(body: bytes) -> str:
    """Return the vendor's own words from an error body, at most 2000 characters; "" when it says nothing readable."""
    try:
        value = _object(orjson.loads(body))
    except orjson.JSONDecodeError:
        return ""
    return (_word(value.get("message")) or _word(value.get("Message")))[:2000]
