"""Writes answers and errors the way Google's SDKs read them. Knows nothing about who produced them."""

from collections.abc import Mapping
from typing import Any

import orjson

from gateway.terms import Answer, Citation, Logprob, Part, PartKind, Usage
from gateway.wire import Told
from gateway.wire.gemini import thoughts

FINISHES = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
_TRAFFIC = {"flex": "ON_DEMAND_FLEX", "priority": "ON_DEMAND_PRIORITY"}
# https://google.aip.dev/193: what each status is called
_STATUSES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 402: "RESOURCE_EXHAUSTED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED", 409: "ABORTED", 413: "INVALID_ARGUMENT", 415: "INVALID_ARGUMENT", 422: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED", 500: "INTERNAL", 501: "UNIMPLEMENTED", 502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED", 529: "UNAVAILABLE",
}  # fmt: skip


def write_answer(answer: Answer, told: Told) -> bytes:
    """Return a GenerateContentResponse naming the caller's model."""
    body: dict[str, Any] = {"candidates": [_candidate(each, index) for index, each in enumerate((answer, *answer.others))]}
    if answer.usage is not None:
        body["usageMetadata"] = usage_metadata(answer.usage)
    body["modelVersion"] = told.model
    body["responseId"] = answer.id or told.call_id
    return orjson.dumps(body)


def _candidate(answer: Answer, index: int) -> dict[str, Any]:
    parts = [written for part in answer.parts if (written := _part(part)) is not None]
    sign_first(parts)
    refused = any(part.kind is PartKind.REFUSAL for part in answer.parts)
    candidate: dict[str, Any] = {
        "content": {"parts": parts or [{"text": ""}], "role": "model"},
        "finishReason": "SAFETY" if refused else FINISHES.get(answer.finish, "OTHER"),
        "index": index,
    }
    grounding = _grounding(answer.parts)
    if grounding is not None:
        candidate["groundingMetadata"] = grounding
    if answer.logprobs:
        candidate["logprobsResult"] = logprobs_result(answer.logprobs)
    return candidate


def logprobs_result(tokens: tuple[Logprob, ...]) -> dict[str, Any]:
    """Return how likely the tokens of a text were."""
    return {"chosenCandidates": [_token(each) for each in tokens], "topCandidates": [{"candidates": [_token(one) for one in each.top]} for each in tokens]}


def _token(one: Logprob) -> dict[str, Any]:
    return {"token": one.token, "logProbability": one.logprob}


def write_count(input_tokens: int) -> bytes:
    """Return how many tokens a request has."""
    return b'{"totalTokens":%d}' % input_tokens


def _part(part: Part) -> dict[str, Any] | None:
    kind = part.kind
    if kind is PartKind.TEXT or kind is PartKind.REFUSAL:
        return {"text": part.text}
    if kind is PartKind.REASONING:
        written: dict[str, Any] = {"text": part.text, "thought": True}
    elif kind is PartKind.TOOL_CALL:
        written = {"functionCall": {"id": part.id, "name": part.name, "args": arguments(part.text)}}
    elif kind is PartKind.IMAGE:
        return picture(part.text)
    elif kind is PartKind.REDACTED:
        return {"text": "", "thought": True, "thoughtSignature": thoughts.written_redacted(part.text, part.signed_by)}
    else:
        return None
    if part.signature:
        written["thoughtSignature"] = thoughts.written(part.signature, part.signed_by)
    return written


def picture(url: str) -> dict[str, Any] | None:
    """Return what a model drew, None where its data is elsewhere."""
    head, comma, data = url.partition(",")
    return {"inlineData": {"mimeType": head.removeprefix("data:").partition(";")[0], "data": data}} if comma and head.startswith("data:") else None


def sign_first(parts: list[dict[str, Any]]) -> None:
    """Mark the first call of a turn, where no vendor signed it, as another vendor's."""
    first = next((part for part in parts if "functionCall" in part), None)
    if first is not None:
        first.setdefault("thoughtSignature", thoughts.OTHERS)


def arguments(text: str) -> dict[str, Any]:
    """Return a call's arguments as an object; what a model wrote that is none is kept under `arguments`."""
    if not text.strip():
        return {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {"arguments": text}
    return value if isinstance(value, dict) else {"arguments": value}


def usage_metadata(usage: Usage) -> dict[str, Any]:
    """Return tokens as Google counts them: thoughts beside the candidates, what was cached within the prompt."""
    told: dict[str, Any] = {
        "promptTokenCount": usage.input_tokens,
        "candidatesTokenCount": usage.output_tokens - usage.reasoning_tokens,
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
    }
    if usage.cached_tokens:
        told["cachedContentTokenCount"] = usage.cached_tokens
    if usage.reasoning_tokens:
        told["thoughtsTokenCount"] = usage.reasoning_tokens
    if usage.tier in _TRAFFIC:
        told["trafficType"] = _TRAFFIC[usage.tier]
    if usage.audio_input_tokens:
        told["promptTokensDetails"] = _by_modality(usage.input_tokens, usage.audio_input_tokens)
    if usage.audio_output_tokens:
        told["candidatesTokensDetails"] = _by_modality(usage.output_tokens - usage.reasoning_tokens, usage.audio_output_tokens)
    return told


def _by_modality(all_tokens: int, audio_tokens: int) -> list[dict[str, Any]]:
    return [{"modality": "TEXT", "tokenCount": max(0, all_tokens - audio_tokens)}, {"modality": "AUDIO", "tokenCount": audio_tokens}]


def grounded(citations: list[tuple[int, str, Citation]]) -> dict[str, Any]:
    """Return citations as groundingMetadata; each comes with its part's number and text, in whose UTF-8 bytes Google counts."""
    chunks: list[dict[str, Any]] = []
    supports: list[dict[str, Any]] = []
    places: dict[tuple[str, str], int] = {}
    for part_index, text, one in citations:
        place = places.setdefault((one.url, one.title), len(chunks))
        if place == len(chunks):
            chunks.append({"web": {"uri": one.url, "title": one.title}})
        # what no vendor narrows down is about the whole of it
        start, end = (one.start, one.end) if 0 <= one.start <= one.end <= len(text) else (0, len(text))
        segment: dict[str, Any] = {"partIndex": part_index} if part_index else {}
        segment |= {"startIndex": len(text[:start].encode("utf-8", "replace")), "endIndex": len(text[:end].encode("utf-8", "replace"))}
        segment["text"] = text[start:end]
        supports.append({"segment": segment, "groundingChunkIndices": [place]})
    return {"groundingChunks": chunks, "groundingSupports": supports}


def _grounding(parts: tuple[Part, ...]) -> dict[str, Any] | None:
    found = [(at, part.text, one) for at, part in enumerate(parts) if part.citations for one in part.citations]
    return grounded(found) if found else None


def error_body(status: int, code: str, kind: str, message: str, param: str | None, sgw: Mapping[str, Any]) -> bytes:
    """Return an error Google's SDKs understand, our own detail under `error.sgw`."""
    about: dict[str, Any] = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code.upper(), "domain": "symbiosis-gateway"}
    details = [about]
    if param:
        violation = {"field": param, "description": message}
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
    named = _STATUSES.get(status) or ("INVALID_ARGUMENT" if status < 500 else "INTERNAL")
    detail = {"status": status, "code": code, "type": kind, "param": param, **sgw}
    return orjson.dumps({"error": {"code": status, "message": message, "status": named, "details": details, "sgw": detail}})


def error_event(status: int, code: str, kind: str, message: str, param: str | None, sgw: Mapping[str, Any]) -> bytes:
    """Return the same error as one stream event; nothing may follow it."""
    return b"data: " + error_body(status, code, kind, message, param, sgw) + b"\n\n"
