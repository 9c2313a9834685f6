"""Bedrock's Converse wire: answers, streams of frames and errors as AWS's SDK expects them. Knows nothing about faults on the socket, nor of signatures."""

import base64
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any
from urllib.parse import unquote

import orjson

from gateway.simulator import directives as sim
from gateway.simulator.answers import IMAGE_TOKENS, Counts, Offered, Prompt, Reply, identifier, seed_of, tokens_in
from gateway.simulator.catalogue import SimModel, find
from gateway.simulator.event_stream import frame
from gateway.simulator.problems import Problem

EVENTS = (b"content-type", b"application/vnd.amazon.eventstream")
FINISHES = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "content_filtered", "refusal": "content_filtered"}
SIGNED = b"simulated "
# harm that is done to lines of text, which this wire does not have
NOT_IN_FRAMES = ("crlf", "comments", "huge_line")


METHODS = {
    "converse": ("converse", False),
    "converse-stream": ("converse", True),
    "invoke": ("invoke", False),
    "invoke-with-response-stream": ("invoke", True),
    "count-tokens": ("count-tokens", False),
}


def place(raw_path: bytes) -> tuple[str, str, bool]:
    """Return the model of `/model/{model}/converse` and its like, what is asked of it, and whether its answer streams; raises Problem 404."""
    model, _, called = raw_path.decode("latin-1").removeprefix("/model/").rpartition("/")
    if called not in METHODS or not model:
        raise Problem(404, "<UnknownOperationException/>")
    return unquote(model), *METHODS[called]


def count(fields: dict[str, Any], any_model: bool) -> bytes:
    """Return the count of the tokens of a request to converse; raises Problem and BadDirective."""
    given = (fields.get("input") or {}).get("converse")
    if not isinstance(given, dict):
        raise Problem(400, "The simulator counts nothing but the tokens of converse.")
    return orjson.dumps({"inputTokens": read({**given, "model": fields["model"], "stream": False}, any_model).input_tokens})


def read(fields: dict[str, Any], any_model: bool) -> Prompt:
    """Return the prompt of a request whose model and stream were put into its fields; raises Problem and BadDirective."""
    model = chat_model(str(fields["model"]), any_model)
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise Problem(400, "A conversation must start with a user message. Try again with a conversation that starts with a user message.")
    tools = tuple(_tools(fields.get("toolConfig") or {}))
    config, extra = fields.get("inferenceConfig") or {}, fields.get("additionalModelRequestFields") or {}
    _check(messages, config, has_tools=bool(tools))
    asked = next((text for message in messages[::-1] if message["role"] == "user" and (text := _text(message))), "")
    images = tuple(kind for message in messages for kind in _images(message))
    directives = sim.parse(str(fields["model"]), asked)
    if fields["stream"] and (wrong := [name for name in NOT_IN_FRAMES if directives.has(name)]):
        raise sim.BadDirective(f"[[sim: {wrong[0]}]] is not for streams of this wire")
    thinks = (extra.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    counts = _sizes(fields, messages, images)
    return Prompt(
        model=model,
        text=sim.strip(asked),
        directives=directives,
        seed=seed_of(model.id, fields.get("system"), messages),
        input_tokens=counts[0],
        stream=fields["stream"],
        wants_usage=True,
        tools=tools,
        tool_mode=_mode((fields.get("toolConfig") or {}).get("toolChoice") or {}),
        tool_results=tuple(_results(messages[-1])) if messages[-1]["role"] == "user" else (),
        schema=_schema(fields.get("outputConfig") or {}),
        images=images,
        max_tokens=config.get("maxTokens"),
        stop=tuple(str(one) for one in config.get("stopSequences") or ()),
        thinks=thinks,
        shows_thinking=thinks and extra["thinking"].get("display") != "omitted",
        marked_tokens=counts[1],
        marked_for_an_hour=b'"ttl":"1h"' in orjson.dumps(fields),
    )


def chat_model(name: str, any_model: bool) -> SimModel:
    """Return a model for chat by its name, which may hold directives; raises Problem."""
    model = find(sim.strip(name).strip(), "chat", any_model)
    if model is None:
        raise Problem(400, "The provided model identifier is invalid.")
    return model


def _tools(config: dict[str, Any]) -> Iterator[Offered]:
    for tool in config.get("tools") or ():
        if "toolSpec" in tool:
            yield Offered(str(tool["toolSpec"]["name"]), tool["toolSpec"]["inputSchema"]["json"])


def _mode(choice: dict[str, Any]) -> str:
    return str(choice["tool"]["name"]) if "tool" in choice else "required" if "any" in choice else "auto"


def _schema(config: dict[str, Any]) -> Any:
    shape = config.get("textFormat") or {}
    return orjson.loads(shape["structure"]["jsonSchema"]["schema"]) if shape.get("type") == "json_schema" else None


def _check(messages: list[Any], config: dict[str, Any], *, has_tools: bool) -> None:
    """Be as strict as AWS: turns alternate from a user's on, nothing is blank, results answer the calls before them, reasoning is signed."""
    for name in ("temperature", "topP"):
        value = config.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1):
            raise Problem(400, f"Value '{value}' at 'inferenceConfig.{name}' failed to satisfy constraint: Member must have value less than or equal to 1")
    called: list[str] = []
    for at, message in enumerate(messages):
        if message.get("role") != ("user", "assistant")[at % 2]:
            raise Problem(400, "A conversation must alternate between user and assistant roles. Make sure it does and try again.")
        content = message.get("content")
        if not isinstance(content, list) or not content:
            raise Problem(400, f"The content field in the Message object at messages.{at} is empty. Add a ContentBlock object to it and try again.")
        for place_, block in enumerate(content):
            _check_block(block, f"messages.{at}.content.{place_}")
        results = [block["toolResult"]["toolUseId"] for block in content if "toolResult" in block]
        if sorted(results) != sorted(called):
            raise Problem(400, f"Expected toolResult blocks at messages.{at}.content for the following Ids: {', '.join(called)}")
        called = [block["toolUse"]["toolUseId"] for block in content if "toolUse" in block]
        if (called or results) and not has_tools:
            raise Problem(400, "The toolConfig field must be defined when using toolUse and toolResult content blocks.")


def _check_block(block: dict[str, Any], where: str) -> None:
    if "text" in block and not block["text"].strip():
        raise Problem(400, f"The text field in the ContentBlock object at {where} is blank. Add text to the text field, and try again.")
    thought = (block.get("reasoningContent") or {}).get("reasoningText")
    if thought is not None and not base64.b64decode(thought.get("signature") or "").startswith(SIGNED):
        raise Problem(400, f"{where}: Invalid `signature` in `thinking` block")
    for kind in ("image", "document", "audio"):
        if kind in block and "bytes" not in block[kind]["source"]:
            raise Problem(400, f"The {kind} at {where} has no bytes.")


def _text(message: dict[str, Any]) -> str:
    return "\n".join(block["text"] for block in message["content"] if "text" in block)


def _images(message: dict[str, Any]) -> Iterator[str]:
    for block in message["content"]:
        if "image" in block:
            yield f"image/{block['image']['format']}"


def _results(message: dict[str, Any]) -> Iterator[str]:
    for block in message["content"]:
        if "toolResult" in block:
            yield "\n".join(part["text"] if "text" in part else orjson.dumps(part.get("json")).decode() for part in block["toolResult"]["content"])


def _sizes(fields: dict[str, Any], messages: list[Any], images: tuple[str, ...]) -> tuple[int, int]:
    """Return all input tokens, and those up to the last point of the cache."""
    total = marked = 0
    for tool in (fields.get("toolConfig") or {}).get("tools") or ():
        total += tokens_in(orjson.dumps(tool).decode())
        marked = total if "cachePoint" in tool else marked
    for block in [*(fields.get("system") or ()), *(block for message in messages for block in message["content"])]:
        total += tokens_in(sim.strip(block["text"] if "text" in block else orjson.dumps(block.get("toolUse") or block.get("toolResult")).decode()))
        marked = total if "cachePoint" in block else marked
    return total + 4 * len(messages) + IMAGE_TOKENS * len(images), marked


def usage(counts: Counts, directives: sim.Directives) -> dict[str, Any]:
    """Return the usage object; here the input count leaves cached and cache-write tokens out. Bent as the directives ask."""
    sign = -1 if directives.has("usage_negative") else 1
    made: dict[str, Any] = {
        "inputTokens": sign * (counts.input_tokens - counts.cached_tokens - counts.cache_write_tokens),
        "outputTokens": sign * counts.output_tokens,
        "totalTokens": counts.input_tokens + counts.output_tokens,
        "cacheReadInputTokens": counts.cached_tokens,
        "cacheWriteInputTokens": counts.cache_write_tokens,
    }
    if directives.has("usage_text"):
        return {name: str(value) for name, value in made.items()}
    if counts.cache_write_tokens:
        made["cacheDetails"] = [{"ttl": "1h" if counts.cache_write_1h_tokens else "5m", "inputTokens": counts.cache_write_tokens}]
    return made


def _signature(prompt: Prompt) -> str:
    return base64.b64encode(SIGNED + prompt.seed).decode()


def whole(prompt: Prompt, replies: Sequence[Reply]) -> bytes:
    """Return the body of an answer that is not streamed."""
    reply = replies[0]
    content: list[dict[str, Any]] = []
    if prompt.thinks:
        thought = "".join(reply.reasoning) if prompt.shows_thinking else ""
        content.append({"reasoningContent": {"reasoningText": {"text": thought, "signature": _signature(prompt)}}})
    if reply.pieces:
        content.append({"text": reply.text})
    content += [
        {"toolUse": {"toolUseId": "tooluse_" + call.id, "name": call.name, "input": orjson.loads(call.arguments)}} for call in reply.calls
    ]
    made: dict[str, Any] = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": FINISHES.get(reply.finish, reply.finish),
        "metrics": {"latencyMs": 1},
    }
    if not prompt.directives.has("no_usage"):
        made["usage"] = usage(reply.counts, prompt.directives)
    return orjson.dumps(made)


def _event(name: str, **rest: Any) -> bytes:
    return frame(name, orjson.dumps(rest))


def _delta(index: int, delta: dict[str, Any]) -> bytes:
    return _event("contentBlockDelta", contentBlockIndex=index, delta=delta)


def events(prompt: Prompt, replies: Sequence[Reply]) -> Iterator[bytes]:
    """Yield the frames of a streamed answer, its metadata last; never ends when `endless` was asked for."""
    reply, directives = replies[0], prompt.directives
    yield _event("messageStart", role="assistant")
    index = 0
    if prompt.thinks:
        yield from (_delta(index, {"reasoningContent": {"text": piece}}) for piece in (reply.reasoning if prompt.shows_thinking else ()))
        yield _delta(index, {"reasoningContent": {"signature": _signature(prompt)}})
        yield _event("contentBlockStop", contentBlockIndex=index)
        index += 1
    if reply.pieces or not (prompt.thinks or reply.calls):
        pieces = cycle(reply.pieces or ("again ",)) if directives.has("endless") else reply.pieces
        yield from (_delta(index, {"text": piece}) for piece in pieces)
        yield _event("contentBlockStop", contentBlockIndex=index)
        index += 1
    for at, call in enumerate(reply.calls, index):
        yield _event("contentBlockStart", contentBlockIndex=at, start={"toolUse": {"toolUseId": "tooluse_" + call.id, "name": call.name}})
        for start in range(0, len(call.arguments), 7):
            yield _delta(at, {"toolUse": {"input": call.arguments[start : start + 7]}})
        yield _event("contentBlockStop", contentBlockIndex=at)
    yield _event("messageStop", stopReason=FINISHES.get(reply.finish, reply.finish))
    counted: dict[str, Any] = {} if directives.has("no_usage") else {"usage": usage(reply.counts, directives)}
    yield from [_event("metadata", **counted, metrics={"latencyMs": 1})] * (2 if directives.has("usage_twice") else 1)


def error_event() -> bytes:
    """Return the frame with which AWS reports a failure inside a stream."""
    return frame("serviceUnavailableException", b'{"message":"The service is unavailable (simulated)."}', "exception")


def problem(error: Problem) -> bytes:
    """Return an error body."""
    return orjson.dumps({"message": error.message})


def headers(seed: bytes) -> list[tuple[bytes, bytes]]:
    """Return the vendor's own answer headers."""
    return [(b"x-amzn-requestid", identifier("", seed).encode())]
