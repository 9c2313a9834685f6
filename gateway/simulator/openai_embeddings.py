"""The OpenAI wire's embeddings: vectors made from the input's words, so that like texts lie near each other. Knows nothing about chat."""

import base64
import hashlib
import math
import re
import struct
from typing import Any

import orjson

from gateway.simulator import directives as sim
from gateway.simulator.answers import tokens_in
from gateway.simulator.openai_wire import chosen_model
from gateway.simulator.problems import Problem

DIMENSIONS = 256
MOST_INPUTS = 2_048


def read_directives(fields: dict[str, Any]) -> sim.Directives:
    """Return the directives in the model name and in text inputs; raises BadDirective."""
    given = fields.get("input")
    texts = [given] if isinstance(given, str) else [text for text in given if isinstance(text, str)] if isinstance(given, list) else []
    return sim.parse(str(fields.get("model", "")), *texts)


def embed(fields: dict[str, Any], directives: sim.Directives, any_model: bool) -> bytes:
    """Return the body of an embeddings answer; raises Problem."""
    model = chosen_model(fields, "embedding", any_model)
    inputs = _inputs(fields.get("input"))
    dimensions = fields.get("dimensions") or directives.number("dims", DIMENSIONS)
    if isinstance(dimensions, bool) or not isinstance(dimensions, int) or not 1 <= dimensions <= 4_096:
        raise Problem(400, "Invalid 'dimensions': integer between 1 and 4096 expected.", "invalid_value", "dimensions")
    encoding = fields.get("encoding_format") or "float"
    if encoding not in ("float", "base64"):
        raise Problem(400, "Invalid 'encoding_format': 'float' or 'base64' expected.", "invalid_value", "encoding_format")
    data = []
    tokens = 0
    for index, given in enumerate(inputs):
        packed = vector(given, dimensions)
        value = base64.b64encode(packed).decode() if encoding == "base64" else struct.unpack(f"<{dimensions}f", packed)
        data.append({"object": "embedding", "index": index, "embedding": value})
        tokens += len(given) if isinstance(given, list) else max(1, tokens_in(sim.strip(given)))
    made: dict[str, Any] = {"object": "list", "data": data, "model": model.id}
    if not directives.has("no_usage"):
        tokens = -tokens if directives.has("usage_negative") else tokens
        made["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return orjson.dumps(made)


def _inputs(given: Any) -> list[Any]:
    inputs = [given] if isinstance(given, str) else given
    if isinstance(inputs, list) and inputs and all(isinstance(token, int) for token in inputs):
        inputs = [inputs]
    if not isinstance(inputs, list) or not inputs:
        raise Problem(400, "Missing required parameter: 'input'.", "missing_required_parameter", "input")
    if len(inputs) > MOST_INPUTS or not all(isinstance(one, (str, list)) and one for one in inputs):
        raise Problem(400, "'$.input' is invalid: up to 2048 non-empty texts or token lists expected.", "invalid_value", "input")
    return inputs


def vector(given: str | list[int], dimensions: int) -> bytes:
    """Return an input's vector of length 1 as little-endian floats."""
    words = re.findall(r"\w+", sim.strip(given).lower()) if isinstance(given, str) else [str(token) for token in given]
    values = [0.0] * dimensions
    for word in words or [""]:
        digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=16).digest()
        for start in range(0, 16, 4):
            place = int.from_bytes(digest[start : start + 3], "big") % dimensions
            values[place] += 1.0 if digest[start + 3] & 1 else -1.0
    length = math.sqrt(sum(value * value for value in values))
    if not length:
        values[0], length = 1.0, 1.0
    return struct.pack(f"<{dimensions}f", *(value / length for value in values))
