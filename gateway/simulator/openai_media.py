"""The OpenAI wire's endpoints beside chat and embeddings: moderations, pictures, sound, transcripts, reranking. All of it made up, all of it deterministic."""

import base64
import hashlib
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import orjson
from python_multipart.multipart import parse_form

from gateway.simulator import directives as sim
from gateway.simulator.answers import tokens_in
from gateway.simulator.catalogue import EPOCH_S
from gateway.simulator.openai_wire import chosen_model
from gateway.simulator.problems import Problem

KINDS = {
    "/v1/moderations": "moderation",
    "/v1/images/generations": "image",
    "/v1/images/edits": "image",
    "/v1/audio/speech": "speech",
    "/v1/audio/transcriptions": "transcription",
    "/v1/audio/translations": "transcription",
    "/v1/rerank": "rerank",
}
STREAMED = {"/v1/images/generations": "image_generation", "/v1/images/edits": "image_edit"}
FORMS = frozenset({"/v1/images/edits", "/v1/audio/transcriptions", "/v1/audio/translations"})
RATE_HZ = 8_000
Made = tuple[bytes, bytes]


def read_form(raw: bytes, headers: dict[bytes, bytes]) -> dict[str, Any]:
    """Return the fields of a form; a file is its bytes. Raises Problem."""
    fields: dict[str, Any] = {}
    try:
        parse_form(
            {"Content-Type": headers.get(b"content-type", b"")},
            _Once(raw),
            lambda field: fields.__setitem__((field.field_name or b"").decode(), (field.value or b"").decode("utf-8", "replace")),
            lambda file: fields.__setitem__((file.field_name or b"").decode(), _bytes_of(file)),
        )
    except ValueError as error:
        raise Problem(400, "We could not parse your form.", "invalid_form") from error
    return fields


class _Once:
    """Bytes as a stream."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        taken, self._raw = self._raw[:size], self._raw[size:]
        return taken


def _bytes_of(file: Any) -> bytes:
    file.file_object.seek(0)
    content: bytes = file.file_object.read()
    return content


def make(path: str, fields: dict[str, Any], directives: sim.Directives, any_model: bool) -> Made:
    """Return content type and body of an answer. Raises Problem."""
    kind = KINDS[path]
    if kind == "moderation":
        fields = {"model": "sim-moderation", **fields}
    model = chosen_model(fields, kind, any_model)
    if kind == "moderation":
        return _json(_moderation(fields, model.id))
    if kind == "image":
        return _json(_pictures(fields, directives))
    if kind == "speech":
        return b"audio/wav", _sound(str(_wanted(fields, "input")))
    if kind == "transcription":
        return _transcript(fields, directives)
    return _json(_ranked(fields, model.id))


def is_streamed(path: str, fields: dict[str, Any]) -> bool:
    """Return whether pictures are asked for as a stream; in a form that is a word."""
    return path in STREAMED and fields.get("stream") in (True, "true")


def events(path: str, fields: dict[str, Any], directives: sim.Directives, any_model: bool) -> Iterator[bytes]:
    """Yield the events of a picture that comes as a stream: sketches, then itself. Raises Problem."""
    chosen_model(fields, KINDS[path], any_model)
    made = _pictures({**fields, "n": 1}, directives)
    shown = {"created_at": EPOCH_S, "size": "1024x1024", "quality": "low", "background": "opaque", "output_format": "png"}
    for index in range(int(fields.get("partial_images") or 0)):
        sketch = base64.b64encode(_png(f"{fields.get('prompt')} sketch {index}")).decode()
        yield _event(f"{STREAMED[path]}.partial_image", {"b64_json": sketch, **shown, "partial_image_index": index})
    usage = {"usage": made["usage"]} if "usage" in made else {}
    yield _event(f"{STREAMED[path]}.completed", {"b64_json": made["data"][0]["b64_json"], **shown, **usage})


def comment(text: str) -> bytes:
    """Return text as an event that says nothing."""
    return b": " + text.encode() + b"\n\n"


def _event(kind: str, data: dict[str, Any]) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps({"type": kind, **data}) + b"\n\n"


def _json(value: dict[str, Any]) -> Made:
    return b"application/json", orjson.dumps(value)


def _wanted(fields: dict[str, Any], name: str) -> Any:
    value = fields.get(name)
    if not value:
        raise Problem(400, f"Missing required parameter: '{name}'.", "missing_required_parameter", name)
    return value


def _moderation(fields: dict[str, Any], model: str) -> dict[str, Any]:
    given = _wanted(fields, "input")
    texts = given if isinstance(given, list) else [given]
    results = [
        {
            "flagged": "violence" in str(text),
            "categories": {"violence": "violence" in str(text)},
            "category_scores": {"violence": 0.9 if "violence" in str(text) else 0.01},
            "category_applied_input_types": {"violence": ["text"]},
        }
        for text in texts
    ]
    return {"id": "modr-simulated", "model": model, "results": results}


def _pictures(fields: dict[str, Any], directives: sim.Directives) -> dict[str, Any]:
    prompt = str(_wanted(fields, "prompt"))
    count = int(fields.get("n") or 1)
    made: dict[str, Any] = {"created": EPOCH_S, "data": [{"b64_json": base64.b64encode(_png(f"{prompt} {index}")).decode()} for index in range(count)]}
    if not directives.has("no_usage"):
        given, told = tokens_in(sim.strip(prompt)), 272 * count
        made["usage"] = {
            "input_tokens": given,
            "input_tokens_details": {"text_tokens": given, "image_tokens": 0},
            "output_tokens": told,
            "total_tokens": given + told,
        }
    return made


def _png(seed: str) -> bytes:
    """Return a picture of one pixel whose colour comes from the prompt."""
    colour = hashlib.blake2b(seed.encode("utf-8", "replace"), digest_size=3).digest()

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" + colour)) + chunk(b"IEND", b"")


def _sound(text: str) -> bytes:
    """Return a WAV of silence, a tenth of a second for every word."""
    data = b"\x80" * (RATE_HZ // 10 * max(1, len(text.split())))
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, 1, RATE_HZ, RATE_HZ, 1, 8, b"data", len(data))
    return head + data


def _transcript(fields: dict[str, Any], directives: sim.Directives) -> Made:
    sound = _wanted(fields, "file")
    sound = sound if isinstance(sound, bytes) else str(sound).encode()
    text = f"A recording of {len(sound)} bytes."
    if fields.get("response_format") in ("text", "srt", "vtt"):
        return b"text/plain; charset=utf-8", text.encode() + b"\n"
    told: dict[str, Any] = {"text": text}
    if directives.has("by_time"):
        told["usage"] = {"type": "duration", "seconds": 12.5}
    elif not directives.has("no_usage"):
        heard, said = 10 * max(1, len(sound) // RATE_HZ), tokens_in(text)
        told["usage"] = {
            "type": "tokens",
            "input_tokens": heard,
            "input_token_details": {"text_tokens": 0, "audio_tokens": heard},
            "output_tokens": said,
            "total_tokens": heard + said,
        }
    return _json(told)


def _ranked(fields: dict[str, Any], model: str) -> dict[str, Any]:
    query, documents = str(_wanted(fields, "query")), _wanted(fields, "documents")
    words = set(query.lower().split())
    texts = [str(one.get("text", "")) if isinstance(one, dict) else str(one) for one in documents]
    scored = [{"index": index, "relevance_score": round(len(words & set(text.lower().split())) / max(1, len(words)), 4)} for index, text in enumerate(texts)]
    scored.sort(key=lambda row: (-row["relevance_score"], row["index"]))
    tokens = tokens_in(query) + sum(tokens_in(text) for text in texts)
    return {
        "id": "rerank-simulated",
        "model": model,
        "results": scored[: int(fields.get("top_n") or len(scored))],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
