"""What the gateway reads of OpenAI's endpoints beside chat: models and bounds of requests, tokens of answers."""

from typing import Any

import orjson
import pytest

from gateway.terms import Usage
from gateway.wire import Head, Seen, WireError, plain_endpoints
from gateway.wire.openai_chat.media import TRANSCRIPT_TOKENS
from gateway.wire.openai_chat.media_usage import IMAGE_TOKENS
from gateway.wire.openai_chat.pictures import PictureMeter

PLAIN = plain_endpoints()


@pytest.mark.parametrize(
    ("endpoint", "asked", "read"),
    [
        ("moderations", {"input": "x"}, Head(model="omni-moderation-latest")),
        ("moderations", {"model": "m", "input": ["x"]}, Head(model="m")),
        ("images/generations", {"model": "m", "prompt": "a cat", "n": 2, "user": "u"}, Head(model="m", max_output_tokens=2 * IMAGE_TOKENS, end_user="u")),
        (
            "images/generations",
            {"model": "m", "prompt": "a cat", "stream": True, "partial_images": 2},
            Head(model="m", stream=True, max_output_tokens=IMAGE_TOKENS + 200),
        ),
        ("images/edits", {"model": "m", "image": b"", "stream": "true"}, Head(model="m", stream=True, max_output_tokens=IMAGE_TOKENS)),
        ("images/edits", {"model": "m", "prompt": "a cat", "image": b"", "n": "3"}, Head(model="m", max_output_tokens=3 * IMAGE_TOKENS)),
        ("audio/speech", {"model": "m", "input": "Hello", "voice": "alloy"}, Head(model="m", max_output_tokens=10, most_input_tokens=5)),
        (
            "audio/speech",
            {"model": "m", "input": "Hello", "instructions": "Be calm"},
            Head(model="m", max_output_tokens=10, most_input_tokens=12),
        ),
        ("audio/transcriptions", {"model": "m", "file": b""}, Head(model="m", max_output_tokens=TRANSCRIPT_TOKENS)),
        ("rerank", {"model": "m", "query": "q", "documents": ["a"]}, Head(model="m")),
    ],
)
def test_the_gateway_reads_what_it_needs(endpoint: str, asked: dict[str, Any], read: Head) -> None:
    assert PLAIN[endpoint].read_head(asked) == read


@pytest.mark.parametrize(
    ("endpoint", "asked", "code", "param"),
    [
        ("images/generations", {"prompt": "x"}, "invalid_request", "model"),
        ("images/generations", {"model": "m", "n": 11}, "invalid_request", "n"),
        ("images/generations", {"model": "m", "n": 0}, "invalid_request", "n"),
        ("images/generations", {"model": "m", "stream": True, "n": 2}, "invalid_request", "n"),
        ("images/generations", {"model": "m", "stream": True, "partial_images": 4}, "invalid_request", "partial_images"),
        ("audio/transcriptions", {"model": "m", "file": b"", "stream": "true"}, "unsupported_field", "stream"),
        ("audio/speech", {"model": "m", "input": ""}, "invalid_request", "input"),
        ("audio/speech", {"model": "m", "input": 3}, "invalid_request", "input"),
        ("audio/transcriptions", {"model": "m"}, "invalid_request", "file"),
        ("rerank", {"model": "m", "query": "q"}, "invalid_request", "documents"),
        ("rerank", {"model": "m", "documents": []}, "invalid_request", "query"),
        ("moderations", {"model": 3}, "invalid_request", "model"),
        ("images/edits", {"model": b"", "image": b""}, "invalid_request", "model"),
        ("images/edits", {"model": "m", "image": b"", "n": b""}, "invalid_request", "n"),
    ],
)
def test_nonsense_is_refused_with_its_field_named(endpoint: str, asked: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(WireError) as caught:
        PLAIN[endpoint].read_head(asked)
    assert (caught.value.code, caught.value.param) == (code, param)


@pytest.mark.parametrize(
    ("endpoint", "usage", "read"),
    [
        (
            "images/generations",
            {"input_tokens": 9, "output_tokens": 272, "total_tokens": 281, "input_tokens_details": {"text_tokens": 9, "image_tokens": 0}},
            (Usage(input_tokens=9, output_tokens=272), ""),
        ),
        (
            "audio/transcriptions",
            {"type": "tokens", "input_tokens": 30, "output_tokens": 4, "input_token_details": {"audio_tokens": 28, "text_tokens": 2}},
            (Usage(input_tokens=30, audio_input_tokens=28, output_tokens=4), ""),
        ),
        ("audio/transcriptions", {"type": "duration", "seconds": 12.2}, (Usage(input_tokens=13, audio_input_tokens=13), "")),
        ("audio/transcriptions", {"type": "duration", "seconds": -1}, (None, "usage_invalid")),
        ("images/generations", {"input_tokens": -9}, (None, "usage_invalid")),
        ("images/generations", {"input_tokens": "9"}, (None, "usage_invalid")),
        ("images/generations", None, (None, "usage_missing")),
        ("moderations", None, (Usage(), "")),
        ("rerank", {"prompt_tokens": 7, "total_tokens": 7}, (Usage(input_tokens=7), "")),
        ("rerank", {"total_tokens": -7, "prompt_tokens": -7}, (None, "usage_invalid")),
        ("rerank", None, (Usage(), "")),
    ],
)
def test_what_an_answer_used_is_read(endpoint: str, usage: Any, read: tuple[Usage | None, str]) -> None:
    assert PLAIN[endpoint].read_usage(orjson.dumps({"usage": usage, "data": []})) == read


@pytest.mark.parametrize("endpoint", sorted(PLAIN))
def test_an_answer_that_is_no_json_object_is_garbage(endpoint: str) -> None:
    for body in (b"", b"[1]", b"<html>", b"\xff"):
        with pytest.raises(WireError) as caught:
            PLAIN[endpoint].read_usage(body)
        assert caught.value.code == "garbage"


def test_a_stream_of_pictures_is_metered_by_its_last_event() -> None:
    meter = PictureMeter()
    sketch = b'event: image_generation.partial_image\ndata: {"type":"image_generation.partial_image","b64_json":"iVBO","partial_image_index":0}\n\n'
    usage = b'{"input_tokens":9,"output_tokens":272,"total_tokens":281,"input_tokens_details":{"text_tokens":9,"image_tokens":0}}'
    done = b'event: image_generation.completed\ndata: {"type":"image_generation.completed","b64_json":"iVBO","usage":' + usage + b"}\n\n"
    assert [meter.feed(event) for event in (b": keep-alive\n\n", sketch, sketch, done)] == [
        Seen(),
        Seen(text_bytes=4 * IMAGE_TOKENS),
        Seen(),
        Seen(usage=Usage(input_tokens=9, output_tokens=272), finish=True, terminal=True),
    ]
    assert PictureMeter().feed(b'data: {"type":"image_edit.completed"}\n\n') == Seen(problem="usage_missing", finish=True, terminal=True)
    assert PictureMeter().feed(b'data: {"error":{"message":"Overloaded"}}\n\n') == Seen(error="Overloaded")
    with pytest.raises(WireError):
        PictureMeter().feed(b"data: {not json\n\n")
