"""Meters Bedrock's InvokeModel, whose bodies each family of models has of its own: AWS tells their tokens in headers, and at the end of streams."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import orjson

from gateway.terms import Header, Usage
from gateway.wire import Head, Plain, Seen, WireError
from gateway.wire.anthropic_messages.answer import read_usage as read_claude
from gateway.wire.anthropic_messages.stream import ChunkReader as ClaudeReader
from gateway.wire.bedrock_converse.answer import NULL, UNREADABLE, believed, error_message
from gateway.wire.bedrock_converse.callers import MOST_OUTPUT_TOKENS, may_name
from gateway.wire.bedrock_converse.frames import opened
from gateway.wire.metering import ReaderMeter

# where families bound an answer's tokens, and what most may have that say nothing
_LIMITS = ("max_tokens", "max_completion_tokens", "max_tokens_to_sample", "max_gen_len", "maxTokens", "maxTokenCount", "max_new_tokens")
_CONFIGS = ("inferenceConfig", "textGenerationConfig", "inference_params")
_ANSWERS = ("num_generations", "numResults", "n")
_ASSUMED_OUTPUT_TOKENS = 4_096
# the vendor's counts by their place in a usage of Converse
_HEADERS = {
    b"x-amzn-bedrock-input-token-count": "inputTokens",
    b"x-amzn-bedrock-output-token-count": "outputTokens",
    b"x-amzn-bedrock-cache-read-input-token-count": "cacheReadInputTokens",
    b"x-amzn-bedrock-cache-write-input-token-count": "cacheWriteInputTokens",
}
_METRICS = "amazon-bedrock-invocationMetrics"
_COUNTS = {
    "inputTokenCount": "inputTokens",
    "outputTokenCount": "outputTokens",
    "cacheReadInputTokenCount": "cacheReadInputTokens",
    "cacheWriteInputTokenCount": "cacheWriteInputTokens",
}
_CLAUDES = frozenset(
    {"message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop", "ping", "error"}
)
_ENDS = ("stop_reason", "stopReason", "finish_reason", "completionReason")
_TEXTS = frozenset({"outputText", "generation", "completion", "text", "content", "delta", "outputs", "generations", "choices", "message"})
_COUNT_DIGITS = 10


class _Chunk(msgspec.Struct, frozen=True, gc=False):
    # base64 in JSON
    data: bytes = msgspec.field(default=b"", name="bytes")


class _Body(msgspec.Struct, frozen=True, gc=False):
    usage: msgspec.Raw = NULL


_CHUNK = msgspec.json.Decoder(_Chunk)
_BODY = msgspec.json.Decoder(_Body)


def read_head(parsed: Mapping[str, Any]) -> Head:
    """Return what the gateway reads of a request of any family: what bounds its answer."""
    places = [parsed, *(config for name in _CONFIGS if isinstance(config := parsed.get(name), dict))]
    limits = [limit for place in places for name in _LIMITS if type(limit := place.get(name)) is int and limit > 0]
    answers = max([1, *(count for name in _ANSWERS if type(count := parsed.get(name)) is int)])
    return Head(max_output_tokens=min(max(limits, default=_ASSUMED_OUTPUT_TOKENS) * answers, MOST_OUTPUT_TOKENS))


def read_usage(body: bytes) -> tuple[Usage | None, str]:
    """Return the tokens that an answer of Claude's reports; of other families, whose bodies tell less, "usage_missing". Raises WireError("garbage")."""
    try:
        usage = _BODY.decode(body).usage
    except UNREADABLE:
        raise WireError("garbage", "the provider's answer is not a JSON object") from None
    return read_claude(body) if b'"input_tokens"' in bytes(usage) else (None, "usage_missing")


def read_headers(headers: Iterable[Header]) -> tuple[Usage | None, str]:
    """Return the tokens that an answer's headers tell, and "" or what is wrong. Some families tell no output, as of embeddings there is none."""
    counts = {name: value for header, value in headers if (name := _HEADERS.get(header)) is not None}
    if not all(value.isdigit() and len(value) <= _COUNT_DIGITS for value in counts.values()):
        return None, "usage_invalid"
    return _usage({name: int(value) for name, value in counts.items()})


def _usage(counts: Mapping[str, Any]) -> tuple[Usage | None, str]:
    if "inputTokens" not in counts:
        return None, "usage_missing"
    return believed(msgspec.Raw(orjson.dumps({"outputTokens": 0, **counts})), None)


class Meter:
    """Meters one stream: Claude's events as Anthropic's, those of other families by what AWS puts behind the last."""

    __slots__ = ("_claude", "_told")

    def __init__(self) -> None:
        self._claude = ReaderMeter(ClaudeReader)
        self._told = False

    @property
    def usage_so_far(self) -> Usage | None:
        """What Claude told before the end."""
        return self._claude.usage_so_far

    def feed(self, event: bytes) -> Seen:
        """Return what a frame says; raises WireError("garbage")."""
        name, payload = opened(event)
        if name.startswith(b"!"):
            return Seen(error=error_message(payload) or name[1:].decode("utf-8", "replace") or "the provider reported an error")
        if name != b"chunk":
            return Seen()
        said = _said(payload)
        metrics = said.get(_METRICS)
        counts = {_COUNTS[name]: count for name, count in metrics.items() if name in _COUNTS} if isinstance(metrics, dict) else {}
        if said.get("type") in _CLAUDES:
            return self._claude_said(said, counts)
        usage, problem = _usage(counts) if counts else (None, "")
        return Seen(_text_bytes(said), usage, problem, finish=_is_end(said), terminal=bool(counts))

    def _claude_said(self, said: dict[str, Any], counts: Mapping[str, Any]) -> Seen:
        seen = self._claude.feed(b"data: %b\n\n" % orjson.dumps(said))
        self._told = self._told or seen.usage is not None
        if self._told or not counts:
            return seen
        usage, problem = _usage(counts)
        return msgspec.structs.replace(seen, usage=usage, problem=problem)


def _said(payload: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(_CHUNK.decode(payload).data)
    except (*UNREADABLE, orjson.JSONDecodeError):
        said = None
    if not isinstance(said, dict):
        raise WireError("garbage", "the provider sent a chunk that is no JSON object")
    return said


def _text_bytes(value: Any) -> int:
    """Return how much of an event is text, wherever its family puts it."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if isinstance(value, list):
        return sum(map(_text_bytes, value))
    return sum(_text_bytes(child) for name, child in value.items() if name in _TEXTS) if isinstance(value, dict) else 0


def _is_end(said: Mapping[str, Any]) -> bool:
    """Return whether an event says why its answer ended: for families of which AWS tells no tokens."""
    lists = [value for name in ("outputs", "generations", "choices") if isinstance(value := said.get(name), list)]
    places = [said, *(one for one in itertools.chain(*lists) if isinstance(one, dict))]
    return any(place.get(name) for place in places for name in _ENDS)


PLAIN = Plain(
    kind="chat",
    kinds=frozenset({"embeddings"}),
    read_head=read_head,
    read_usage=read_usage,
    read_headers=read_headers,
    meter=Meter,
    may_name=may_name,
)
