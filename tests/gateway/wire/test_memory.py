"""What a large request costs in memory beside itself, which failover needs: next to nothing, on every way to every wire."""

import tempfile
import tracemalloc
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from gateway.plane import speak
from gateway.plane.pieces import Pieces
from gateway.plane.route import Route
from gateway.plane.speak import Spoken, request
from gateway.providers import Provider
from gateway.wire import forms, shelf, strict
from tests.gateway.plane.builders import call, deployment

SIZE_BYTES = 20_000_000
PICTURE = b"iVBORw0K" * (SIZE_BYTES // 8)
JSON = b'{"model":"chat","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,' + PICTURE + b'"}}]}]}'
FORM_TYPE = b"multipart/form-data; boundary=x"
FORM = (
    b'--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nchat\r\n--x\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    + bytes(SIZE_BYTES)
    + b"\r\n--x--\r\n"
)
PROVIDER = Provider(slug="plain", title="Plain", wires={"chat/completions": "openai_chat"})
TEXT = PICTURE.decode()
URL = f"data:image/png;base64,{TEXT}"
ASKS: dict[str, dict[str, Any]] = {
    "openai_chat": {"messages": [{"role": "user", "content": [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": URL}}]}]},
    "openai_responses": {"input": [{"role": "user", "content": [{"type": "input_text", "text": "What?"}, {"type": "input_image", "image_url": URL}]}]},
    "anthropic_messages": {
        "max_tokens": 100,
        "messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": TEXT}}]}],
    },
    "gemini": {"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": TEXT}}]}]},
}
PAIRS = [(client, upstream) for client in ASKS for upstream in shelf() if shelf()[upstream].upstream is not None]


def peak_bytes(act: Callable[[], object]) -> int:
    """Return how much an act took at a time."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def asked(client: str, upstream: str, body: bytes) -> Callable[[], Spoken]:
    """Return what puts a request into an upstream's wire, for a model of another name."""
    wire = shelf()[upstream]
    route = Route(endpoint="-", wire=wire, client=shelf()[client], is_same=client == upstream, read_usage=wire.read_usage)
    given = call(body=body, fields=("model", *ASKS[client]))
    return lambda: request(given, deployment(upstream="up-1"), PROVIDER, route)


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_a_picture_is_never_in_memory_twice(client: str, upstream: str) -> None:
    act = asked(client, upstream, orjson.dumps({"model": "chat", **ASKS[client]}))
    assert peak_bytes(act) < SIZE_BYTES / 10


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_what_is_sent_is_what_would_be_sent_of_a_small_picture(client: str, upstream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    act = asked(client, upstream, orjson.dumps({"model": "chat", **ASKS[client]}))
    said = act()
    monkeypatch.setattr(speak, "LARGE_BYTES", 1 << 40)
    plain = act()
    assert (said.body[:] == plain.body, said.dropped) == (True, plain.dropped)
    assert TEXT.encode() in plain.body[:]


def test_what_is_put_differently_upstream_is_put_so_at_any_size() -> None:
    light, data = strict.lightened(JSON)
    assert (len(light) < 1_000, len(data)) == (True, 1)
    assert strict.with_data(light.replace(next(iter(data)), b"decoded"), data) is None


def test_a_picture_is_checked_without_a_copy_of_it() -> None:
    assert peak_bytes(lambda: strict.check_large(JSON)) < SIZE_BYTES / 10


def test_a_recording_is_passed_to_a_model_of_another_name_without_a_copy_of_it() -> None:
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(FORM)
        form = Pieces(file, range(len(FORM)))

        def act() -> None:
            assert forms.texts(form, FORM_TYPE)["model"] == "chat"
            sent = forms.with_text(form, FORM_TYPE, "model", "up-1")
            assert isinstance(sent, Pieces)
            assert sum(map(len, sent.blocks())) == len(FORM)

        assert peak_bytes(act) < SIZE_BYTES / 10
