"""Embeddings between OpenAI's wire and Gemini's."""

import base64
import struct
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.plane.route import find
from gateway.providers import shelf as providers
from gateway.terms import EmbedAsk, Embedded, Usage
from gateway.wire import Embedding, Told, WireError, embedding_endpoints
from gateway.wire.strict import fields

ONE, MANY, OPENAI = (embedding_endpoints()[name] for name in ("embedContent", "batchEmbedContents", "embeddings"))
VECTORS = Embedded(((0.5, -1.0), (0.25, 0.0)), Usage(input_tokens=7))


def asked(embedding: Embedding, body: dict[str, Any]) -> EmbedAsk:
    return embedding.read_ask(fields(orjson.dumps(body)))


def told(body: dict[str, Any]) -> Told:
    return Told(model="m", call_id="1", created_at_s=1, body=orjson.dumps(body))


def composed(embedding: Embedding, ask: EmbedAsk) -> tuple[Any, tuple[str, ...]]:
    assert embedding.compose is not None
    body, dropped = embedding.compose(ask, "up-1")
    return orjson.loads(body), dropped


def test_googles_texts_are_asked_of_openai() -> None:
    content = {"parts": [{"text": "a cat"}, {"text": "and a dog"}]}
    ask = asked(MANY, {"requests": [{"model": "models/m", "content": content, "output_dimensionality": 8, "taskType": "RETRIEVAL_QUERY"}]})
    assert composed(OPENAI, ask) == (
        {"model": "up-1", "input": ["a cat\nand a dog"], "encoding_format": "float", "dimensions": 8}, ("requests.taskType",),
    )  # fmt: skip
    assert asked(ONE, {"content": content, "outputDimensionality": 8}) == EmbedAsk(("a cat\nand a dog",), 8)


def test_openais_texts_are_asked_of_google() -> None:
    ask = asked(OPENAI, {"model": "m", "input": ["a", "b"], "dimensions": 2, "user": "u", "encoding_format": "base64"})
    text = {"model": "models/up-1", "outputDimensionality": 2}
    assert composed(MANY, ask) == ({"requests": [{**text, "content": {"parts": [{"text": "a"}]}}, {**text, "content": {"parts": [{"text": "b"}]}}]}, ("user",))


def test_vectors_are_told_as_each_sdk_expects() -> None:
    assert orjson.loads(MANY.write_answer(VECTORS, told({}))) == {
        "embeddings": [{"values": [0.5, -1.0]}, {"values": [0.25, 0.0]}], "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7},
    }  # fmt: skip
    assert orjson.loads(ONE.write_answer(VECTORS, told({})))["embedding"] == {"values": [0.5, -1.0]}
    packed = orjson.loads(OPENAI.write_answer(VECTORS, told({"encoding_format": "base64"})))
    assert struct.unpack("<2f", base64.b64decode(packed["data"][0]["embedding"])) == (0.5, -1.0)
    assert orjson.loads(OPENAI.write_answer(VECTORS, told({"encoding_format": "float"}))) == {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}, {"object": "embedding", "index": 1, "embedding": [0.25, 0.0]}],
        "model": "m",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }


def test_vectors_are_read_in_the_order_of_their_texts() -> None:
    rows = [{"index": 1, "embedding": [0.25, 0.0]}, {"index": 0, "embedding": [0.5, -1.0]}]
    assert OPENAI.read_answer(orjson.dumps({"data": rows, "usage": {"prompt_tokens": 7, "total_tokens": 7}})) == VECTORS
    body = {"embeddings": [{"values": [0.5, -1.0]}, {"values": [0.25, 0.0]}]}
    assert MANY.read_answer(orjson.dumps(body)) == Embedded(VECTORS.vectors, None, "usage_missing")
    for embedding in (MANY, OPENAI):
        with pytest.raises(WireError):
            embedding.read_answer(b'{"embeddings": 1, "data": 2}')


@pytest.mark.parametrize(
    ("embedding", "body", "code", "param"),
    [
        (OPENAI, {"input": [[1, 2]]}, "unsupported_field", "input"),
        (OPENAI, {"input": []}, "invalid_request", "input"),
        (OPENAI, {"input": "a", "dimensions": 0}, "invalid_request", "dimensions"),
        (MANY, {}, "invalid_request", "requests"),
        (MANY, {"requests": [{"content": {"parts": [{"inlineData": {}}]}}]}, "unsupported_field", "requests[0].content.parts[0]"),
        (
            MANY,
            {"requests": [{"content": {"parts": [{"text": "a"}]}}, {"content": {"parts": [{"text": "b"}]}, "outputDimensionality": 2}]},
            "unsupported_field",
            "requests.outputDimensionality",
        ),
        (ONE, {"content": "a"}, "invalid_request", "content"),
    ],
)
def test_what_cannot_be_understood_or_carried_is_named(embedding: Embedding, body: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(WireError) as caught:
        asked(embedding, body)
    assert (caught.value.code, caught.value.param) == (code, param)


GARBAGE = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["content", "parts", "text", "requests", "input"]), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["content", "requests", "input", "dimensions", "outputDimensionality", "encoding_format"]), GARBAGE, max_size=4))
def test_garbage_is_refused_and_nothing_else(body: dict[str, Any]) -> None:
    for embedding in (ONE, MANY, OPENAI):
        try:
            asked(embedding, body)
        except WireError as error:
            assert error.param is not None  # noqa: PT017  # any other error fails the test


def test_each_way_has_its_route() -> None:
    found = {(slug, endpoint): find(providers()[slug], endpoint) for slug in ("google", "openai") for endpoint in ("embedContent", "embeddings")}
    assert {key: (route.endpoint, route.is_same) for key, route in found.items() if route is not None} == {
        ("google", "embedContent"): ("embedContent", True),
        ("google", "embeddings"): ("batchEmbedContents", False),
        ("openai", "embedContent"): ("embeddings", False),
        ("openai", "embeddings"): ("embeddings", True),
    }
    assert find(providers()["anthropic"], "embeddings") is None
