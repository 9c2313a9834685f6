"""The Anthropic wire: messages, token counts and models as the vendor's SDK expects them. Knows nothing about faults on the socket."""

import base64
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import orjson

from gateway.simulator import directives as sim
from gateway.simulator.answers import IMAGE_TOKENS, Counts, Offered, Prompt, Reply, identifier, seed_of, tokens_in
from gateway.simulator.catalogue import EPOCH_TEXT, MODELS, SimModel, find
from gateway.simulator.problems import Problem

KINDS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
FINISHES = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def read(fields: dict[str, Any], any_model: bool, counting: bool = False) -> Prompt:
    """Return the prompt of a messages request (`counting`: of a token count, without max_tokens); raises Problem and BadDirective."""
    model = _model(fields, any_model)
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise Problem(400, "messages: Field required")
    max_tokens = fields.get("max_tokens")
    if not counting and (isinstance(max_tokens, bool) or not isinstance(max_tokens, int) or max_tokens < 1):
        raise Problem(400, "max_tokens: Field required" if max_tokens is None else "max_tokens: Input should be greater than or equal to 1")
    _check(fields, messages)
    tools = tuple(
        Offered(str(tool["name"]), tool.get("input_schema"))
        for tool in fields.get("tools") or ()
        if isinstance(tool, dict) and "name" in tool
    )
    choice = fields.get("tool_choice") or {}
    asked = next((text for text in (_text(message) for message in messages[::-1] if message.get("role") == "user") if text), "")
    last = messages[-1].get("content") if messages[-1].get("role") == "user" else None
    images = tuple(kind for message in messages for kind in _images(message.get("content")))
    thinking = (fields.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    shape = (fields.get("output_config") or {}).get("format") or fields.get("output_format") or {}
    counts = _sizes(fields, messages, images)
    return Prompt(
        model=model,
        text=sim.strip(asked),
        directives=sim.parse(fields["model"], asked),
        seed=seed_of(model.id, fields.get("system"), messages),
        input_tokens=counts[0],
        stream=fields.get("stream") is True,
        wants_usage=True,
        tools=tools,
        tool_mode={"any": "required", "none": "none", "tool": str(choice.get("name", ""))}.get(choice.get("type", "auto"), "auto"),
        parallel=choice.get("disable_parallel_tool_use") is not True,
        tool_results=tuple(_results(last)),
        schema=shape.get("schema") if shape.get("type") == "json_schema" else None,
        images=images,
        max_tokens=None if counting else max_tokens,
        stop=tuple(str(one) for one in fields.get("stop_sequences") or ()),
        thinks=thinking,
        shows_thinking=thinking and fields["thinking"].get("display") != "omitted",
        marked_tokens=counts[1],
        marked_for_an_hour=b'"ttl":"1h"' in orjson.dumps(fields),
    )


def _model(fields: dict[str, Any], any_model: bool) -> SimModel:
    name = fields.get("model")
    if not isinstance(name, str) or not name:
        raise Problem(400, "model: Field required")
    model = find(sim.strip(name).strip(), "chat", any_model)
    if model is None:
        raise Problem(404, f"model: {sim.strip(name)}")
    return model


def _check(fields: dict[str, Any], messages: list[Any]) -> None:
    for place, message in enumerate(messages):
        if message.get("role") not in ("user", "assistant"):
            raise Problem(400, f"messages.{place}.role: Input should be 'user' or 'assistant'")
        if not isinstance(message.get("content"), (str, list)) or message["content"] == []:
            raise Problem(400, f"messages.{place}.content: Input should be a valid list or string")
    for name in ("temperature", "top_p"):
        value = fields.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1):
            raise Problem(400, f"{name}: range: 0..1")
    for name in ("tool_choice", "thinking", "output_config", "metadata"):
        if fields.get(name) is not None and not isinstance(fields[name], dict):
            raise Problem(400, f"{name}: Input should be a valid dictionary")
    if fields.get("tools") is not None and not isinstance(fields["tools"], list):
        raise Problem(400, "tools: Input should be a valid list")
    thinking = fields.get("thinking") or {}
    budget = thinking.get("budget_tokens")
    if thinking.get("type") == "enabled" and (not isinstance(budget, int) or budget < 1_024):
        raise Problem(400, "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    if thinking.get("type") == "enabled" and budget >= fields.get("max_tokens", 1 << 60):
        raise Problem(400, "`max_tokens` must be greater than `thinking.budget_tokens`.")


def _blocks(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []


def _text(message: dict[str, Any]) -> str:
    return "\n".join(str(block.get("text", "")) for block in _blocks(message.get("content")) if block.get("type") == "text")


def _images(content: Any) -> Iterator[str]:
    for block in _blocks(content):
        source = block.get("source") if block.get("type") == "image" else None
        if isinstance(source, dict):
            yield str(source.get("media_type", "by address"))


def _results(content: Any) -> Iterator[str]:
    for block in _blocks(content):
        if block.get("type") == "tool_result":
            yield "\n".join(str(part.get("text", "")) for part in _blocks(block.get("content")))


def _sizes(fields: dict[str, Any], messages: list[Any], images: tuple[str, ...]) -> tuple[int, int]:
    """Return all input tokens, and those up to the last cache_control mark."""
    total = marked = 0
    if fields.get("tools"):
        total += tokens_in(orjson.dumps(fields["tools"]).decode())
        marked = total if b'"cache_control"' in orjson.dumps(fields["tools"]) else 0
    for block in _blocks(fields.get("system")):
        total += tokens_in(str(block.get("text", "")))
        marked = total if block.get("cache_control") else marked
    for message in messages:
        total += 4
        for block in _blocks(message["content"]):
            total += tokens_in(sim.strip(_words_of(block)))
            marked = total if block.get("cache_control") else marked
    total += IMAGE_TOKENS * len(images)
    return total, total if fields.get("cache_control") else marked


def _words_of(block: dict[str, Any]) -> str:
    if block.get("type") == "tool_result":
        return "\n".join(_results([block]))
    if block.get("type") == "tool_use":
        return orjson.dumps(block.get("input")).decode()
    return str(block.get("text", "") or block.get("thinking", ""))


def usage(counts: Counts, directives: sim.Directives) -> dict[str, Any]:
    """Return the usage object; here the input count leaves cached and cache-write tokens out. Bent as the directives ask."""
    sign = -1 if directives.has("usage_negative") else 1
    made: dict[str, Any] = {
        "input_tokens": sign * (counts.input_tokens - counts.cached_tokens - counts.cache_write_tokens),
        "cache_creation_input_tokens": counts.cache_write_tokens,
        "cache_read_input_tokens": counts.cached_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": counts.cache_write_tokens - counts.cache_write_1h_tokens,
            "ephemeral_1h_input_tokens": counts.cache_write_1h_tokens,
        },
        "output_tokens": sign * counts.output_tokens,
        "service_tier": "standard",
    }
    if counts.reasoning_tokens:
        made["output_tokens_details"] = {"thinking_tokens": counts.reasoning_tokens}
    if directives.has("usage_text"):
        made.update({name: str(value) for name, value in made.items() if isinstance(value, int)})
    return made


def whole(prompt: Prompt, replies: Sequence[Reply]) -> bytes:
    """Return the body of an answer that is not streamed."""
    reply = replies[0]
    made = _envelope(prompt)
    content: list[dict[str, Any]] = []
    if prompt.thinks:
        thought = "".join(reply.reasoning) if prompt.shows_thinking else ""
        content.append({"type": "thinking", "thinking": thought, "signature": _signature(prompt)})
    if reply.pieces:
        content.append({"type": "text", "text": reply.text})
    content += [
        {"type": "tool_use", "id": "toolu_" + call.id, "name": call.name, "input": orjson.loads(call.arguments)} for call in reply.calls
    ]
    made["content"] = content
    made["stop_reason"] = FINISHES.get(reply.finish, reply.finish)
    made["stop_sequence"] = reply.stop_sequence or None
    if not prompt.directives.has("no_usage"):
        made["usage"] = usage(reply.counts, prompt.directives)
    return orjson.dumps(made)


def _envelope(prompt: Prompt) -> dict[str, Any]:
    return {
        "id": identifier("msg_", prompt.seed),
        "type": "message",
        "role": "assistant",
        "model": prompt.model.id,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _signature(prompt: Prompt) -> str:
    return base64.b64encode(b"simulated " + prompt.seed).decode()


def _event(kind: str, **rest: Any) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps({"type": kind, **rest}) + b"\n\n"


def events(prompt: Prompt, replies: Sequence[Reply]) -> Iterator[bytes]:
    """Yield the events of a streamed answer, message_stop last; never ends when `endless` was asked for."""
    reply, directives = replies[0], prompt.directives
    message = _envelope(prompt)
    silent = directives.has("no_usage")
    if not silent:
        message["usage"] = usage(reply.counts._replace(output_tokens=1, reasoning_tokens=0), directives)
    yield _event("message_start", message=message)
    index = 0
    for index, block in enumerate(_streamed_blocks(prompt, reply)):
        yield from block(index)
        if index == 0 and directives.number("ping") > 1:
            yield from [_event("ping")] * (directives.number("ping") - 1)
    final = {"stop_reason": FINISHES.get(reply.finish, reply.finish), "stop_sequence": reply.stop_sequence or None}
    counted: dict[str, Any] = {} if silent else {"usage": usage(reply.counts, directives)}
    last = _event("message_delta", delta=final, **counted)
    yield last
    if directives.has("usage_twice"):
        yield last
    yield _event("message_stop")


def _streamed_blocks(prompt: Prompt, reply: Reply) -> Iterator[Any]:
    """Yield, block by block, a function from the block's index to its events."""
    if prompt.thinks:
        yield lambda index: _thinking(prompt, reply, index)
    if reply.pieces or not (prompt.thinks or reply.calls):
        yield lambda index: _speech(prompt, reply, index)
    for place in range(len(reply.calls)):
        yield lambda index, place=place: _tool_use(reply, place, index)


def _opened(index: int, block: dict[str, Any]) -> Iterator[bytes]:
    yield _event("content_block_start", index=index, content_block=block)
    if index == 0:
        # the vendor sends a ping after the first block has begun
        yield _event("ping")


def _thinking(prompt: Prompt, reply: Reply, index: int) -> Iterator[bytes]:
    yield from _opened(index, {"type": "thinking", "thinking": "", "signature": ""})
    for piece in reply.reasoning if prompt.shows_thinking else ():
        yield _event("content_block_delta", index=index, delta={"type": "thinking_delta", "thinking": piece})
    yield _event("content_block_delta", index=index, delta={"type": "signature_delta", "signature": _signature(prompt)})
    yield _event("content_block_stop", index=index)


def _speech(prompt: Prompt, reply: Reply, index: int) -> Iterator[bytes]:
    yield from _opened(index, {"type": "text", "text": ""})
    before, after = _event("content_block_delta", index=index, delta={"type": "text_delta", "text": "@"}).split(b'"@"')
    for piece in cycle(reply.pieces or ("again ",)) if prompt.directives.has("endless") else reply.pieces:
        yield before + orjson.dumps(piece) + after
    yield _event("content_block_stop", index=index)


def _tool_use(reply: Reply, place: int, index: int) -> Iterator[bytes]:
    call = reply.calls[place]
    yield from _opened(index, {"type": "tool_use", "id": "toolu_" + call.id, "name": call.name, "input": {}})
    yield _event("content_block_delta", index=index, delta={"type": "input_json_delta", "partial_json": ""})
    for start in range(0, len(call.arguments), 7):
        yield _event(
            "content_block_delta", index=index, delta={"type": "input_json_delta", "partial_json": call.arguments[start : start + 7]}
        )
    yield _event("content_block_stop", index=index)


def text_event(prompt: Prompt, text: str) -> bytes:
    """Return one more event that carries the text."""
    return _event("content_block_delta", index=1 if prompt.thinks else 0, delta={"type": "text_delta", "text": text})


def error_event() -> bytes:
    """Return the event with which the vendor reports a failure inside a stream."""
    return _event("error", error={"type": "overloaded_error", "message": "Overloaded (simulated)"})


def problem(error: Problem) -> bytes:
    """Return an error body."""
    kind = KINDS.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
    return orjson.dumps({"type": "error", "error": {"type": kind, "message": error.message}, "request_id": "req_simulated"})


def headers(seed: bytes) -> list[tuple[bytes, bytes]]:
    """Return the vendor's own answer headers."""
    return [
        (b"request-id", identifier("req_", seed).encode()),
        (b"anthropic-organization-id", b"simulated"),
        (b"anthropic-ratelimit-requests-limit", b"4000"),
        (b"anthropic-ratelimit-requests-remaining", b"3999"),
        (b"anthropic-ratelimit-requests-reset", EPOCH_TEXT.encode()),
        (b"anthropic-ratelimit-tokens-limit", b"400000"),
        (b"anthropic-ratelimit-tokens-remaining", b"399000"),
        (b"anthropic-ratelimit-tokens-reset", EPOCH_TEXT.encode()),
    ]


def model_row(model: SimModel) -> dict[str, Any]:
    """Return a model as the model list shows it."""
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.title,
        "created_at": EPOCH_TEXT,
        "lifecycle": "active",
        "max_input_tokens": 200_000,
        "max_tokens": 100_000,
    }


def models() -> bytes:
    """Return the body of the model list."""
    rows = [model_row(model) for model in MODELS.values() if model.vendor == "anthropic"]
    return orjson.dumps({"data": rows, "has_more": False, "first_id": rows[0]["id"], "last_id": rows[-1]["id"]})


def one_model(name: str) -> bytes:
    """Return the body for one model; raises Problem 404."""
    model = MODELS.get(name)
    if model is None or model.vendor != "anthropic":
        raise Problem(404, f"model: {name}")
    return orjson.dumps(model_row(model))
