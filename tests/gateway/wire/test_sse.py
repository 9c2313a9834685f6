"""Events are found wherever the stream is cut and whatever ends its lines."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import WireError
from gateway.wire.sse import EventBuffer, data_of, event_name


def _fed(pieces: list[bytes]) -> list[bytes]:
    buffer = EventBuffer()
    events = [event for piece in pieces for event in buffer.feed(piece)]
    return events + buffer.end()


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [b"data: a\n\n", b"data: b\n\n"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"data: a\r\n\r\n", b"data: b\r\n\r\n"]),
        (b"data: a\r\rdata: b\r\r", [b"data: a\r\r", b"data: b\r\r"]),
        (b"data: a\r\n\ndata: b\n\r\n", [b"data: a\r\n\n", b"data: b\n\r\n"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"data: a\n\n"]),
        (b": keep-alive\n\nevent: x\ndata: 1\ndata: 2\n\n", [b": keep-alive\n\n", b"event: x\ndata: 1\ndata: 2\n\n"]),
        ("data: é🌍\n\n".encode(), ["data: é🌍\n\n".encode()]),
        (b"data: [DONE]\n", [b"data: [DONE]\n\n"]),
        (b"data: a\n\ndata: cut in the mid", [b"data: a\n\n"]),
        (b"", []),
    ],
)
def test_events_are_the_same_at_every_cut(stream: bytes, events: list[bytes]) -> None:
    assert _fed([stream]) == events
    assert _fed([stream[i : i + 1] for i in range(len(stream))]) == events
    for cut in range(len(stream)):
        assert _fed([stream[:cut], stream[cut:]]) == events


@given(
    st.lists(st.sampled_from([b"data: a", b"event: b", b"\n", b"\r\n", b"\r", b"\n\n", b":", b"\xef\xbb\xbf", b"\xc3\xa9"]), max_size=24),
    st.lists(st.integers(0, 120), max_size=8),
)
def test_any_bytes_at_any_cuts_give_the_same_events(tokens: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(tokens)
    borders = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert _fed([stream[a:b] for a, b in itertools.pairwise(borders)]) == _fed([stream])


def test_pending_is_the_part_of_an_event_that_came() -> None:
    buffer = EventBuffer()
    assert buffer.feed(b"data: a\n\ndata: b") == [b"data: a\n\n"]
    assert buffer.pending == b"data: b"
    assert buffer.feed(b"c\n\n") == [b"data: bc\n\n"]
    assert buffer.pending == b""


@pytest.mark.parametrize("pieces", [[b"data: " + b"x" * 100 + b"\n\n"], [b"x" * 60, b"x" * 60], [b"d\n\n" + b"x" * 101 + b"\n\ny"]])
def test_an_event_over_the_limit_is_refused(pieces: list[bytes]) -> None:
    buffer = EventBuffer(limit_bytes=100)
    with pytest.raises(WireError) as caught:
        for piece in [b"data: 1\n\n", *pieces]:
            buffer.feed(piece)
    assert caught.value.code == "too_large"


@pytest.mark.parametrize(
    ("event", "data", "name"),
    [
        (b"data: a\n\n", b"a", b""),
        (b"data:a\n\n", b"a", b""),
        (b"data:  a\r\n\r\n", b" a", b""),
        (b"event: ping\ndata: 1\ndata: 2\n\n", b"1\n2", b"ping"),
        (b"id: 1\revent: x\rdata\r\r", b"", b"x"),
        (b": comment\n\n", b"", b""),
        (b"\n\n", b"", b""),
        (b"database: x\n\n", b"", b""),
    ],
)
def test_fields_of_an_event(event: bytes, data: bytes, name: bytes) -> None:
    assert (data_of(event), event_name(event)) == (data, name)
