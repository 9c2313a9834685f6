"""Reads whole answers, usage and errors of Gemini's API. Knows nothing about streams."""

import re
import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

from gateway.terms import Answer, Citation, Logprob, Part, PartKind, Usage
from gateway.wire import WireError
from gateway.wire.gemini.shapes import (
    NULL,
    RESPONSE,
    Blob,
    Candidate,
    Feedback,
    FunctionCall,
    Logprobs,
    Modality,
    Response,
    Segment,
    VendorPart,
    VendorUsage,
    Web,
)
from gateway.wire.gemini.thoughts import NAME
from gateway.wire.given import dropped
from gateway.wire.searches import MOST_SEARCHES

_TOKENS_LIMIT = 1_000_000_000
_FOREIGN_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")
# https://ai.google.dev/api/generate-content#FinishReason; all others are a plain stop
_FINISHES = {"MAX_TOKENS": "length"} | dict.fromkeys(
    (
        "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
    ),
    "content_filter",
)  # fmt: skip
_PLAIN_FINISHES = frozenset({*_FINISHES, "STOP", "FINISH_REASON_UNSPECIFIED", ""})
_TIERS = {"ON_DEMAND_FLEX": "flex", "ON_DEMAND_PRIORITY": "priority", "FLEX": "flex", "PRIORITY": "priority"}


class _UsageOnly(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    usage_metadata: msgspec.Raw = NULL


_USAGE = msgspec.json.Decoder(VendorUsage)
_SEARCHES = b"webSearchQueries"
_USAGE_ONLY = msgspec.json.Decoder(_UsageOnly)


def believed(raw: msgspec.Raw) -> tuple[Usage | None, str]:
    """Return neutral tokens and "", or None and what is wrong: usage_missing, usage_invalid."""
    if raw is NULL or bytes(raw) in (b"null", b"{}"):
        return None, "usage_missing"
    try:
        reported = _USAGE.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None, "usage_invalid"
    output, thoughts = reported.candidates_token_count or 0, reported.thoughts_token_count or 0
    figures = [reported.prompt_token_count or 0, reported.tool_use_prompt_token_count or 0, reported.cached_content_token_count or 0, output, thoughts]
    for details in (reported.prompt_tokens_details, reported.candidates_tokens_details, reported.cache_tokens_details):
        if details:
            figures += [one.token_count for one in details]
    if min(figures) < 0 or max(figures) > _TOKENS_LIMIT:
        return None, "usage_invalid"
    entered = figures[0] + figures[1]
    cached = min(figures[2], entered)
    # what of the sound came from the cache is among what is cached
    audio_in = min(max(0, _audio(reported.prompt_tokens_details) - _audio(reported.cache_tokens_details)), entered - cached)
    audio_out = min(_audio(reported.candidates_tokens_details), output)
    tier = reported.traffic_type or reported.service_tier
    named = _TIERS.get(tier.upper(), "") if isinstance(tier, str) else ""
    # what Google calls the output is without the thoughts, which are billed as output
    return Usage(entered, cached, 0, audio_in, output + thoughts, thoughts, audio_out, named), ""


def _audio(details: list[Modality] | None) -> int:
    return sum(one.token_count for one in details if one.modality == "AUDIO") if details else 0


def read_usage(body: bytes) -> tuple[Usage | None, str]:
    """Return the tokens a whole answer reports, and "" or what is wrong (usage_missing, usage_invalid). Raises WireError("garbage")."""
    try:
        raw = _USAGE_ONLY.decode(body).usage_metadata
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise WireError("garbage", "the provider's answer is not a JSON object") from None
    usage, problem = believed(raw)
    if usage is not None and _SEARCHES in body:
        try:
            usage = msgspec.structs.replace(usage, web_searches=searches_in(RESPONSE.decode(body)))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return None, "usage_invalid"
    return usage, problem


def searches_in(response: Response) -> int:
    """Return how many web searches Google has a fee for: of Gemini 3 and later each query, of those before each prompt that was grounded
    (https://ai.google.dev/gemini-api/docs/pricing)."""
    told = [one.grounding_metadata.web_search_queries for one in response.candidates or () if one.grounding_metadata is not None]
    queries = min(sum(len(each) for each in told if isinstance(each, list)), MOST_SEARCHES)
    return min(queries, 1) if (response.model_version or "").startswith(("gemini-1", "gemini-2")) else queries


def text_bytes(body: bytes) -> int:
    """Return the size in bytes of an answer's texts and calls, to estimate tokens from; the whole answer's if its shape is unknown."""
    try:
        candidates = RESPONSE.decode(body).candidates or ()
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return len(body)
    contents = [candidate.content for candidate in candidates if candidate.content is not None]
    return sum(bytes_of(part) for content in contents for part in content.parts or ())


def bytes_of(part: VendorPart) -> int:
    """Return the size in bytes of a part's text or a call's arguments."""
    size = len(part.text.encode("utf-8", "replace")) if part.text else 0
    return size if part.function_call is None else size + len(bytes(part.function_call.args))


def finish_of(reason: str, *, has_calls: bool) -> str:
    """Return the neutral finish for a finish reason; an unknown one is a plain stop."""
    found = _FINISHES.get(reason)
    return found or ("tool_calls" if has_calls else "stop")


def unclear(reason: str) -> list[str]:
    """Return the name of a finish reason that no other wire has, such as that of a call the model garbled, whose answer is empty."""
    return [] if reason in _PLAIN_FINISHES else [f"finishReason.{reason}"]


def call_id(given: str | None, response_id: str, number: int) -> str:
    """Return a call's id: the vendor's, else one made of the answer's own, so that no two of a conversation are alike."""
    if given:
        return given
    return f"call_{_FOREIGN_IN_ID.sub('_', response_id)[:24] or secrets.token_hex(8)}_{number}"


def arguments_of(call: FunctionCall) -> str:
    """Return a call's arguments as JSON text."""
    given = bytes(call.args)
    return "{}" if given == b"null" else given.decode()


def refusal_of(feedback: Feedback) -> str:
    """Return what is said of a prompt that was not answered."""
    return feedback.block_reason_message or f"The provider did not answer this prompt: {feedback.block_reason}."


def read_answer(body: bytes) -> Answer:
    """Return a whole answer, usage None when it cannot be believed. Raises WireError("garbage") when the body is no answer."""
    try:
        response = RESPONSE.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise WireError("garbage", "the provider's answer is not a GenerateContentResponse") from None
    usage, problem = believed(response.usage_metadata)
    feedback, first = response.prompt_feedback, response.candidates[0] if response.candidates else None
    if first is None:
        if feedback is None or not feedback.block_reason:
            raise WireError("garbage", "the provider's answer has no candidates")
        parts: tuple[Part, ...] = (Part(PartKind.REFUSAL, text=refusal_of(feedback)),)
        return Answer(response.response_id or "", response.model_version or "", parts, "content_filter", usage, problem)
    known_as, tier = response.response_id or "", "" if usage is None else usage.tier
    others = tuple([_answer(other, known_as) for other in response.candidates[1:]]) if response.candidates else ()
    return _answer(first, known_as, response.model_version or "", usage, problem, tier, others)


def _answer(
    candidate: Candidate, response_id: str, model: str = "", usage: Usage | None = None, problem: str = "", tier: str = "", others: tuple[Answer, ...] = ()
) -> Answer:
    parts = _parts(candidate, response_id)
    finish = finish_of(candidate.finish_reason or "", has_calls=any(part.kind is PartKind.TOOL_CALL for part in parts))
    untold = dropped([*(name for part in _given(candidate) for name in untold_of(part)), *unclear(candidate.finish_reason or "")])
    logprobs = tokens_of(candidate.logprobs_result) if candidate.logprobs_result is not None else ()
    return Answer(response_id, model, parts, finish, usage, problem, 0, tier, "", logprobs, others, untold)


def _given(candidate: Candidate) -> Sequence[VendorPart]:
    return (candidate.content.parts if candidate.content is not None else None) or ()


def tokens_of(told: Logprobs) -> tuple[Logprob, ...]:
    """Return how likely the tokens of a text were."""
    tops = told.top_candidates or []
    found = []
    for place, chosen in enumerate(told.chosen_candidates or ()):
        likeliest = (tops[place].candidates or ()) if place < len(tops) else ()
        found.append(Logprob(chosen.token, chosen.log_probability, tuple(Logprob(one.token, one.log_probability) for one in likeliest)))
    return tuple(found)


def _parts(candidate: Candidate, response_id: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    for given in _given(candidate):
        signature = given.thought_signature or ""
        if given.function_call is not None:
            call = given.function_call
            known_as = call_id(call.id, response_id, sum(one.kind is PartKind.TOOL_CALL for one in parts))
            parts.append(
                Part(PartKind.TOOL_CALL, text=arguments_of(call), id=known_as, name=call.name, signature=signature, signed_by=NAME if signature else "")
            )
            continue
        if given.inline_data is not None and not given.thought:
            parts.append(Part(PartKind.IMAGE, text=picture_of(given.inline_data), media_type=given.inline_data.mime_type))
        kind = PartKind.REASONING if given.thought else PartKind.TEXT
        if given.text:
            if parts and parts[-1].kind is kind and not parts[-1].signature:
                parts[-1] = Part(kind, text=parts[-1].text + given.text)
            else:
                parts.append(Part(kind, text=given.text))
        if signature:
            _sign(parts, signature, is_thought=bool(given.thought))
    if candidate.grounding_metadata is None and candidate.citation_metadata is None:
        return tuple(parts)
    return _cited(parts, citations_of(candidate, "".join(part.text for part in parts if part.kind is PartKind.TEXT)))


def picture_of(blob: Blob) -> str:
    """Return what a model drew as a data URL."""
    return f"data:{blob.mime_type};base64,{blob.data}"


# what comes of the vendor's own tools, or is an answer in another place: its name on this wire
_NO_FORM = (
    ("executable_code", "executableCode"), ("code_execution_result", "codeExecutionResult"), ("file_data", "fileData"), ("tool_call", "toolCall"),
    ("tool_response", "toolResponse"),
)  # fmt: skip


def untold_of(part: VendorPart) -> list[str]:
    """Return which members of a part have no neutral form; data within a thought is told to nobody but its vendor's own callers."""
    found = [name for field, name in _NO_FORM if (raw := getattr(part, field)) is not NULL and bytes(raw) != b"null"]
    return [*found, "inlineData"] if part.inline_data is not None and part.thought else found


def _sign(parts: list[Part], signature: str, *, is_thought: bool) -> None:
    """Let a signature close the thought it came with; one of a text stands behind it as a thought that nobody can read."""
    if is_thought and parts and parts[-1].kind is PartKind.REASONING and not parts[-1].signature:
        parts[-1] = Part(PartKind.REASONING, text=parts[-1].text, signature=signature, signed_by=NAME)
    else:
        parts.append(Part(PartKind.REASONING, signature=signature, signed_by=NAME))


def citations_of(candidate: Candidate, text: str) -> list[Citation]:
    """Return where an answer comes from, in characters of its text; Google counts UTF-8 bytes."""
    found: list[Citation] = []
    grounding, sources = candidate.grounding_metadata, candidate.citation_metadata
    if grounding is not None:
        chunks = grounding.grounding_chunks or []
        for support in grounding.grounding_supports or ():
            segment = support.segment or Segment()
            start, end = _characters(text, segment.start_index or 0, segment.end_index)
            for place in support.grounding_chunk_indices or ():
                if 0 <= place < len(chunks):
                    web = chunks[place].web or chunks[place].retrieved_context or Web()
                    found.append(Citation(url=web.uri or "", title=web.title or "", quoted=segment.text or "", start=start, end=end))
    if sources is not None:
        for source in sources.citation_sources or sources.citations or ():
            start, end = _characters(text, source.start_index or 0, source.end_index)
            found.append(Citation(url=source.uri or "", title=source.title or "", start=start, end=end))
    return found


def _characters(text: str, start_bytes: int, end_bytes: int | None) -> tuple[int, int]:
    if end_bytes is None or not 0 <= start_bytes <= end_bytes:
        return -1, -1
    if text.isascii():
        return (start_bytes, end_bytes) if end_bytes <= len(text) else (-1, -1)
    raw = text.encode("utf-8", "replace")
    if end_bytes > len(raw):
        return -1, -1
    return len(raw[:start_bytes].decode("utf-8", "ignore")), len(raw[:end_bytes].decode("utf-8", "ignore"))


def _cited(parts: list[Part], citations: list[Citation]) -> tuple[Part, ...]:
    """Give the citations to the text they count in; with several texts, to the one that holds their first character."""
    if not citations:
        return tuple(parts)
    start, made = 0, []
    texts = [part for part in parts if part.kind is PartKind.TEXT]
    for part in parts:
        if part.kind is not PartKind.TEXT:
            made.append(part)
            continue
        end, is_last = start + len(part.text), part is texts[-1]
        mine = tuple(
            msgspec.structs.replace(one, start=one.start - start, end=min(one.end, end) - start) if one.start >= 0 else one
            for one in citations
            if (start <= one.start < end) or (is_last and (one.start < 0 or one.start >= end))
        )
        made.append(msgspec.structs.replace(part, citations=mine))
        start = end
    return tuple(made)


def error_message(body: bytes) -> str:
    """Return the vendor's own words from an error body, at most 2000 characters; "" when it says nothing readable."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    return error_of(value)[0]


def error_of(value: Any) -> tuple[str, int]:
    """Return an error's words and its status, 502 where it tells none; streams in arrays put it into a list."""
    if isinstance(value, list) and value:
        value = value[0]
    error = value.get("error", value) if isinstance(value, dict) else value
    if not isinstance(error, dict):
        return (error[:2000] if isinstance(error, str) else ""), 502
    words, code = error.get("message") or error.get("status"), error.get("code")
    return (words[:2000] if isinstance(words, str) else ""), code if type(code) is int and 400 <= code < 600 else 502
