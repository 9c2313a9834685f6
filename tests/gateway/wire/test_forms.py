"""Multipart forms: what is read of them, what one swapped field leaves alone, and what is refused."""

from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.plane.pieces import Pieces
from gateway.wire import WireError
from gateway.wire.forms import FILE, MOST_TEXT_BYTES, content, texts, with_field, with_text


def form(data: dict[str, str], files: dict[str, tuple[str, bytes, str]]) -> tuple[bytes, bytes]:
    """Return body and content type as httpx, and so every Python SDK, writes them."""
    request = httpx.Request("POST", "http://x/", data=data, files=files)
    return request.read(), request.headers["content-type"].encode()


SOUND = bytes(range(256)) * 40


def test_text_fields_are_read_and_a_file_is_none() -> None:
    body, kind = form({"model": "sim-transcribe", "language": "de"}, {"file": ("a.wav", SOUND, "audio/wav")})
    assert texts(body, kind) == {"model": "sim-transcribe", "language": "de", "file": FILE}


def test_one_field_is_swapped_and_no_other_byte() -> None:
    body, kind = form({"model": "short", "prompt": "model"}, {"file": ("model", SOUND + b"\r\nmodel", "audio/wav")})
    other, _ = body, kind
    told = with_text(body, kind, "model", "a-much-longer-name")
    assert texts(told, kind) == {"model": "a-much-longer-name", "prompt": "model", "file": FILE}
    assert told.replace(b"a-much-longer-name", b"short", 1) == other


TRICKY = b"\r\n--x-\r\n--\r\n--x\r\r\n--xx"  # what looks like the boundary for a while


@pytest.mark.parametrize("block_bytes", range(1, 40))
def test_a_large_form_is_read_a_block_at_a_time_as_it_is_at_once(block_bytes: int, tmp_path: Path) -> None:
    kind = b"multipart/form-data; boundary=x"
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + TRICKY + b"\r\n"
        b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nshort\r\n--x\r\nContent-Disposition: form-data; name="user"\r\n\r\n\r\n--x--\r\n'
    )
    with (tmp_path / "body").open("wb+", buffering=0) as file:
        file.write(body)
        whole = Pieces(file, *[range(at, min(at + block_bytes, len(body))) for at in range(0, len(body), block_bytes)])
        assert texts(whole, kind) == texts(body, kind) == {"model": "short", "user": "", "file": FILE}
        assert content(whole, kind, "file") == TRICKY
        for change in (lambda form: with_text(form, kind, "model", "another"), lambda form: with_field(form, kind, "n", "1")):
            assert change(whole)[:] == change(body)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", b"multipart/form-data; boundary=x"),
        (b"--x\r\n", b"multipart/form-data; boundary=x"),
        (b"--x\r\nContent-Disposition: form-data; name=model\r\n\r\na\r\n", b"multipart/form-data; boundary=x"),
        (b"{}", b"application/json"),
        (b"--x--", b"multipart/form-data"),
        (b"--x--", b"multipart/form-data; boundary=" + b"x" * 71),
        (b"".join(b'--x\r\nContent-Disposition: form-data; name="f%d"\r\n\r\na\r\n' % n for n in range(99)) + b"--x--", b"multipart/form-data; boundary=x"),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, kind: bytes) -> None:
    with pytest.raises(WireError) as caught:
        texts(body, kind)
    assert caught.value.code == "invalid_request"


AS_TEXT = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\ncheap\r\n'
AS_FILE = b'--x\r\nContent-Disposition: form-data; name="model"; filename="cheap"\r\n\r\nbytes\r\n'


def test_a_field_as_a_file_is_no_text() -> None:
    assert texts(AS_FILE + b"--x--\r\n", b"multipart/form-data; boundary=x") == {"model": FILE}


def test_a_text_too_long_to_be_read_is_refused_by_name() -> None:
    body, kind = form({"model": "m", "n": "10" + " " * MOST_TEXT_BYTES}, {"image": ("a", b"", "image/png")})
    with pytest.raises(WireError) as caught:
        texts(body, kind)
    assert (caught.value.code, caught.value.param) == ("invalid_request", "n")


@pytest.mark.parametrize("parts", [AS_TEXT * 2, AS_FILE + AS_TEXT, AS_TEXT + AS_FILE])
def test_a_field_that_stands_twice_is_refused_by_name(parts: bytes) -> None:
    twice = parts + b"--x--\r\n"
    with pytest.raises(WireError) as caught:
        texts(twice, b"multipart/form-data; boundary=x")
    assert (caught.value.code, caught.value.param) == ("invalid_request", "model")


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=40))
def test_no_bytes_do_more_than_being_refused(body: bytes, kind: bytes) -> None:
    for content_type in (kind, b"multipart/form-data; boundary=x"):
        with suppress(WireError):
            assert isinstance(texts(body, content_type), dict)
