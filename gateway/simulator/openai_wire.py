"""The OpenAI wire: chat completions and models as the vendor's official SDK expects them. Knows nothing about faults on the socket."""

import re
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import orjson

from gateway.simulator import directives as sim
from gateway.simulator.answers import IMAGE_TOKENS, Counts, Offered, Prompt, Reply, identifier, seed_of, tokens_in
from gateway.simulator.catalogue import EPOCH_S, MODELS, SimModel, find
from gateway.simulator.problems import Problem

KINDS = {401: "invalid_request_error", 403: "insufficient_permissions", 429: "rate_limit_error"}
CODES = {401: "invalid_api_key", 403: "permission_denied", 404: "model_not_found", 429: "rate_limit_exceeded"}
FINISHES = {"stop_sequence": "stop", "refusal": "stop"}
DONE = b"data: [DONE]\n\n"


def chosen_model(fields: dict[str, Any], kind: str, any_model: bool) -> SimModel:
    """Return the model a request names, directives in the name left out; raises Problem 400 or 404."""
    name = fields.get("model")
    if not isinstance(name, str) or not name:
        raise Problem(400, "you must provide a model parameter", "missing_required_parameter", "model")
    name = sim.strip(name).strip()
    model = find(name, kind, any_model)
    if model is None:
        raise Problem(404, f"The model `{name}` does not exist or you do not have access to it.", "model_not_found")
    return model


def read(fields: dict[str, Any], any_model: bool) -> Prompt:
    """Return the prompt of a chat completion request; raises Problem and BadDirective."""
    model = chosen_model(fields, "chat", any_model)
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise Problem(400, "Missing required parameter: 'messages'.", "missing_required_parameter", "messages")
    _check(fields)
    texts = [_text(message.get("content")) for message in messages]
    asked = next((text for message, text in zip(messages[::-1], texts[::-1], strict=True) if message.get("role") == "user"), "")
    images = [kind for message in messages if message.get("role") == "user" for kind in _images(message.get("content"))]
    results: list[str] = []
    for message, text in zip(messages[::-1], texts[::-1], strict=True):
        if message.get("role") != "tool":
            break
        results.insert(0, text)
    tools = tuple(
        Offered(str(tool["function"].get("name", "")), tool["function"].get("parameters"))
        for tool in fields.get("tools") or ()
        if isinstance(tool, dict) and isinstance(tool.get("function"), dict)
    )
    shape = fields.get("response_format") or {}
    schema = (shape.get("json_schema") or {}).get("schema") if shape.get("type") == "json_schema" else None
    stop = fields.get("stop") or ()
    return Prompt(
        model=model,
        text=sim.strip(asked),
        directives=sim.parse(fields["model"], asked),
        seed=seed_of(model.id, messages, fields.get("seed")),
        input_tokens=sum(4 + tokens_in(sim.strip(text)) for text in texts)
        + IMAGE_TOKENS * len(images)
        + (tokens_in(orjson.dumps(fields["tools"]).decode()) if tools else 0),
        stream=fields.get("stream") is True,
        wants_usage=bool((fields.get("stream_options") or {}).get("include_usage")),
        choices=fields.get("n") or 1,
        tools=tools,
        tool_mode=_tool_mode(fields.get("tool_choice")),
        parallel=fields.get("parallel_tool_calls") is not False,
        tool_results=tuple(results),
        schema=schema,
        json_object=shape.get("type") == "json_object",
        images=tuple(images),
        max_tokens=fields.get("max_completion_tokens") or fields.get("max_tokens"),
        stop=(stop,) if isinstance(stop, str) else tuple(str(one) for one in stop),
    )


def _check(fields: dict[str, Any]) -> None:
    for name, least, most in (("temperature", 0, 2), ("top_p", 0, 1), ("frequency_penalty", -2, 2), ("presence_penalty", -2, 2)):
        value = fields.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Problem(400, f"Invalid type for '{name}': expected a decimal.", "invalid_type", name)
        if not least <= value <= most:
            bound, word = (least, "above") if value < least else (most, "below")
            raise Problem(400, f"Invalid '{name}': expected a value {word} or equal to {bound}.", "decimal_out_of_range", name)
    for name, most in (("n", 8), ("max_tokens", 1_000_000), ("max_completion_tokens", 1_000_000)):
        value = fields.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most):
            raise Problem(400, f"Invalid '{name}': integer between 1 and {most} expected.", "invalid_value", name)
    for name in ("response_format", "stream_options"):
        if fields.get(name) is not None and not isinstance(fields[name], dict):
            raise Problem(400, f"Invalid type for '{name}': expected an object.", "invalid_type", name)
    if fields.get("tools") is not None and not isinstance(fields["tools"], list):
        raise Problem(400, "Invalid type for 'tools': expected an array of objects.", "invalid_type", "tools")
    if fields.get("stream_options") is not None and fields.get("stream") is not True:
        raise Problem(
            400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "invalid_parameter", "stream_options"
        )


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "\n".join(str(part.get("text", "")) for part in parts if isinstance(part, dict) and part.get("type") == "text")


def _images(content: Any) -> Iterator[str]:
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and part.get("type") == "image_url":
            image = part.get("image_url")
            url = str(image.get("url", "") if isinstance(image, dict) else image)
            yield re.split("[;,]", url[5:], maxsplit=1)[0] if url.startswith("data:") else "by address"


def _tool_mode(choice: Any) -> str:
    if isinstance(choice, dict):
        function = choice.get("function")
        return str(function.get("name", "")) if isinstance(function, dict) else "required"
    return choice if choice in ("none", "required") else "auto"


def usage(counts: Counts, directives: sim.Directives) -> dict[str, Any]:
    """Return the usage object, bent as the directives ask (negative counts, or numbers as text)."""
    sign = -1 if directives.has("usage_negative") else 1
    made: dict[str, Any] = {
        "prompt_tokens": sign * counts.input_tokens,
        "completion_tokens": sign * counts.output_tokens,
        "total_tokens": sign * (counts.input_tokens + counts.output_tokens),
        "prompt_tokens_details": {"cached_tokens": counts.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": counts.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    if directives.has("usage_text"):
        made.update({name: str(value) for name, value in made.items() if isinstance(value, int)})
    return made


def _total(replies: Sequence[Reply]) -> Counts:
    first = replies[0].counts
    return first._replace(
        output_tokens=sum(reply.counts.output_tokens for reply in replies),
        reasoning_tokens=sum(reply.counts.reasoning_tokens for reply in replies),
    )


def whole(prompt: Prompt, replies: Sequence[Reply]) -> bytes:
    """Return the body of an answer that is not streamed."""
    made = _envelope(prompt, "chat.completion")
    made["choices"] = [_choice(prompt, index, reply) for index, reply in enumerate(replies)]
    if not prompt.directives.has("no_usage"):
        made["usage"] = usage(_total(replies), prompt.directives)
    return orjson.dumps(made)


def _envelope(prompt: Prompt, kind: str) -> dict[str, Any]:
    return {
        "id": identifier("chatcmpl-", prompt.seed),
        "object": kind,
        "created": EPOCH_S,
        "model": prompt.model.id,
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    }


def _choice(prompt: Prompt, index: int, reply: Reply) -> dict[str, Any]:
    refused = reply.finish == "refusal"
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if reply.calls or refused else reply.text,
        "refusal": reply.text if refused else None,
        "annotations": [],
    }
    if reply.reasoning and prompt.directives.has("reasoning_content"):
        message["reasoning_content"] = "".join(reply.reasoning)
    if reply.calls:
        message["tool_calls"] = [
            {"id": "call_" + call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in reply.calls
        ]
    return {"index": index, "message": message, "logprobs": None, "finish_reason": FINISHES.get(reply.finish, reply.finish)}


def events(prompt: Prompt, replies: Sequence[Reply]) -> Iterator[bytes]:
    """Yield the events of a streamed answer, [DONE] last; never ends when `endless` was asked for."""
    envelope = _envelope(prompt, "chat.completion.chunk")
    reports = prompt.wants_usage and not prompt.directives.has("no_usage")
    tail = {"usage": None} if reports else {}

    def chunk(index: int, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return b"data: " + orjson.dumps({**envelope, "choices": [choice], **tail}) + b"\n\n"

    for index, reply in enumerate(replies):
        yield from _spoken(prompt, reply, index, chunk)
    if reports:
        last = b"data: " + orjson.dumps({**envelope, "choices": [], "usage": usage(_total(replies), prompt.directives)}) + b"\n\n"
        yield last
        if prompt.directives.has("usage_twice"):
            yield last
    yield DONE


def _spoken(prompt: Prompt, reply: Reply, index: int, chunk: Any) -> Iterator[bytes]:
    name = "refusal" if reply.finish == "refusal" else "content"
    opening = {"role": "assistant", "content": None if reply.calls or name == "refusal" else "", "refusal": None}
    yield chunk(index, opening)
    if prompt.directives.has("reasoning_content"):
        for piece in reply.reasoning:
            yield chunk(index, {"reasoning_content": piece})
    # one dump a choice, not one a token: the piece is set between the two halves
    before, after = chunk(index, {name: "@"}).split(b'"@"')
    for piece in cycle(reply.pieces or ("again ",)) if prompt.directives.has("endless") else reply.pieces:
        yield before + orjson.dumps(piece) + after
    for place, call in enumerate(reply.calls):
        function = {"name": call.name, "arguments": ""}
        yield chunk(index, {"tool_calls": [{"index": place, "id": "call_" + call.id, "type": "function", "function": function}]})
        for start in range(0, len(call.arguments), 7):
            yield chunk(index, {"tool_calls": [{"index": place, "function": {"arguments": call.arguments[start : start + 7]}}]})
    yield chunk(index, {}, FINISHES.get(reply.finish, reply.finish))


def text_event(prompt: Prompt, text: str) -> bytes:
    """Return one more event that carries the text."""
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
    return b"data: " + orjson.dumps({**_envelope(prompt, "chat.completion.chunk"), "choices": [choice]}) + b"\n\n"


def error_event() -> bytes:
    """Return the event with which the vendor reports a failure inside a stream."""
    return b"data: " + problem(Problem(500, "The server had an error while processing your request (simulated).")) + b"\n\n"


def problem(error: Problem) -> bytes:
    """Return an error body."""
    kind = KINDS.get(error.status, "invalid_request_error" if error.status < 500 else "server_error")
    code = error.code or CODES.get(error.status)
    return orjson.dumps({"error": {"message": error.message, "type": kind, "param": error.param, "code": code}})


def headers(seed: bytes) -> list[tuple[bytes, bytes]]:
    """Return the vendor's own answer headers."""
    return [
        (b"x-request-id", identifier("req_", seed).encode()),
        (b"openai-organization", b"simulated"),
        (b"openai-processing-ms", b"1"),
        (b"openai-version", b"2020-10-01"),
        (b"x-ratelimit-limit-requests", b"10000"),
        (b"x-ratelimit-remaining-requests", b"9999"),
        (b"x-ratelimit-reset-requests", b"6ms"),
        (b"x-ratelimit-limit-tokens", b"2000000"),
        (b"x-ratelimit-remaining-tokens", b"1999000"),
        (b"x-ratelimit-reset-tokens", b"30ms"),
    ]


def model_row(model: SimModel) -> dict[str, Any]:
    """Return a model as the model list shows it."""
    return {"id": model.id, "object": "model", "created": EPOCH_S, "owned_by": "simulated"}


def models() -> bytes:
    """Return the body of the model list."""
    return orjson.dumps({"object": "list", "data": [model_row(model) for model in MODELS.values()]})


def one_model(name: str) -> bytes:
    """Return the body for one model; raises Problem 404."""
    if name not in MODELS:
        raise Problem(404, f"The model '{name}' does not exist", "model_not_found", "model")
    return orjson.dumps(model_row(MODELS[name]))
