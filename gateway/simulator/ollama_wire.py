"""Ollama's own API: answers, streams of JSON lines and errors as its SDK expects them. Knows nothing about faults on the socket."""

import struct
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Any

import orjson

from gateway.simulator import directives as sim
from gateway.simulator import openai_wire
from gateway.simulator.answers import Counts, Prompt, Reply, tokens_in
from gateway.simulator.openai_embeddings import DIMENSIONS, vector
from gateway.simulator.problems import Problem

LINES = (b"content-type", b"application/x-ndjson")
WHEN = "2026-01-01T00:00:00Z"
PATHS = ("/api/chat", "/api/generate", "/api/embed", "/api/embeddings")
FINISHES = {"length": "length"}


def read(fields: dict[str, Any], any_model: bool) -> Prompt:
    """Return the prompt of a chat, which streams unless it says otherwise; raises Problem and BadDirective."""
    options = fields.get("options") or {}
    limit = options.get("num_predict") or 0
    asked = {"model": fields.get("model"), "messages": fields.get("messages"), "tools": fields.get("tools"), "seed": options.get("seed")}
    prompt = openai_wire.read({**asked, "max_tokens": limit if limit > 0 else None, "stop": options.get("stop")}, any_model)
    shape = fields.get("format")
    return prompt._replace(
        stream=fields.get("stream") is not False,
        wants_usage=True,
        thinks=bool(fields.get("think")),
        schema=shape if isinstance(shape, dict) else None,
        json_object=shape == "json",
        images=tuple("image" for message in fields["messages"] for _ in message.get("images") or ()),
    )


def embed(fields: dict[str, Any], any_model: bool, *, one: bool) -> bytes:
    """Return embeddings of texts, or that of `one` prompt, as older clients ask for; raises Problem and BadDirective."""
    model = openai_wire.chosen_model(fields, "embedding", any_model)
    given = fields.get("prompt" if one else "input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Problem(400, "invalid input type")
    vectors = [struct.unpack(f"<{DIMENSIONS}f", vector(text, DIMENSIONS)) for text in texts]
    if one:
        return orjson.dumps({"embedding": vectors[0]})
    counted = sum(max(1, tokens_in(sim.strip(text))) for text in texts)
    return orjson.dumps({"model": model.id, "embeddings": vectors, "total_duration": 1, "load_duration": 1, "prompt_eval_count": counted})


def _line(prompt: Prompt, **rest: Any) -> dict[str, Any]:
    return {"model": prompt.model.id, "created_at": WHEN, **rest}


def _end(prompt: Prompt, reply: Reply) -> dict[str, Any]:
    told: dict[str, Any] = {"done": True, "done_reason": FINISHES.get(reply.finish, "stop"), "total_duration": 1, "load_duration": 1}
    return told if prompt.directives.has("no_usage") else told | usage(reply.counts, prompt.directives)


def usage(counts: Counts, directives: sim.Directives) -> dict[str, Any]:
    """Return the counts, bent as the directives ask."""
    sign = -1 if directives.has("usage_negative") else 1
    made: dict[str, Any] = {"prompt_eval_count": sign * counts.input_tokens, "eval_count": sign * counts.output_tokens}
    return {name: str(value) for name, value in made.items()} if directives.has("usage_text") else made


def _calls(reply: Reply) -> list[dict[str, Any]]:
    return [{"function": {"name": call.name, "arguments": orjson.loads(call.arguments)}} for call in reply.calls]


def _said(text: str, thinking: str = "", calls: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    more: dict[str, Any] = {"thinking": thinking} if thinking else {}
    return {"message": {"role": "assistant", "content": text, **more, **({"tool_calls": calls} if calls else {})}}


def whole(prompt: Prompt, replies: Sequence[Reply]) -> bytes:
    """Return the body of an answer that is not streamed."""
    reply = replies[0]
    said = _said(reply.text, "".join(reply.reasoning) if prompt.thinks else "", _calls(reply))
    return orjson.dumps(_line(prompt, **said, **_end(prompt, reply)))


def events(prompt: Prompt, replies: Sequence[Reply]) -> Iterator[bytes]:
    """Yield the lines of a streamed answer, that with the counts last; never ends when `endless` was asked for."""
    reply = replies[0]
    for thought in reply.reasoning if prompt.thinks else ():
        yield _written(prompt, **_said("", thought), done=False)
    for piece in cycle(reply.pieces or ("again ",)) if prompt.directives.has("endless") else reply.pieces:
        yield text_event(prompt, piece)
    if reply.calls:
        yield _written(prompt, **_said("", "", _calls(reply)), done=False)
    yield _written(prompt, **_said(""), **_end(prompt, reply))


def _written(prompt: Prompt, **rest: Any) -> bytes:
    return orjson.dumps(_line(prompt, **rest)) + b"\n"


def text_event(prompt: Prompt, text: str) -> bytes:
    """Return one more line that carries the text."""
    return _written(prompt, **_said(text), done=False)


def error_event() -> bytes:
    """Return the line with which a failure inside a stream is reported."""
    return b'{"error":"model runner has unexpectedly stopped (simulated)"}\n'


def problem(error: Problem) -> bytes:
    """Return an error body."""
    return orjson.dumps({"error": error.message})


def headers(seed: bytes) -> list[tuple[bytes, bytes]]:
    """Return the vendor's own answer headers: none."""
    return []
