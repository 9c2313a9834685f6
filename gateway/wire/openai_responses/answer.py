"""Reads whole answers, usage and errors of the Responses API. Knows nothing about streams."""

from typing import Any

import msgspec

from gateway.terms import Answer, Citation, Part, PartKind, Usage
from gateway.wire import WireError, logprobs
from gateway.wire.given import dropped, moment
from gateway.wire.openai_responses.reasoning import NAME

_TOKENS_LIMIT = 1_000_000_000
# Service tiers with rates of their own; any other word is the standard one.
_PRICED_TIERS = frozenset({"batch", "flex", "priority", "fast"})
NULL = msgspec.Raw(b"null")
# items that have a neutral form; the others come of the vendor's own tools
KNOWN = frozenset({"message", "function_call", "reasoning"})


class InputDetails(msgspec.Struct, frozen=True, gc=False):
    """Kinds of input tokens, as the vendor reports them."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class OutputDetails(msgspec.Struct, frozen=True, gc=False):
    """Kinds of output tokens, as the vendor reports them."""

    reasoning_tokens: int | None = None


class VendorUsage(msgspec.Struct, frozen=True, gc=False):
    """The usage object, not yet believed."""

    input_tokens: int
    output_tokens: int
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None


class Annotation(msgspec.Struct, frozen=True, gc=False):
    """A source of a text."""

    type: str = ""
    url: str = ""
    title: str | None = None
    start_index: int = -1
    end_index: int = -1


class Words(msgspec.Struct, frozen=True, gc=False):
    """A part of a message or of reasoning."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[Annotation] | None = None
    logprobs: list[Any] | None = None


class Item(msgspec.Struct, frozen=True, gc=False):
    """An item of the output."""

    type: str = ""
    id: str | None = None
    content: list[Words] | None = None
    summary: list[Words] | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None


class Reason(msgspec.Struct, frozen=True, gc=False):
    """Why an answer is incomplete."""

    reason: str | None = None


class VendorError(msgspec.Struct, frozen=True, gc=False):
    """What went wrong at the vendor."""

    code: str | None = None
    message: str | None = None
    type: str | None = None


class Response(msgspec.Struct, frozen=True, gc=False):
    """A response object, as far as it is read."""

    output: list[Item]
    id: str = ""
    model: str = ""
    status: str | None = None
    created_at: float = 0
    incomplete_details: Reason | None = None
    error: VendorError | None = None
    service_tier: str | None = None
    usage: msgspec.Raw = NULL


class _Metered(msgspec.Struct, frozen=True, gc=False):
    usage: msgspec.Raw = NULL
    service_tier: str | None = None
    output: msgspec.Raw = NULL


class Action(msgspec.Struct, frozen=True, gc=False):
    """What the vendor did on the web: searched, opened a page, or looked for words there."""

    type: str = "search"


class SearchItem(msgspec.Struct, frozen=True, gc=False):
    """An item of the output, as far as searches of the web are concerned."""

    type: str = ""
    status: str | None = None
    action: Action | None = None


_RESPONSE = msgspec.json.Decoder(Response)
_METERED = msgspec.json.Decoder(_Metered)
_USAGE = msgspec.json.Decoder(VendorUsage)
_ITEMS = msgspec.json.Decoder(list[SearchItem] | None)
SEARCH = b"web_search_call"
_NO_ANSWER = frozenset({"failed", "cancelled", "queued", "in_progress"})


def read_answer(body: bytes) -> Answer:
    """Return a whole answer, usage None when it cannot be believed; raises WireError("garbage") when the body is no finished response."""
    try:
        response = _RESPONSE.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise WireError("garbage", "the provider's answer is not a response") from None
    if response.status in _NO_ANSWER:
        words = (response.error.message if response.error else None) or f"the response is {response.status}"
        raise WireError("garbage", f"the provider could not answer: {words[:2000]}")
    usage, problem = believed(response.usage, response.service_tier)
    if SEARCH in body:
        usage, problem = with_searches(usage, problem, _METERED.decode(body).output)
    parts = tuple(part for item in response.output for part in parts_of(item))
    return Answer(
        id=response.id,
        model=response.model,
        parts=parts,
        finish=finish_of(response.incomplete_details, has_calls=any(part.kind is PartKind.TOOL_CALL for part in parts)),
        usage=usage,
        problem=problem,
        created_at_s=moment(response.created_at),
        service_tier=response.service_tier or "",
        untold=_untold(response.output),
        logprobs=tuple(one for item in response.output for words in item.content or () if words.logprobs for one in logprobs.read(words.logprobs)),
    )


def _untold(items: list[Item]) -> tuple[str, ...]:
    """Return the kinds of items that have no neutral form, and `annotations` where any is of no web page."""
    no_page = any(not each.url for item in items for words in item.content or () for each in words.annotations or ())
    return dropped([*(item.type for item in items if item.type not in KNOWN), *(["annotations"] if no_page else [])])


def finish_of(incomplete: Reason | None, *, has_calls: bool) -> str:
    """Return the neutral finish of a response."""
    if incomplete is not None and incomplete.reason:
        return "content_filter" if incomplete.reason == "content_filter" else "length"
    return "tool_calls" if has_calls else "stop"


def parts_of(item: Item) -> list[Part]:
    """Return an item as parts; none for the vendor's own tools."""
    if item.type == "message":
        return [_content(words) for words in item.content or ()]
    if item.type == "function_call":
        return [Part(kind=PartKind.TOOL_CALL, id=item.call_id or "", name=item.name or "", text=item.arguments or "{}")]
    if item.type != "reasoning":
        return []
    text = "\n\n".join(words.text or "" for words in item.summary or item.content or ())
    if not item.encrypted_content:
        return [Part(kind=PartKind.REASONING, text=text)] if text else []
    signature = signature_of(item)
    if not text:
        return [Part(kind=PartKind.REDACTED, text=signature, signed_by=NAME)]
    return [Part(kind=PartKind.REASONING, text=text, signature=signature, signed_by=NAME)]


def signature_of(item: Item) -> str:
    """Return an item's encrypted reasoning with the id it needs on its way back."""
    return f"{item.id or ''}.{item.encrypted_content}"


def _content(words: Words) -> Part:
    if words.type == "refusal":
        return Part(kind=PartKind.REFUSAL, text=words.refusal or "")
    return Part(kind=PartKind.TEXT, text=words.text or "", citations=tuple(citation_of(each) for each in words.annotations or () if each.url))


def citation_of(annotation: Annotation) -> Citation:
    """Return an annotation as a citation."""
    return Citation(url=annotation.url, title=annotation.title or "", start=annotation.start_index, end=annotation.end_index)


def read_usage(body: bytes) -> tuple[Usage | None, str]:
    """Return the tokens a whole answer reports, and "" or what is wrong (usage_missing, usage_invalid). Raises WireError("garbage")."""
    try:
        metered = _METERED.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise WireError("garbage", "the provider's answer is not a JSON object") from None
    usage, problem = believed(metered.usage, metered.service_tier)
    return with_searches(usage, problem, metered.output)


def with_searches(usage: Usage | None, problem: str, output: msgspec.Raw) -> tuple[Usage | None, str]:
    """Return a usage and its problem with the web searches among the items of an output, or None and usage_invalid where nobody can read them.

    There is a fee for those that were completed, and none for pages that were opened: https://platform.openai.com/docs/guides/tools-web-search.
    """
    if usage is None or SEARCH not in bytes(output):
        return usage, problem
    try:
        items = _ITEMS.decode(output) or []
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None, "usage_invalid"
    searches = [item for item in items if item.type == "web_search_call" and item.status in (None, "completed")]
    made = sum(item.action is None or item.action.type == "search" for item in searches)
    return msgspec.structs.replace(usage, web_searches=made), problem


def believed(raw: msgspec.Raw, service_tier: str | None) -> tuple[Usage | None, str]:
    """Return tokens with their tier, and "" or a flag: usage_missing or usage_invalid (None), usage_inconsistent (subsets cut to fit)."""
    if bytes(raw) == b"null":
        return None, "usage_missing"
    try:
        reported = _USAGE.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None, "usage_invalid"
    given, made = reported.input_tokens_details or InputDetails(), reported.output_tokens_details or OutputDetails()
    cached, written, reasoning = given.cached_tokens or 0, given.cache_write_tokens or 0, made.reasoning_tokens or 0
    figures = (reported.input_tokens, reported.output_tokens, cached, written, reasoning)
    if min(figures) < 0 or max(figures) > _TOKENS_LIMIT:
        return None, "usage_invalid"
    problem = ""
    if cached + written > reported.input_tokens or reasoning > reported.output_tokens:
        problem = "usage_inconsistent"
        cached = min(cached, reported.input_tokens)
        written, reasoning = min(written, reported.input_tokens - cached), min(reasoning, reported.output_tokens)
    tier = service_tier if service_tier in _PRICED_TIERS else ""
    return Usage(reported.input_tokens, cached, written, 0, reported.output_tokens, reasoning, 0, tier or ""), problem
