"""Writes answers and errors the way Anthropic's SDKs read them. Knows nothing about who produced them, nor about streams."""

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.terms import Answer, Citation, Part, PartKind, Usage
from gateway.wire import Told, signatures
from gateway.wire.anthropic_messages.blocks import WIRE_NAME

_ID = "msg_"
STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
TIERS = {"default": "standard", "priority": "priority", "flex": "batch", "batch": "batch"}
# https://docs.claude.com/en/api/errors
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_Block = dict[str, Any]


def message_id(vendors: str, told: Told) -> str:
    """Return the answer's id in this wire's form: the vendor's, or ours where it has none."""
    text = vendors or told.call_id
    return text if text.startswith(_ID) else _ID + text


def envelope(answer_id: str, model: str) -> dict[str, Any]:
    """Return a message without content, stop reason and usage."""
    return {
        "id": answer_id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "container": None,
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
    }


def write_answer(answer: Answer, told: Told) -> bytes:
    """Return a message naming the caller's model. Where the vendor told no usage, its figures are 0: the SDKs' types have no other place for that."""
    content: list[_Block] = []
    for part in answer.parts:
        content += blocks_of(part)
    body = envelope(message_id(answer.id, told), told.model)
    body["content"] = content
    body["stop_reason"] = stop_reason(answer.finish, answer.stop_sequence, is_refusal=any(part.kind is PartKind.REFUSAL for part in answer.parts))
    body["stop_sequence"] = answer.stop_sequence or None
    body["stop_details"] = stop_details(body["stop_reason"])
    body["usage"] = {**usage_of(answer.usage or Usage()), "service_tier": TIERS.get(answer.service_tier)}
    return orjson.dumps(body)


def write_count(input_tokens: int) -> bytes:
    """Return how many tokens a request has."""
    return b'{"input_tokens":%d}' % input_tokens


def stop_reason(finish: str, stop_sequence: str, *, is_refusal: bool) -> str:
    """Return the stop reason for a neutral finish."""
    if stop_sequence:
        return "stop_sequence"
    return "refusal" if is_refusal else STOP_REASONS.get(finish, "end_turn")


def stop_details(reason: str) -> _Block | None:
    """Return what more is said of a refusal: that no category is known."""
    return {"type": "refusal", "category": None, "explanation": None} if reason == "refusal" else None


def usage_of(usage: Usage) -> dict[str, Any]:
    """Return tokens as Anthropic counts them: `input_tokens` is without what was read from or written to the cache."""
    told: dict[str, Any] = {
        "input_tokens": usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
    }
    hour = usage.cache_write_1h_tokens
    if hour:
        told["cache_creation"] = {"ephemeral_5m_input_tokens": usage.cache_write_tokens - hour, "ephemeral_1h_input_tokens": hour}
    if usage.reasoning_tokens:
        told["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return told


def blocks_of(part: Part) -> list[_Block]:
    """Return a part of an answer as content blocks; none for empty text and what this wire has no block for."""
    kind = part.kind
    if kind is PartKind.TEXT or kind is PartKind.REFUSAL:
        if not part.text:
            return []
        # without any there is no such member: not every SDK takes null for it
        cited = {"citations": [citation_of(each) for each in part.citations]} if part.citations else {}
        return [{"type": "text", "text": part.text, **cited}]
    if kind is PartKind.TOOL_CALL:
        block: _Block = {"type": "tool_use", "id": part.id, "name": part.name, "input": arguments_of(part.text)}
        return [sealed_call(part.signature, part.signed_by), block] if part.signature else [block]
    if kind is PartKind.REASONING:
        return [{"type": "thinking", "thinking": part.text, "signature": signatures.told(part.signature, part.signed_by, WIRE_NAME)}]
    if kind is PartKind.REDACTED:
        return [redacted(part.text, part.signed_by)]
    return []


def untold(answer: Answer) -> tuple[str, ...]:
    """Return what of an answer has no place on this wire: pictures."""
    return ("images",) if any(part.kind is PartKind.IMAGE for part in answer.parts) else ()


def redacted(data: str, signed_by: str) -> _Block:
    """Return reasoning nobody but its vendor can read."""
    return {"type": "redacted_thinking", "data": signatures.told(data, signed_by, WIRE_NAME)}


def sealed_call(signature: str, signed_by: str) -> _Block:
    """Return the block that keeps the signature of the tool call after it, for which this wire has no other place."""
    return {"type": "redacted_thinking", "data": signatures.seal_call(signed_by, signature)}


def arguments_of(text: str) -> dict[str, Any]:
    """Return a call's arguments as the object this wire wants; what a model said instead of one stands under `arguments`."""
    if not text.strip():
        return {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"arguments": text}
    return value if isinstance(value, dict) else {"arguments": value}


_PLACES = {
    "char": ("char_location", "start_char_index", "end_char_index"),
    "page": ("page_location", "start_page_number", "end_page_number"),
    "block": ("content_block_location", "start_block_index", "end_block_index"),
}


def citation_of(citation: Citation) -> _Block:
    """Return a citation: of a document of the request by its place there, of anything else as a result of a search."""
    place = _PLACES.get(citation.place)
    if place is None or citation.document < 0:
        return {
            "type": "web_search_result_location",
            "url": citation.url,
            "title": citation.title or None,
            "cited_text": citation.quoted,
            # the vendor's own handle for later turns, which only its own search has
            "encrypted_index": "",
        }
    kind, first, last = place
    return {
        "type": kind,
        "cited_text": citation.quoted,
        "document_index": citation.document,
        "document_title": citation.title or None,
        first: citation.first,
        last: citation.last,
        "file_id": None,
    }


def error_body(status: int, code: str, kind: str, message: str, param: str | None, sgw: Mapping[str, Any]) -> bytes:
    """Return an error the Anthropic SDKs understand, our own detail under `error.sgw`, the call's id where they look for a request's."""
    kind = _KINDS.get(status, "invalid_request_error" if status < 500 else "api_error")
    # where their SDKs look for a code
    error = {"type": kind, "message": message, "details": {"error_code": code}}
    detail = {"status": status, "code": code, "param": param, **sgw}
    return orjson.dumps({"type": "error", "error": {**error, "sgw": detail}, "request_id": sgw.get("call_id")})


def error_event(status: int, code: str, kind: str, message: str, param: str | None, sgw: Mapping[str, Any]) -> bytes:
    """Return the same error as one stream event; nothing may follow it."""
    return b"event: error\ndata: " + error_body(status, code, kind, message, param, sgw) + b"\n\n"
