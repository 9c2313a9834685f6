"""Reads whole answers, usage and errors of Anthropic's Messages API. Knows nothing about streams."""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from gateway.terms import Answer, Citation, Part, PartKind, Usage
from gateway.wire import WireError
from gateway.wire.anthropic_messages.blocks import PLACES, WIRE_NAME
from gateway.wire.given import dropped
from gateway.wire.searches import MOST_SEARCHES

_TOKENS_LIMIT = 1_000_000_000
_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_TIERS = {"standard": "default", "priority": "priority", "batch": "flex"}
_PRICED_TIERS = frozenset({"priority", "batch"})
# blocks that have a neutral form; the others come of the vendor's own tools
KNOWN = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})


class OutputDetails(msgspec.Struct, frozen=True, gc=False):
    """How many of the output tokens were thinking."""

    thinking_tokens: int | None = None


class Iteration(msgspec.Struct, frozen=True, gc=False):
    """Tokens of one of the model's runs that an answer took; `input_tokens` as in VendorUsage."""

    type: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: Any = None


class VendorUsage(msgspec.Struct, frozen=True, gc=False):
    """Tokens as Anthropic counts them: `input_tokens` is without what was read from or written to the cache.

    All figures but those of `iterations` are without what it took to compact the conversation.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: Any = None
    output_tokens_details: OutputDetails | None = None
    service_tier: str | None = None
    speed: Any = None
    server_tool_use: Any = None
    iterations: list[Iteration] | None = None


class _Block(msgspec.Struct, frozen=True, gc=False):
    type: str
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    citations: list[dict[str, Any]] | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"null")


class _Message(msgspec.Struct, frozen=True, gc=False):
    content: list[_Block]
    id: str = ""
    model: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: msgspec.Raw = msgspec.Raw(b"null")


_MESSAGE = msgspec.json.Decoder(_Message)
_USAGE = msgspec.json.Decoder(VendorUsage)


def finish_of(stop_reason: str | None) -> str:
    """Return the neutral finish for a stop reason; an unknown reason is a plain stop."""
    return _FINISH.get(stop_reason or "", "stop")


def read_vendor_usage(raw: msgspec.Raw) -> VendorUsage | None:
    """Return the usage object if it is well-formed and every figure believable, else None."""
    try:
        reported = _USAGE.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return reported if _believable(reported) and all(_believable(one) for one in _compactions(reported)) else None


def _compactions(reported: VendorUsage) -> list[Iteration]:
    return [one for one in reported.iterations if one.type == "compaction"] if reported.iterations else []


def _believable(told: VendorUsage | Iteration) -> bool:
    figures = (told.input_tokens, told.output_tokens, told.cache_read_input_tokens, told.cache_creation_input_tokens)
    known = [figure for figure in figures if figure is not None]
    return bool(known) and min(known) >= 0 and max(known) <= _TOKENS_LIMIT


def usage_of(reported: VendorUsage) -> Usage:
    """Return neutral tokens: the cache kinds are parts of the input, thinking is part of the output, and what compacting took is added."""
    if reported.iterations:
        reported = _with_compactions(reported)
    cached, written = reported.cache_read_input_tokens or 0, reported.cache_creation_input_tokens or 0
    output = reported.output_tokens or 0
    thinking = (reported.output_tokens_details.thinking_tokens or 0) if reported.output_tokens_details else 0
    return Usage(
        input_tokens=(reported.input_tokens or 0) + cached + written,
        cached_tokens=cached,
        cache_write_tokens=written,
        output_tokens=output,
        reasoning_tokens=max(0, min(thinking, output)),
        tier=_tier_of(reported),
        cache_write_1h_tokens=_for_an_hour(reported.cache_creation, written) if written else 0,
        web_searches=_searches(reported.server_tool_use) if reported.server_tool_use else 0,
    )


def _searches(used: Any) -> int:
    """Return how many web searches are told; a number nobody can believe counts as none."""
    told = used.get("web_search_requests") if isinstance(used, dict) else None
    return told if type(told) is int and 0 <= told <= MOST_SEARCHES else 0


def _for_an_hour(creation: Any, written: int) -> int:
    """Return how many of the tokens written to the cache stay there for an hour."""
    told = creation.get("ephemeral_1h_input_tokens") if isinstance(creation, dict) else None
    return max(0, min(told, written)) if type(told) is int else 0


def _with_compactions(reported: VendorUsage) -> VendorUsage:
    """Return the figures with those of compactions, which alone are not within them: https://docs.claude.com/en/docs/build-with-claude/compaction."""
    compactions = _compactions(reported)
    runs: list[VendorUsage | Iteration] = [reported, *compactions]
    for_an_hour = sum(_for_an_hour(one.cache_creation, one.cache_creation_input_tokens or 0) for one in runs)
    return msgspec.structs.replace(
        reported,
        input_tokens=(reported.input_tokens or 0) + sum(one.input_tokens or 0 for one in compactions),
        output_tokens=(reported.output_tokens or 0) + sum(one.output_tokens or 0 for one in compactions),
        cache_read_input_tokens=(reported.cache_read_input_tokens or 0) + sum(one.cache_read_input_tokens or 0 for one in compactions),
        cache_creation_input_tokens=(reported.cache_creation_input_tokens or 0) + sum(one.cache_creation_input_tokens or 0 for one in compactions),
        cache_creation={"ephemeral_1h_input_tokens": for_an_hour},
    )


def _tier_of(reported: VendorUsage) -> str:
    if reported.speed == "fast":
        return "fast"
    tier = reported.service_tier or ""
    return tier if tier in _PRICED_TIERS else ""


def read_answer(body: bytes) -> Answer:
    """Return a whole answer, usage None when it cannot be believed; raises WireError("garbage") when the body is no message."""
    try:
        message = _MESSAGE.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise WireError("garbage", "the provider's answer is not a message") from None
    reported = read_vendor_usage(message.usage)
    usage, problem = _believed(reported, message.usage)
    return Answer(
        id=message.id,
        model=message.model,
        parts=tuple([part for block in message.content if (part := _part(block)) is not None]),
        untold=dropped([block.type for block in message.content if block.type not in KNOWN]),
        finish=finish_of(message.stop_reason),
        usage=usage,
        problem=problem,
        service_tier=_TIERS.get((reported.service_tier or "") if reported else "", ""),
        stop_sequence=message.stop_sequence or "" if message.stop_reason == "stop_sequence" else "",
    )


class _Usage(msgspec.Struct, frozen=True, gc=False):
    usage: msgspec.Raw = msgspec.Raw(b"null")


_USAGE_ONLY = msgspec.json.Decoder(_Usage)


def read_usage(body: bytes) -> tuple[Usage | None, str]:
    """Return the tokens a whole answer reports, and "" or what is wrong (usage_missing, usage_invalid). Raises WireError("garbage")."""
    try:
        raw = _USAGE_ONLY.decode(body).usage
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise WireError("garbage", "the provider's answer is not a JSON object") from None
    return _believed(read_vendor_usage(raw), raw)


def _believed(reported: VendorUsage | None, raw: msgspec.Raw) -> tuple[Usage | None, str]:
    if reported is not None and reported.output_tokens is not None:
        return usage_of(reported), ""
    return None, "usage_missing" if bytes(raw) == b"null" else "usage_invalid"


def _part(block: _Block) -> Part | None:
    """Return a block as a part; None for the vendor's own server tools."""
    if block.type == "text":
        return Part(kind=PartKind.TEXT, text=block.text or "", citations=tuple([cited(each) for each in block.citations]) if block.citations else ())
    if block.type == "thinking":
        signature = block.signature or ""
        return Part(kind=PartKind.REASONING, text=block.thinking or "", signature=signature, signed_by=WIRE_NAME if signature else "")
    if block.type == "redacted_thinking":
        return Part(kind=PartKind.REDACTED, text=block.data or "", signed_by=WIRE_NAME)
    if block.type == "tool_use":
        given = bytes(block.input).decode()
        arguments = "{}" if given == "null" else given
        return Part(kind=PartKind.TOOL_CALL, id=block.id or "", name=block.name or "", text=arguments)
    return None


def cited(value: Mapping[str, Any], start: int = -1, end: int = -1) -> Citation:
    """Return a citation the vendor made of a piece of its text, whatever of it makes sense."""
    title, place = value.get("document_title") or value.get("title"), PLACES.get(str(value.get("type")), ("", "", ""))
    url = value.get("url") or (value.get("source") if value.get("type") == "search_result_location" else "")
    return Citation(
        url=_word(url),
        title=_word(title),
        quoted=_word(value.get("cited_text")),
        start=start,
        end=end,
        document=_count(value.get("document_index")) if place[0] else -1,
        place=place[0],
        first=_count(value.get(place[1])),
        last=_count(value.get(place[2])),
    )


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    return value if type(value) is int and value >= 0 else -1


def error_message(body: bytes) -> str:
    """Return the vendor's own words from an error body, at most 2000 characters; "" when it says nothing readable."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    error = value.get("error", value) if isinstance(value, dict) else value
    words = (error.get("message") or error.get("type")) if isinstance(error, dict) else error
    return words[:2000] if isinstance(words, str) else ""
