"""OpenAI's Responses wire: items in, items and numbered events out, as the vendor's official SDK expects them. Knows nothing about faults on the socket."""

import base64
import os
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import orjson

from gateway.simulator import directives as sim
from gateway.simulator.answers import IMAGE_TOKENS, Counts, Offered, Prompt, Reply, identifier, seed_of, tokens_in
from gateway.simulator.catalogue import EPOCH_S
from gateway.simulator.openai_wire import chosen_model, headers, models, one_model, problem
from gateway.simulator.problems import Problem

__all__ = ["error_event", "events", "headers", "models", "one_model", "problem", "read", "text_event", "usage", "whole"]

INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
# what an answer repeats of its request, and what holds where nothing was said
REPEATED: dict[str, Any] = {
    "instructions": None, "max_output_tokens": None, "metadata": {}, "parallel_tool_calls": True, "previous_response_id": None, "store": True,
    "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": 1.0, "truncation": "disabled",
    "reasoning": {"effort": None, "summary": None},
}  # fmt: skip
Fields = dict[str, Any]


def read(fields: Fields, any_model: bool) -> Prompt:
    """Return the prompt of a request for a response; raises Problem and BadDirective."""
    model = chosen_model(fields, "chat", any_model)
    items = items_of(fields)
    _check(fields)
    texts = [_text(item) for item in items]
    asked = next((text for item, text in zip(items[::-1], texts[::-1], strict=True) if item.get("role") == "user"), "")
    images = tuple(_kind(str(part.get("image_url", ""))) for part in _parts(items, "input_image"))
    results: list[str] = []
    for item, text in zip(items[::-1], texts[::-1], strict=True):
        if item.get("type") != "function_call_output":
            break
        results.insert(0, text)
    tools = tuple(Offered(str(tool["name"]), tool.get("parameters")) for tool in fields.get("tools") or () if tool.get("type") == "function")
    shape = (fields.get("text") or {}).get("format") or {}
    reasoning = fields.get("reasoning") or {}
    choice = fields.get("tool_choice")
    return Prompt(
        model=model,
        text=sim.strip(asked),
        directives=sim.parse(fields["model"], asked),
        seed=seed_of(model.id, items, fields.get("instructions")),
        input_tokens=sum(4 + tokens_in(sim.strip(text)) for text in [*texts, *([str(fields["instructions"])] if fields.get("instructions") else [])])
        + IMAGE_TOKENS * len(images)
        + (tokens_in(orjson.dumps(fields["tools"]).decode()) if tools else 0),
        stream=fields.get("stream") is True,
        wants_usage=True,
        tools=tools,
        tool_mode=str(choice.get("name", "required")) if isinstance(choice, dict) else choice if choice in ("none", "required") else "auto",
        parallel=fields.get("parallel_tool_calls") is not False,
        tool_results=tuple(results),
        schema=shape.get("schema") if shape.get("type") == "json_schema" else None,
        json_object=shape.get("type") == "json_object",
        images=images,
        max_tokens=fields.get("max_output_tokens"),
        thinks=reasoning.get("effort") not in (None, "none"),
        shows_thinking=bool(reasoning.get("summary")),
        asked=repeated(fields),
    )


def items_of(fields: Fields) -> list[Fields]:
    """Return a request's input as items; raises Problem."""
    given = fields.get("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given) or not given:
        raise Problem(400, "Missing required parameter: 'input'.", "missing_required_parameter", "input")
    return given


def repeated(fields: Fields) -> Fields:
    """Return what the answer to a request repeats of it."""
    made = {name: otherwise if fields.get(name) is None else fields[name] for name, otherwise in REPEATED.items()}
    made["tools"] = [{"parameters": None, "strict": True, **tool} for tool in made["tools"]]
    return made


def _check(fields: Fields) -> None:
    for name, most in (("temperature", 2), ("top_p", 1)):
        value = fields.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most):
            raise Problem(400, f"Invalid '{name}': expected a number from 0 to {most}.", "decimal_out_of_range", name)
    limit = fields.get("max_output_tokens")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 16):
        raise Problem(400, "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16.", "integer_below_min_value", "max_output_tokens")
    for name in ("stop", "seed", "n", "messages", "max_tokens", "response_format"):
        if name in fields:
            raise Problem(400, f"Unknown parameter: '{name}'.", "unknown_parameter", name)
    for name in ("text", "reasoning"):
        if fields.get(name) is not None and not isinstance(fields[name], dict):
            raise Problem(400, f"Invalid type for '{name}': expected an object.", "invalid_type", name)
    if not all(isinstance(tool, dict) and tool.get("type") for tool in fields.get("tools") or ()):
        raise Problem(400, "Missing required parameter: 'tools[0].type'.", "missing_required_parameter", "tools[0].type")


def _kind(url: str) -> str:
    return url[5:].partition(";")[0] if url.startswith("data:") else "by address"


def _text(item: Fields) -> str:
    content = item.get("output") if item.get("type") == "function_call_output" else item.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content or () if isinstance(part, dict) and "text" in part)


def _parts(items: Sequence[Fields], kind: str) -> Iterator[Fields]:
    for item in items:
        content = item.get("content")
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and part.get("type") == kind:
                yield part


def usage(counts: Counts, directives: sim.Directives) -> Fields:
    """Return the usage object, bent as the directives ask (negative counts, or numbers as text)."""
    sign = -1 if directives.has("usage_negative") else 1
    made: Fields = {
        "input_tokens": sign * counts.input_tokens,
        "input_tokens_details": {"cached_tokens": counts.cached_tokens, "cache_write_tokens": counts.cache_write_tokens},
        "output_tokens": sign * counts.output_tokens,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning_tokens},
        "total_tokens": sign * (counts.input_tokens + counts.output_tokens),
    }
    if directives.has("usage_text"):
        made.update({name: str(value) for name, value in made.items() if isinstance(value, int)})
    return made


def whole(prompt: Prompt, replies: Sequence[Reply]) -> bytes:
    """Return the body of an answer that is not streamed."""
    made = _envelope(prompt)
    made["output"] = [item for item, _ in _items(prompt, replies[0])]
    return orjson.dumps(_ended(made, prompt, replies[0]))


def _envelope(prompt: Prompt) -> Fields:
    # the vendor's ids are never the same twice, and what is stored is found by them
    identity = identifier("resp_", prompt.seed, os.urandom(16).hex())
    made = {"id": identity, "object": "response", "created_at": EPOCH_S, "status": "in_progress", "error": None, "incomplete_details": None}
    return {**made, "model": prompt.model.id, "output": [], "usage": None, "service_tier": "default", **prompt.asked}


def _ended(made: Fields, prompt: Prompt, reply: Reply) -> Fields:
    reason = INCOMPLETE.get(reply.finish)
    made["status"] = "incomplete" if reason else "completed"
    made["incomplete_details"] = {"reason": reason} if reason else None
    if not prompt.directives.has("no_usage"):
        made["usage"] = usage(reply.counts, prompt.directives)
    return made


def _items(prompt: Prompt, reply: Reply) -> Iterator[tuple[Fields, list[str]]]:
    """Yield the answer's items with the pieces a stream cuts them into."""
    salt = os.urandom(8).hex()
    if reply.reasoning:
        shown = list(reply.reasoning) if prompt.shows_thinking else []
        summary = [{"type": "summary_text", "text": "".join(shown)}] if shown else []
        encrypted = base64.urlsafe_b64encode(b"simulated " + prompt.seed).decode()
        yield {"id": identifier("rs_", prompt.seed, salt), "type": "reasoning", "summary": summary, "encrypted_content": encrypted}, shown
    if reply.pieces or not reply.calls:
        refused = reply.finish == "refusal"
        part = {"type": "refusal", "refusal": reply.text} if refused else {"type": "output_text", "annotations": [], "logprobs": [], "text": reply.text}
        status = "incomplete" if reply.finish in INCOMPLETE else "completed"
        item = {"id": identifier("msg_", prompt.seed, salt), "type": "message", "status": status, "role": "assistant", "content": [part]}
        yield item, list(reply.pieces)
    for place, call in enumerate(reply.calls):
        item = {"id": identifier("fc_", prompt.seed, f"{salt}{place}"), "type": "function_call", "status": "completed", "name": call.name}
        item |= {"call_id": "call_" + call.id, "arguments": call.arguments}
        yield item, [call.arguments[start : start + 7] for start in range(0, len(call.arguments), 7)]


def _event(kind: str, number: int, **members: Any) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps({"type": kind, "sequence_number": number, **members}) + b"\n\n"


def events(prompt: Prompt, replies: Sequence[Reply]) -> Iterator[bytes]:
    """Yield the events of a streamed answer, numbered from 0; never ends when `endless` was asked for."""
    reply, made = replies[0], _envelope(prompt)
    yield _event("response.created", 0, response=made)
    yield _event("response.in_progress", 1, response=made)
    number = 2
    done = []
    for index, (item, pieces) in enumerate(_items(prompt, reply)):
        spoken = cycle(pieces or ("again ",)) if prompt.directives.has("endless") and item["type"] == "message" else pieces
        for kind, members in _spoken(item, spoken):
            yield _event(f"response.{kind}", number, output_index=index, **members)
            number += 1
        done.append(item)
    ended = _ended({**made, "output": done}, prompt, reply)
    yield _event(f"response.{ended['status']}", number, response=ended)


def _spoken(item: Fields, pieces: Any) -> Iterator[tuple[str, Fields]]:
    """Yield what is said of an item from its first event to its last."""
    if item["type"] == "function_call":
        yield "output_item.added", {"item": {**item, "status": "in_progress", "arguments": ""}}
        for piece in pieces:
            yield "function_call_arguments.delta", {"item_id": item["id"], "delta": piece}
        yield "function_call_arguments.done", {"item_id": item["id"], "name": item["name"], "arguments": item["arguments"]}
    elif item["type"] == "reasoning":
        yield "output_item.added", {"item": {**item, "summary": [], "encrypted_content": ""}}
        if pieces:
            place = {"item_id": item["id"], "summary_index": 0}
            yield "reasoning_summary_part.added", {**place, "part": {"type": "summary_text", "text": ""}}
            for piece in pieces:
                yield "reasoning_summary_text.delta", {**place, "delta": piece}
            yield "reasoning_summary_text.done", {**place, "text": item["summary"][0]["text"]}
            yield "reasoning_summary_part.done", {**place, "part": item["summary"][0]}
    else:
        yield "output_item.added", {"item": {**item, "status": "in_progress", "content": []}}
        yield from _said(item, item["content"][0], pieces)
    yield "output_item.done", {"item": item}


def _said(item: Fields, part: Fields, pieces: Any) -> Iterator[tuple[str, Fields]]:
    place = {"item_id": item["id"], "content_index": 0}
    name = "refusal" if part["type"] == "refusal" else "text"
    event = "refusal" if name == "refusal" else "output_text"
    extra: Fields = {} if name == "refusal" else {"logprobs": []}
    yield "content_part.added", {**place, "part": {**part, name: ""}}
    for piece in pieces:
        yield f"{event}.delta", {**place, "delta": piece, **extra}
    yield f"{event}.done", {**place, name: part[name], **extra}
    yield "content_part.done", {**place, "part": part}


def text_event(prompt: Prompt, text: str) -> bytes:
    """Return one more event that carries the text."""
    place = {"item_id": identifier("msg_", prompt.seed), "output_index": 0, "content_index": 0, "logprobs": []}
    return _event("response.output_text.delta", 99, **place, delta=text)


def error_event() -> bytes:
    """Return the event with which the vendor reports a failure inside a stream."""
    error = {"type": "server_error", "code": "server_error", "message": "The server had an error (simulated).", "param": None}
    return _event("error", 99, error=error)
