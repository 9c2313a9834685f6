"""Cohere's own API, version 2: answers, streams of events and errors as its SDK expects them. Knows nothing about faults on the socket."""

import struct
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import orjson

from gateway.simulator import directives as sim
from gateway.simulator import openai_wire
from gateway.simulator.answers import Counts, Prompt, Reply, identifier, tokens_in
from gateway.simulator.openai_embeddings import DIMENSIONS, vector
from gateway.simulator.problems import Problem

PATHS = ("/v2/chat", "/v2/embed")
FINISHES = {"stop": "COMPLETE", "stop_sequence": "STOP_SEQUENCE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL"}
DONE = b"data: [DONE]\n\n"


def read(fields: dict[str, Any], any_model: bool) -> Prompt:
    """Return the prompt of a chat; raises Problem and BadDirective."""
    asked = {name: fields.get(name) for name in ("model", "messages", "tools", "max_tokens", "seed", "stream")}
    prompt = openai_wire.read({**asked, "stop": fields.get("stop_sequences")}, any_model)
    shape = fields.get("response_format") or {}
    choice = {"REQUIRED": "required", "NONE": "none"}.get(fields.get("tool_choice") or "", "auto")
    thinks = (fields.get("thinking") or {}).get("type") == "enabled"
    return prompt._replace(wants_usage=True, tool_mode=choice, thinks=thinks, schema=shape.get("json_schema"), json_object=shape.get("type") == "json_object")


def embed(fields: dict[str, Any], any_model: bool) -> bytes:
    """Return embeddings of texts; raises Problem and BadDirective."""
    openai_wire.chosen_model(fields, "embedding", any_model)
    texts = fields.get("texts")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise Problem(400, "invalid request: texts must be a list of strings")
    vectors = [struct.unpack(f"<{DIMENSIONS}f", vector(text, DIMENSIONS)) for text in texts]
    billed = {"input_tokens": sum(max(1, tokens_in(sim.strip(text))) for text in texts)}
    meta = {"api_version": {"version": "2"}, "billed_units": billed}
    return orjson.dumps({"id": "simulated", "embeddings": {"float": vectors}, "texts": texts, "response_type": "embeddings_by_type", "meta": meta})


def usage(counts: Counts, directives: sim.Directives) -> dict[str, Any]:
    """Return what is billed and, a little more, what was read and written; bent as the directives ask."""
    sign = -1 if directives.has("usage_negative") else 1
    billed: dict[str, Any] = {"input_tokens": sign * counts.input_tokens, "output_tokens": sign * counts.output_tokens}
    if directives.has("usage_text"):
        billed = {name: str(value) for name, value in billed.items()}
    return {"billed_units": billed, "tokens": {"input_tokens": counts.input_tokens + 60, "output_tokens": counts.output_tokens + 2}}


def _end(prompt: Prompt, reply: Reply) -> dict[str, Any]:
    counted = {} if prompt.directives.has("no_usage") else {"usage": usage(reply.counts, prompt.directives)}
    return {"finish_reason": FINISHES.get(reply.finish, "ERROR"), **counted}


def whole(prompt: Prompt, replies: Sequence[Reply]) -> bytes:
    """Return the body of an answer that is not streamed."""
    reply = replies[0]
    content: list[dict[str, Any]] = [{"type": "thinking", "thinking": "".join(reply.reasoning)}] if prompt.thinks and reply.reasoning else []
    content += [{"type": "text", "text": reply.text}] if reply.pieces else []
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if reply.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}} for call in reply.calls
        ]
    return orjson.dumps({"id": identifier("", prompt.seed), "message": message, **_end(prompt, reply)})


def _event(name: str, **rest: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps({"type": name, **rest}))


def _message(name: str, index: int, **message: Any) -> bytes:
    return _event(name, index=index, delta={"message": message})


def events(prompt: Prompt, replies: Sequence[Reply]) -> Iterator[bytes]:
    """Yield the events of a streamed answer, [DONE] last; never ends when `endless` was asked for."""
    reply = replies[0]
    start = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield _event("message-start", id=identifier("", prompt.seed), delta={"message": start})
    if prompt.thinks and reply.reasoning:
        yield _message("content-start", 0, content={"type": "thinking", "thinking": ""})
        yield from (_message("content-delta", 0, content={"thinking": thought}) for thought in reply.reasoning)
        yield _event("content-end", index=0)
    if reply.pieces:
        yield _message("content-start", 0, content={"type": "text", "text": ""})
        pieces = cycle(reply.pieces) if prompt.directives.has("endless") else reply.pieces
        yield from (text_event(prompt, piece) for piece in pieces)
        yield _event("content-end", index=0)
    for index, call in enumerate(reply.calls):
        called = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        yield _message("tool-call-start", index, tool_calls=called)
        yield _message("tool-call-delta", index, tool_calls={"function": {"arguments": call.arguments}})
        yield _event("tool-call-end", index=index)
    yield _event("message-end", delta=_end(prompt, reply))
    yield DONE


def text_event(prompt: Prompt, text: str) -> bytes:
    """Return one more event that carries the text."""
    return _message("content-delta", 0, content={"text": text})


def error_event() -> bytes:
    """Return the event with which a failure inside a stream is reported."""
    return _event("message-end", delta={"finish_reason": "ERROR", "error": "internal server error (simulated)"})


def problem(error: Problem) -> bytes:
    """Return an error body."""
    return orjson.dumps({"message": error.message})


def headers(seed: bytes) -> list[tuple[bytes, bytes]]:
    """Return the vendor's own answer headers."""
    return [(b"x-debug-trace-id", identifier("", seed).encode())]
