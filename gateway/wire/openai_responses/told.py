"""Writes whole answers and errors the way OpenAI's SDKs read them from the Responses API. Knows nothing about who produced them."""

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.terms import Answer, Logprob, Part, PartKind
from gateway.wire import Told, logprobs
from gateway.wire.openai_responses.envelope import Envelope, annotation, outcome, reasoning_item, text_part
from gateway.wire.openai_responses.reasoning import sealed
from gateway.wire.signatures import seal_call


def write_answer(answer: Answer, told: Told) -> bytes:
    """Return a response naming the caller's model, its items in the order of the answer's parts."""
    envelope = Envelope(told)
    status, reason = outcome(answer.finish)
    items = _items(answer.parts, envelope.stem, status)
    if answer.logprobs:
        _set_logprobs(items, answer.logprobs)
    output = orjson.dumps(items)
    return envelope.written(status, output, answer.usage, reason=reason, tier=answer.service_tier)


def _set_logprobs(items: list[dict[str, Any]], tokens: tuple[Logprob, ...]) -> None:
    """Put the tokens of the whole answer to its first text."""
    texts = [content for item in items if item["type"] == "message" for content in item["content"] if content["type"] == "output_text"]
    if texts:
        texts[0]["logprobs"] = logprobs.written(tokens)


def _items(parts: tuple[Part, ...], stem: str, status: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for part in parts:
        kind = part.kind
        if kind is PartKind.TEXT or kind is PartKind.REFUSAL:
            if not items or items[-1]["type"] != "message":
                items.append({"id": f"msg_{stem}_{len(items)}", "type": "message", "role": "assistant", "status": "completed", "content": []})
            items[-1]["content"].append(_content(part))
        elif kind is PartKind.TOOL_CALL:
            if part.signature:
                items.append(reasoning_item(f"rs_{stem}_{len(items)}", "", seal_call(part.signed_by, part.signature)))
            items.append(function_call(f"fc_{stem}_{len(items)}", part.id, part.name, part.text, "completed"))
        elif kind is PartKind.REASONING:
            signature = sealed(part.signature, part.signed_by, is_redacted=False) if part.signature else ""
            items.append(reasoning_item(f"rs_{stem}_{len(items)}", part.text, signature))
        elif kind is PartKind.IMAGE:
            items.append(picture(f"ig_{stem}_{len(items)}", part.text))
        elif kind is PartKind.REDACTED:
            items.append(reasoning_item(f"rs_{stem}_{len(items)}", "", sealed(part.text, part.signed_by, is_redacted=True)))
    if status == "incomplete" and items and "status" in items[-1]:
        items[-1]["status"] = status
    return items


def _content(part: Part) -> dict[str, Any]:
    if part.kind is PartKind.REFUSAL:
        return {"type": "refusal", "refusal": part.text}
    return text_part(part.text, [annotation(citation, len(part.text)) for citation in part.citations])


def picture(identity: str, url: str) -> dict[str, Any]:
    """Return what a model drew as the item OpenAI's own tool for it makes."""
    return {"id": identity, "type": "image_generation_call", "status": "completed", "result": url.partition(",")[2]}


def function_call(identity: str, call_id: str, name: str, arguments: str, status: str) -> dict[str, Any]:
    """Return a function call as an item."""
    return {"id": identity, "type": "function_call", "call_id": call_id, "name": name, "arguments": arguments, "status": status}


def error_body(status: int, code: str, kind: str, message: str, param: str | None, sgw: Mapping[str, Any]) -> bytes:
    """Return an error the OpenAI SDKs understand, our own detail under `error.sgw`."""
    return orjson.dumps({"error": {"message": message, "type": kind, "param": param, "code": code, "sgw": {"status": status, **sgw}}})


def error_event(status: int, code: str, kind: str, message: str, param: str | None, sgw: Mapping[str, Any], number: int = 0) -> bytes:
    """Return the same error as one stream event; nothing may follow it.

    Its members stand as documented and once more under `error`, as OpenAI itself sends them: only of that do the SDKs make an exception.
    """
    error = {"message": message, "type": kind, "param": param, "code": code, "sgw": {"status": status, **sgw}}
    event = {"type": "error", "code": code, "message": message, "param": param, "sequence_number": number, "error": error}
    return b"event: error\ndata: " + orjson.dumps(event) + b"\n\n"
