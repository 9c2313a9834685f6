"""The object around an answer: what was asked repeated, what came of it, and what it took. Knows nothing of streams."""

from typing import Any

import msgspec
import orjson

from gateway.terms import Citation, Usage
from gateway.wire import Told

_NULL = msgspec.Raw(b"null")
_CALL = "call_"


class _Asked(msgspec.Struct, frozen=True, gc=False):
    """What an answer repeats of its request; what was not said is what holds then."""

    instructions: msgspec.Raw = _NULL
    max_output_tokens: msgspec.Raw = _NULL
    metadata: msgspec.Raw = msgspec.Raw(b"{}")
    parallel_tool_calls: msgspec.Raw = msgspec.Raw(b"true")
    previous_response_id: msgspec.Raw = _NULL
    prompt_cache_key: msgspec.Raw = _NULL
    reasoning: msgspec.Raw = msgspec.Raw(b'{"effort":null,"summary":null}')
    safety_identifier: msgspec.Raw = _NULL
    temperature: msgspec.Raw = _NULL
    text: msgspec.Raw = msgspec.Raw(b'{"format":{"type":"text"}}')
    tool_choice: msgspec.Raw = msgspec.Raw(b'"auto"')
    tools: msgspec.Raw = msgspec.Raw(b"[]")
    top_p: msgspec.Raw = _NULL
    user: msgspec.Raw = _NULL


_ASKED = msgspec.json.Decoder(_Asked)
_ENCODER = msgspec.json.Encoder()
_UNSAID = _Asked()
_HOLDS = ("metadata", "parallel_tool_calls", "reasoning", "text", "tool_choice", "tools")


class Envelope:
    """Writes one call's response object. `stem` is what the ids of its items are made of."""

    __slots__ = ("_head", "_service_tier", "_store", "_tail", "stem")

    def __init__(self, told: Told) -> None:
        self.stem = told.call_id.removeprefix(_CALL)
        head = orjson.dumps({"id": f"resp_{self.stem}", "object": "response", "created_at": told.created_at_s, "background": False, "model": told.model})
        # first of all fields that hold JSON of the caller's: whoever could not keep the answer finds it
        self._store = b',"store":true' if told.keeps else b',"store":false'
        self._head = head[:-1]
        self._tail = _repeated(told) + b',"top_logprobs":0,"truncation":"disabled"}'

    def written(self, status: str, output: bytes = b"[]", usage: Usage | None = None, *, reason: str = "", tier: str = "") -> bytes:
        """Return the object as it is now: `output` are its items as a JSON array, `reason` says why it is incomplete."""
        return b"".join(
            (
                self._head,
                b',"status":"%b","error":null,"incomplete_details":' % status.encode(),
                b'{"reason":"%b"}' % reason.encode() if reason else b"null",
                self._store,
                b',"output":',
                output,
                b',"usage":',
                orjson.dumps(usage_object(usage)) if usage is not None else b"null",
                b',"service_tier":' + orjson.dumps(tier) if tier else b"",
                self._tail,
            )
        )


def _repeated(told: Told) -> bytes:
    """Return the fields an answer repeats, with a comma before the first."""
    asked = _ASKED.decode(told.body) if told.body else _UNSAID
    changes = {name: getattr(_UNSAID, name) for name in _HOLDS if bytes(getattr(asked, name)) == b"null"}
    if asked.tools is not _UNSAID.tools and "tools" not in changes:
        changes["tools"] = msgspec.Raw(_tools(bytes(asked.tools)))
    if told.resumed_from:
        changes["previous_response_id"] = msgspec.Raw(orjson.dumps(told.resumed_from))
    return b"," + _ENCODER.encode(msgspec.structs.replace(asked, **changes) if changes else asked)[1:-1]


def _tools(raw: bytes) -> bytes:
    """Return tools with the members that clients rely on."""
    tools: list[dict[str, Any]] = orjson.loads(raw)
    return orjson.dumps([{"parameters": None, "strict": False, **{name: value for name, value in tool.items() if value is not None}} for tool in tools])


def usage_object(usage: Usage) -> dict[str, Any]:
    """Return tokens as this wire counts them."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": usage.cache_write_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def outcome(finish: str) -> tuple[str, str]:
    """Return status and reason for a neutral finish."""
    if finish == "length":
        return "incomplete", "max_output_tokens"
    return ("incomplete", "content_filter") if finish == "content_filter" else ("completed", "")


def annotation(citation: Citation, length: int) -> dict[str, Any]:
    """Return a citation of a text of `length` characters; one without a place is of all of it."""
    start, end = (citation.start, citation.end) if 0 <= citation.start <= citation.end else (0, length)
    return {"type": "url_citation", "url": citation.url, "title": citation.title, "start_index": start, "end_index": end}


def text_part(text: str, annotations: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a piece of text as a part of a message."""
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": []}


def reasoning_item(identity: str, text: str, encrypted: str) -> dict[str, Any]:
    """Return reasoning as an item; `encrypted` is "" where nobody signed it."""
    item: dict[str, Any] = {"id": identity, "type": "reasoning", "summary": [{"type": "summary_text", "text": text}] if text else []}
    if encrypted:
        item["encrypted_content"] = encrypted
    return item
