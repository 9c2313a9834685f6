"""Bedrock's InvokeModel: Claude's bodies, with what a stream took behind its last event, and Titan's embeddings, with their tokens in a header."""

import base64
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from gateway.simulator import anthropic_wire, bedrock_wire
from gateway.simulator import directives as sim
from gateway.simulator.answers import Counts, Prompt, Reply, tokens_in
from gateway.simulator.catalogue import find
from gateway.simulator.event_stream import frame
from gateway.simulator.openai_embeddings import vector
from gateway.simulator.problems import Problem

VERSION = "bedrock-2023-05-31"
DIMENSIONS = 256
problem, error_event, headers = bedrock_wire.problem, bedrock_wire.error_event, bedrock_wire.headers


def read(fields: dict[str, Any], any_model: bool) -> Prompt:
    """Return the prompt of a request in Claude's words; raises Problem and BadDirective."""
    if fields.get("anthropic_version") != VERSION:
        raise Problem(400, f"anthropic_version: Input should be '{VERSION}'")
    model = bedrock_wire.chat_model(str(fields["model"]), any_model)
    prompt = anthropic_wire.read(fields, True)
    if prompt.stream and (wrong := [name for name in bedrock_wire.NOT_IN_FRAMES if prompt.directives.has(name)]):
        raise sim.BadDirective(f"[[sim: {wrong[0]}]] is not for streams of this wire")
    return prompt._replace(model=model)


def whole(prompt: Prompt, replies: Sequence[Reply]) -> bytes:
    """Return the body of an answer that is not streamed."""
    return anthropic_wire.whole(prompt, replies)


def events(prompt: Prompt, replies: Sequence[Reply]) -> Iterator[bytes]:
    """Yield the frames of a streamed answer, what it took in the last."""
    for event in anthropic_wire.events(prompt, replies):
        said = orjson.loads(event.partition(b"data: ")[2])
        if said["type"] == "message_stop":
            said["amazon-bedrock-invocationMetrics"] = {**_metrics(replies[0].counts), "invocationLatency": 1, "firstByteLatency": 1}
        yield _chunk(said)


def _chunk(said: dict[str, Any]) -> bytes:
    return frame("chunk", orjson.dumps({"bytes": base64.b64encode(orjson.dumps(said)).decode(), "p": "abc"}))


def _metrics(counts: Counts) -> dict[str, int]:
    return {
        "inputTokenCount": counts.input_tokens - counts.cached_tokens - counts.cache_write_tokens,
        "outputTokenCount": counts.output_tokens,
        "cacheReadInputTokenCount": counts.cached_tokens,
        "cacheWriteInputTokenCount": counts.cache_write_tokens,
    }


def embed(fields: dict[str, Any], any_model: bool) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return headers and body of an embedding, as Titan answers; raises Problem."""
    model, text = find(str(fields["model"]), "embedding", any_model), fields.get("inputText")
    if model is None:
        raise Problem(400, "The provided model identifier is invalid.")
    if not isinstance(text, str) or not text:
        raise Problem(400, "Malformed input request: expected minLength: 1, please reformat your input and try again.")
    tokens = max(1, tokens_in(sim.strip(text)))
    body = {"embedding": struct.unpack(f"<{DIMENSIONS}f", vector(text, DIMENSIONS)), "inputTextTokenCount": tokens}
    return [(b"x-amzn-bedrock-input-token-count", str(tokens).encode())], orjson.dumps(body)
