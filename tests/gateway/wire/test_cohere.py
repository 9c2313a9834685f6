"""Cohere's own API: what is read of a request, and how its answers are metered by what Cohere bills."""

from typing import Any

import orjson
import pytest

from gateway.terms import Usage
from gateway.wire import Head, Seen, WireError
from gateway.wire.cohere import EMBED, WIRE
from gateway.wire.cohere.meter import Meter
from gateway.wire.sse import data_of

COUNTS = {"billed_units": {"input_tokens": 5, "output_tokens": 7}, "tokens": {"input_tokens": 71, "output_tokens": 9}}


def event(name: str, **more: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps({"type": name, **more}))


def test_what_is_read_of_a_request() -> None:
    assert WIRE.own is not None
    assert WIRE.own.read_head({"model": "command-a", "messages": []}) == Head("command-a")
    assert WIRE.own.read_head({"model": "command-a", "stream": True, "max_tokens": 9}) == Head("command-a", stream=True, max_output_tokens=9)
    texts = {"model": "embed-v4.0", "texts": ["a"], "images": None, "inputs": [{"content": [{"type": "text", "text": "b"}]}]}
    assert WIRE.plain[EMBED].read_head(texts) == Head("embed-v4.0")


@pytest.mark.parametrize(
    ("given", "param"),
    [({}, "model"), ({"model": "m", "stream": 1}, "stream"), *[({"model": "m", "max_tokens": tokens}, "max_tokens") for tokens in (-1, 10**9)]],
)
def test_nonsense_is_named(given: dict[str, Any], param: str) -> None:
    assert WIRE.own is not None
    with pytest.raises(WireError) as told:
        WIRE.own.read_head(given)
    assert told.value.param == param


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"images": ["data:image/png;base64,AA=="]}, "images"),
        ({"inputs": [{"content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:..."}}]}]}, "inputs"),
        ({"inputs": [{"content": [{"image_url": {"url": "data:..."}}]}]}, "inputs"),
    ],
)
def test_pictures_whose_price_is_another_are_not_embedded(given: dict[str, Any], param: str) -> None:
    with pytest.raises(WireError) as told:
        WIRE.plain[EMBED].read_head({"model": "embed-v4.0", **given})
    assert (told.value.code, told.value.param) == ("unsupported_field", param)


def test_a_stream_is_metered_by_what_its_end_says_is_billed() -> None:
    meter = Meter()
    told = [
        event("message-start", id="1", delta={"message": {"role": "assistant", "content": []}}),
        event("content-delta", index=0, delta={"message": {"content": {"thinking": "Hä"}}}),
        event("content-delta", index=0, delta={"message": {"content": {"text": "Hi."}}}),
        event("tool-plan-delta", delta={"message": {"tool_plan": "I will"}}),
        event("tool-call-delta", index=0, delta={"message": {"tool_calls": {"function": {"arguments": "{}"}}}}),
        event("content-end", index=0),
        event("message-end", delta={"finish_reason": "COMPLETE", "usage": COUNTS}),
        b"data: [DONE]\n\n",
        b": keep-alive\n\n",
    ]
    assert [meter.feed(each) for each in told] == [
        Seen(), Seen(3), Seen(3), Seen(6), Seen(2), Seen(), Seen(0, Usage(5, output_tokens=7), finish=True), Seen(terminal=True), Seen(),
    ]  # fmt: skip
    for garbage in (b"data: {\n\n", b"data: []\n\n"):
        with pytest.raises(WireError):
            meter.feed(garbage)


@pytest.mark.parametrize(
    ("usage", "told"),
    [
        (COUNTS, (Usage(5, output_tokens=7), "")),
        ({"tokens": {"input_tokens": 71.0, "output_tokens": 9.0}}, (Usage(71, output_tokens=9), "")),
        ({"billed_units": {"input_tokens": 5}}, (None, "usage_missing")),
        ({"billed_units": {"input_tokens": 5.5, "output_tokens": 1}}, (None, "usage_invalid")),
        ({"billed_units": {"input_tokens": -5, "output_tokens": 1}}, (None, "usage_invalid")),
        ({"billed_units": {"input_tokens": 1e300, "output_tokens": 1}}, (None, "usage_invalid")),
        ([], (None, "usage_invalid")),
        (None, (None, "usage_missing")),
    ],
)
def test_units_of_a_whole_answer_are_believed_or_not(usage: object, told: tuple[Usage | None, str]) -> None:
    assert WIRE.read_usage(orjson.dumps({"id": "1", "usage": usage})) == told


def test_embeddings_tell_what_is_billed_in_their_meta() -> None:
    read = WIRE.plain[EMBED].read_usage
    assert read(b'{"id":"1","embeddings":{"float":[[0.5]]},"meta":{"api_version":{"version":"2"},"billed_units":{"input_tokens":8}}}') == (Usage(8), "")
    assert read(b'{"id":"1","embeddings":{"float":[[0.5]]}}') == (None, "usage_missing")
    with pytest.raises(WireError):
        read(b"[]")


def test_refusals_are_errors_as_the_sdk_reads_them() -> None:
    assert WIRE.own is not None
    ours = {"code": "c", "param": "model", "x": 1}
    assert orjson.loads(WIRE.own.error_body(404, "c", "k", "No.", "model", {"x": 1})) == {"message": "No.", "sgw": ours}
    told = orjson.loads(data_of(WIRE.own.error_event(502, "c", "k", "No.", "model", {"x": 1})))
    assert told == {"type": "message-end", "delta": {"error": "No.", "finish_reason": "ERROR"}, "sgw": ours}
