"""Ollama's `generate`: a prompt in place of messages, a text in place of a message. All else is as in chat."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from gateway.simulator import ollama_wire
from gateway.simulator.answers import Prompt, Reply

problem, error_event, headers = ollama_wire.problem, ollama_wire.error_event, ollama_wire.headers


def read(fields: dict[str, Any], any_model: bool) -> Prompt:
    """Return the prompt of a request; raises Problem and BadDirective."""
    said = {"role": "user", "content": fields.get("prompt") or "", "images": fields.get("images")}
    system = [{"role": "system", "content": fields["system"]}] if fields.get("system") else []
    return ollama_wire.read({**fields, "messages": [*system, said], "tools": None}, any_model)


def whole(prompt: Prompt, replies: Sequence[Reply]) -> bytes:
    """Return the body of an answer that is not streamed."""
    return _generated(ollama_wire.whole(prompt, replies))


def events(prompt: Prompt, replies: Sequence[Reply]) -> Iterator[bytes]:
    """Yield the lines of a streamed answer."""
    for line in ollama_wire.events(prompt, replies):
        yield _generated(line) + b"\n"


def text_event(prompt: Prompt, text: str) -> bytes:
    """Return one more line that carries the text."""
    return _generated(ollama_wire.text_event(prompt, text)) + b"\n"


def _generated(body: bytes) -> bytes:
    told = orjson.loads(body)
    message = told.pop("message")
    thought = {"thinking": message["thinking"]} if "thinking" in message else {}
    return orjson.dumps({"model": told.pop("model"), "created_at": told.pop("created_at"), "response": message["content"], **thought, **told})
