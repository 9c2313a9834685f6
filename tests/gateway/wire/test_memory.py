"""What a large upload costs in memory beside itself: failover needs it once, and one copy more is all there may be at a time."""

import tracemalloc
from collections.abc import Callable

import pytest

from gateway.plane.route import Route
from gateway.plane.speak import request
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
WIRE = shelf()["openai_chat"]
ROUTE = Route(endpoint="chat/completions", wire=WIRE, client=WIRE, is_same=True, read_usage=WIRE.read_usage)
ACTS: dict[str, Callable[[], object]] = {
    "a picture is checked": lambda: strict.check_large(JSON),
    "a picture is passed to a model of another name": lambda: request(
        call(body=JSON, fields=("model", "messages")), deployment(upstream="up-1"), PROVIDER, ROUTE
    ),
    "a recording is looked through": lambda: forms.texts(FORM, FORM_TYPE),
    "a recording is passed to a model of another name": lambda: forms.with_text(FORM, FORM_TYPE, "model", "up-1"),
}


@pytest.mark.parametrize("act", ACTS)
def test_an_upload_is_copied_at_most_once(act: str) -> None:
    tracemalloc.start()
    try:
        ACTS[act]()
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1.1 * SIZE_BYTES
