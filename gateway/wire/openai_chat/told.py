"""Writes answers and errors the way OpenAI's SDKs read them. Knows nothing about who produced them, nor about streams."""

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.terms import Answer, Citation, Part, PartKind, Usage
from gateway.wire import Told, logprobs, signatures
from gateway.wire.openai_chat.turns import WIRE_NAME

CREATED_BY_GATEWAY = "chatcmpl-"


def write_answer(answer: Answer, told: Told) -> bytes:
    """Return a chat.completion naming the caller's model; the call's own moment stands in when the vendor gave none."""
    body: dict[str, Any] = {
        "id": answer.id if answer.id.startswith(CREATED_BY_GATEWAY) else CREATED_BY_GATEWAY + (answer.id or told.call_id),
        "object": "chat.completion",
        "created": answer.created_at_s or told.created_at_s,
        "model": told.model,
        "choices": [_choice(each, index) for index, each in enumerate((answer, *answer.others))],
    }
    if answer.usage is not None:
        body["usage"] = usage_of(answer.usage)
    if answer.service_tier:
        body["service_tier"] = answer.service_tier
    return orjson.dumps(body)


def _choice(answer: Answer, index: int) -> dict[str, Any]:
    text = _joined(answer, PartKind.TEXT)
    calls = [call_of(part) for part in answer.parts if part.kind is PartKind.TOOL_CALL]
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": _joined(answer, PartKind.REFUSAL)}
    reasoning = _joined(answer, PartKind.REASONING)
    if reasoning is not None:
        message["reasoning_content"] = reasoning
    if details := _details(answer):
        message["reasoning_details"] = details
    if annotations := _annotations(answer):
        message["annotations"] = annotations
    if drawn := [picture(part.text) for part in answer.parts if part.kind is PartKind.IMAGE]:
        message["images"] = drawn
    if calls:
        message["tool_calls"] = calls
    elif text is None and message["refusal"] is None:
        message["content"] = ""
    told = {"content": logprobs.written(answer.logprobs), "refusal": None} if answer.logprobs else None
    return {"index": index, "message": message, "logprobs": told, "finish_reason": answer.finish}


def _joined(answer: Answer, kind: PartKind) -> str | None:
    texts = [part.text for part in answer.parts if part.kind is kind and part.text]
    return "".join(texts) if texts else None


def picture(url: str) -> dict[str, Any]:
    """Return what a model drew, in the place that routers of this wire have made common; OpenAI's own models draw nothing here."""
    return {"type": "image_url", "image_url": {"url": url}}


def untold(answer: Answer) -> tuple[str, ...]:
    """Return what of an answer has no place on this wire: citations of the request's own documents."""
    return ("citations",) if any(not each.url for part in answer.parts for each in part.citations) else ()


def call_of(part: Part) -> dict[str, Any]:
    """Return a tool call, with its signature in Google's own place for it."""
    call: dict[str, Any] = {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": part.text}}
    return {**call, "extra_content": signed_call(part.signature, part.signed_by)} if part.signature else call


def signed_call(signature: str, signed_by: str) -> dict[str, Any]:
    """Return what a signed tool call carries beside itself."""
    return {"google": {"thought_signature": signatures.told(signature, signed_by, WIRE_NAME)}}


def _details(answer: Answer) -> list[dict[str, Any]]:
    """Return the reasoning a vendor wants back as it was; numbered, as OpenAI's own helpers put lists of a stream together by number."""
    details: list[dict[str, Any]] = []
    for part in answer.parts:
        if part.kind is PartKind.REDACTED:
            details.append(sealed_detail(len(details), part.text, part.signed_by))
        elif part.kind is PartKind.REASONING and part.signature:
            details.append(signed_detail(len(details), part.text, part.signature, part.signed_by))
    return details


def sealed_detail(index: int, data: str, signed_by: str) -> dict[str, Any]:
    """Return reasoning only its vendor can read."""
    return {"index": index, "type": "reasoning.encrypted", "data": signatures.told(data, signed_by, WIRE_NAME)}


def signed_detail(index: int, text: str, signature: str, signed_by: str) -> dict[str, Any]:
    """Return reasoning with its signature."""
    return {"index": index, "type": "reasoning.text", "text": text, "signature": signatures.told(signature, signed_by, WIRE_NAME)}


def _annotations(answer: Answer) -> list[dict[str, Any]]:
    """Return the citations of pages; what is cited of the request's own documents has no place on this wire."""
    annotations, start = [], 0
    for part in answer.parts:
        if part.kind is PartKind.TEXT:
            annotations += [annotation(each, start, start + len(part.text)) for each in part.citations if each.url]
            start += len(part.text)
    return annotations


def annotation(citation: Citation, start: int, end: int) -> dict[str, Any]:
    """Return a citation of a page; `start` and `end` are the characters of its text, for vendors that do not say more exactly."""
    if citation.start >= 0:
        start, end = start + citation.start, start + citation.end
    return {"type": "url_citation", "url_citation": {"url": citation.url, "title": citation.title, "start_index": start, "end_index": end}}


def usage_of(usage: Usage) -> dict[str, Any]:
    """Return tokens as OpenAI counts them."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "audio_tokens": usage.audio_input_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens, "audio_tokens": usage.audio_output_tokens},
    }


def error_body(status: int, code: str, kind: str, message: str, param: str | None, sgw: Mapping[str, Any]) -> bytes:
    """Return an error the OpenAI SDKs understand, our own detail under `error.sgw`."""
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code, "sgw": {"status": status, **sgw}}})


def error_event(status: int, code: str, kind: str, message: str, param: str | None, sgw: Mapping[str, Any]) -> bytes:
    """Return the same error as one stream event; nothing may follow it."""
    return b"data: " + error_body(status, code, kind, message, param, sgw) + b"\n\n"
