"""Meters answers on OpenAI's wire: usage, text size, finish and errors, reading only the JSON that says so. Changes no bytes."""

from typing import Any

import msgspec
import orjson

from gateway.terms import Usage
from gateway.wire import Seen, WireError
from gateway.wire.sse import data_of

# No answer bills more; a larger figure is a vendor's mistake and must not become money.
TOKENS_LIMIT = 1_000_000_000
# `Raw | None` would accept null only: absence is this very object instead.
_NULL = msgspec.Raw(b"null")
# Service tiers with rates of their own; any other word is the standard one.
_TIERS = frozenset({"batch", "flex", "priority", "fast"})


class InputDetails(msgspec.Struct, frozen=True, gc=False):
    """Kinds of input tokens, as the vendor reports them."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None


class OutputDetails(msgspec.Struct, frozen=True, gc=False):
    """Kinds of output tokens, as the vendor reports them."""

    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class VendorUsage(msgspec.Struct, frozen=True, gc=False):
    """The usage object of chat and embeddings answers, not yet believed.

    `citation_tokens` are what deep research at Perplexity reads, beside the prompt, and then `reasoning_tokens` what it thinks, beside the completion
    (https://docs.perplexity.ai/getting-started/pricing).
    """

    prompt_tokens: int
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: InputDetails | None = None
    completion_tokens_details: OutputDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    citation_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Function(msgspec.Struct, frozen=True, gc=False):
    arguments: str | None = None


class _ToolCall(msgspec.Struct, frozen=True, gc=False):
    function: _Function | None = None


class _Delta(msgspec.Struct, frozen=True, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: Any = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct, frozen=True, gc=False):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Event(msgspec.Struct, frozen=True, gc=False):
    choices: list[_Choice] | None = None
    usage: VendorUsage | None = None
    error: msgspec.Raw = _NULL
    service_tier: str | None = None


class _Loose(msgspec.Struct, frozen=True, gc=False):
    choices: msgspec.Raw = _NULL
    usage: msgspec.Raw = _NULL
    error: msgspec.Raw = _NULL
    service_tier: Any = None


class _Answer(msgspec.Struct, frozen=True, gc=False):
    usage: VendorUsage | None = None
    service_tier: str | None = None


_ANSWER = msgspec.json.Decoder(_Answer)
_EVENT = msgspec.json.Decoder(_Event)
_LOOSE = msgspec.json.Decoder(_Loose)
_USAGE = msgspec.json.Decoder(VendorUsage)
_NOTHING = Seen()
_DONE = Seen(terminal=True)


def _bytes_of(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


class Meter:
    """Reads the events of one stream, in order. Keeps nothing between events."""

    __slots__ = ()

    @property
    def usage_so_far(self) -> Usage | None:
        """Return nothing: usage comes with the end."""
        return None

    def feed(self, event: bytes) -> Seen:
        """Return what a raw event says; raises WireError("garbage") when its data is neither JSON nor [DONE]."""
        if event.startswith(b"data: "):
            try:
                # Blank lines after the data are white space to the decoder, so nothing needs to be cut off.
                return _seen(_EVENT.decode(event[6:]))
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                pass
        return _read_slowly(data_of(event).strip())


def _seen(event: _Event) -> Seen:
    if event.error is not _NULL and bytes(event.error) != b"null":
        return Seen(error=_message_of(bytes(event.error)) or "the provider reported an error")
    text_bytes, finish = 0, False
    for choice in event.choices or ():
        delta = choice.delta
        if delta is not None:
            if delta.content:
                text_bytes += _bytes_of(delta.content)
            # some tell it by both names
            thought = delta.reasoning_content or delta.reasoning
            if thought and isinstance(thought, str):
                text_bytes += _bytes_of(thought)
            if delta.refusal:
                text_bytes += _bytes_of(delta.refusal)
            if delta.tool_calls:
                text_bytes += sum(
                    _bytes_of(call.function.arguments) for call in delta.tool_calls if call.function and call.function.arguments
                )
        if choice.finish_reason:
            finish = True
    if event.usage is None:
        return Seen(text_bytes, None, "", False, finish)
    usage, problem = usage_from(event.usage, event.service_tier)
    return Seen(text_bytes, usage, problem, not event.choices, finish)


def _read_slowly(data: bytes) -> Seen:
    if not data:
        return _NOTHING
    if data == b"[DONE]":
        return _DONE
    try:
        return _seen(_EVENT.decode(data))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _read_loosely(data)


def _read_loosely(data: bytes) -> Seen:
    """Read an event that is JSON but not of the documented shape: whatever parts make sense count, size stands in for text."""
    try:
        orjson.loads(data)
        event = _LOOSE.decode(data)
    except (orjson.JSONDecodeError, msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise WireError("garbage", "the provider sent an event that is not JSON") from None
    if event.error is not _NULL and bytes(event.error) != b"null":
        return Seen(error=_message_of(bytes(event.error)) or "the provider reported an error")
    choices = bytes(event.choices)
    usage, problem = usage_in(event.usage, event.service_tier)
    is_empty = choices in (b"null", b"[]")
    try:
        seen = _seen(_EVENT.decode(b'{"choices":' + choices + b"}"))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        seen = Seen(len(choices))
    return Seen(seen.text_bytes, usage, problem, is_empty and event.usage is not _NULL, seen.finish)


def usage_in(raw: msgspec.Raw, tier: object) -> tuple[Usage | None, str]:
    """Return the tokens of a raw usage object, None for null, and "" or what is wrong with it."""
    if bytes(raw) == b"null":
        return None, ""
    try:
        return usage_from(_USAGE.decode(raw), tier)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None, "usage_invalid"


def read_usage(body: bytes) -> tuple[Usage | None, str]:
    """Return the tokens a whole chat or embeddings answer reports, and "" or what is wrong.

    (None, "usage_missing") without usage, (None, "usage_invalid") when it cannot be believed. Raises WireError("garbage")
    when the body is no JSON object.
    """
    try:
        answered = _ANSWER.decode(body)
        plain = answered.usage
        return usage_from(plain, answered.service_tier) if plain is not None else (None, "usage_missing")
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass
    try:
        answer = _LOOSE.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise WireError("garbage", "the provider's answer is not a JSON object") from None
    usage, problem = usage_in(answer.usage, answer.service_tier)
    return usage, problem or ("usage_missing" if usage is None else "")


class _Message(msgspec.Struct):
    message: msgspec.Raw = msgspec.Raw(b"")


class _Choices(msgspec.Struct):
    choices: list[_Message] = []


def message_bytes(body: bytes) -> int:
    """Return the size in bytes of an answer's messages, to estimate tokens from; the whole answer's if its shape is unknown."""
    try:
        return sum(len(bytes(choice.message)) for choice in msgspec.json.decode(body, type=_Choices).choices)
    except (msgspec.DecodeError, RecursionError):
        return len(body)


def usage_from(reported: VendorUsage, service_tier: object = None) -> tuple[Usage | None, str]:
    """Return believable tokens with their tier, and "" or a flag: usage_invalid (negative or absurd: None), usage_inconsistent (subsets cut to fit)."""
    tier = service_tier if isinstance(service_tier, str) and service_tier in _TIERS else ""
    given = reported.prompt_tokens_details
    made = reported.completion_tokens_details
    prompt, output = reported.prompt_tokens, reported.completion_tokens or 0
    if reported.citation_tokens is not None:
        return _researched(reported, reported.citation_tokens, tier)
    if given is None and made is None and not reported.prompt_cache_hit_tokens and 0 <= prompt <= TOKENS_LIMIT and 0 <= output <= TOKENS_LIMIT:
        return Usage(prompt, 0, 0, 0, output, 0, 0, tier), ""
    cached = (given.cached_tokens if given else None) or reported.prompt_cache_hit_tokens or 0
    written = (given.cache_write_tokens or 0) if given else 0
    audio_in = (given.audio_tokens or 0) if given else 0
    reasoning = (made.reasoning_tokens or 0) if made else 0
    audio_out = (made.audio_tokens or 0) if made else 0
    figures = (prompt, output, cached, written, audio_in, reasoning, audio_out)
    if min(figures) < 0 or max(figures) > TOKENS_LIMIT:
        return None, "usage_invalid"
    # Some vendors report reasoning beside the completion instead of inside it; the total tells which.
    if reasoning and reported.total_tokens == prompt + output + reasoning:
        output += reasoning
    problem = ""
    if cached + written + audio_in > prompt or reasoning + audio_out > output:
        problem = "usage_inconsistent"
        cached = min(cached, prompt)
        written = min(written, prompt - cached)
        audio_in = min(audio_in, prompt - cached - written)
        reasoning = min(reasoning, output)
        audio_out = min(audio_out, output - reasoning)
    return Usage(prompt, cached, written, audio_in, output, reasoning, audio_out, tier), problem


def _researched(reported: VendorUsage, read: int, tier: str) -> tuple[Usage | None, str]:
    """Return the same of deep research: what it read counts as input, what it thought as output."""
    thought, output = reported.reasoning_tokens or 0, reported.completion_tokens or 0
    figures = (reported.prompt_tokens, read, thought, output)
    if min(figures) < 0 or max(figures) > TOKENS_LIMIT:
        return None, "usage_invalid"
    return Usage(reported.prompt_tokens + read, output_tokens=output + thought, reasoning_tokens=thought, tier=tier), ""


def error_message(body: bytes) -> str:
    """Return the vendor's own words from an error body, at most 2000 characters; "" when it says nothing readable."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    return _words(value, 4)[:2000]


def _message_of(raw: bytes) -> str:
    try:
        return _words(orjson.loads(raw), 3)[:2000]
    except orjson.JSONDecodeError:
        return ""


def _words(value: object, depth: int) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and depth:
        return _words(value[0], depth - 1)
    if isinstance(value, dict) and depth:
        for key in ("error", "message", "detail", "msg", "type"):
            if value.get(key):
                return _words(value[key], depth - 1)
    return ""
