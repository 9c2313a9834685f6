"""Ollama's own API: what is read of a request, and how its lines are cut and metered."""

from typing import Any

import msgspec
import orjson
import pytest

from gateway.terms import Usage
from gateway.wire import Head, Seen, WireError
from gateway.wire.ollama import EMBED, GENERATE, WIRE
from gateway.wire.ollama.lines import LineBuffer
from gateway.wire.ollama.meter import Meter
from gateway.wire.strict import fields


def head(**given: Any) -> Head:
    assert WIRE.own is not None
    return WIRE.own.read_head({"model": "llama3.2", **given})


def test_a_chat_streams_unless_it_says_otherwise_and_is_bounded_by_its_options() -> None:
    assert head() == Head("llama3.2", stream=True)
    assert head(stream=False, options={"num_predict": 50, "temperature": 0}) == Head("llama3.2", max_output_tokens=50)
    # Ollama's words for no limit, and for one that is the context's
    assert [head(options={"num_predict": tokens}).max_output_tokens for tokens in (-1, -2, 0)] == [0, 0, 0]


def test_what_a_request_to_generate_or_embed_asks_for() -> None:
    assert WIRE.plain[GENERATE].read_head({"model": "m", "prompt": "x"}) == Head("m", stream=True, max_output_tokens=4_096)
    assert WIRE.plain[GENERATE].read_head({"model": "m", "options": {"num_predict": 7}, "stream": False}) == Head("m", max_output_tokens=7)
    assert WIRE.plain[EMBED].read_head({"model": "m", "input": ["x"]}) == Head("m")


@pytest.mark.parametrize(
    ("given", "param"),
    [({"model": 1}, "model"), ({"stream": "yes"}, "stream"), ({"options": []}, "options"), ({"options": {"num_predict": 10**8}}, "options.num_predict")],
)
def test_nonsense_is_named(given: dict[str, Any], param: str) -> None:
    with pytest.raises(WireError) as told:
        head(**given)
    assert told.value.param == param


@pytest.mark.parametrize(
    ("given", "options"),
    [(b"{}", {"num_predict": 9}), (b'{"options":null}', {"num_predict": 9}), (b'{"options":{"seed":1,"num_predict":-1}}', {"seed": 1, "num_predict": 9})],
)
def test_a_limit_is_put_among_the_options(given: bytes, options: dict[str, int]) -> None:
    assert WIRE.limit_output is not None
    changes = WIRE.limit_output(fields(given), 9)
    assert {name: orjson.loads(value or b"null") for name, value in changes.items()} == {"options": options}


LINES = [
    b'{"model":"m","message":{"role":"assistant","content":"","thinking":"H\xc3\xa4"},"done":false}\n',
    b'{"model":"m","message":{"role":"assistant","content":"Hi."},"done":false}\n',
    b'{"model":"m","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]},"done":false}\n',
    b'{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":26,"eval_count":9}\n',
]


def test_lines_are_whole_wherever_a_stream_is_cut() -> None:
    stream = b"".join(LINES)
    for cut in range(len(stream) + 1):
        buffer = LineBuffer()
        assert buffer.feed(stream[:cut]) + buffer.feed(stream[cut:]) == LINES
        assert (buffer.pending, buffer.end()) == (b"", [])


def test_a_line_without_its_end_was_cut_and_one_too_long_is_refused() -> None:
    buffer = LineBuffer(10)
    assert (buffer.feed(b'{"a":1'), buffer.pending, buffer.end()) == ([], b'{"a":1', [])
    with pytest.raises(WireError, match="larger than 10 bytes"):
        buffer.feed(b"23456")


def test_a_stream_is_metered_by_its_last_line() -> None:
    meter = Meter()
    calls = len(b'[{"function":{"name":"f","arguments":{}}}]')
    assert [meter.feed(line) for line in LINES] == [Seen(3), Seen(3), Seen(calls), Seen(0, Usage(26, output_tokens=9), finish=True, terminal=True)]
    assert meter.feed(b"\n") == Seen()
    assert meter.feed(b'{"response":"Hi","thinking":"no","done":false}\n') == Seen(4)
    assert meter.feed(b'{"error":"model runner has stopped"}\n') == Seen(error="model runner has stopped")
    for garbage in (b"data: x\n", b"[]\n", b'{"message":1}\n'):
        with pytest.raises(WireError):
            meter.feed(garbage)


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"prompt_eval_count": 3, "eval_count": 2}, (Usage(3, output_tokens=2), "")),
        ({"eval_count": 2}, (None, "usage_missing")),
        ({"prompt_eval_count": 3}, (None, "usage_missing")),
        ({"prompt_eval_count": -1, "eval_count": 2}, (None, "usage_invalid")),
        ({"prompt_eval_count": 3, "eval_count": 10**12}, (None, "usage_invalid")),
        ({"prompt_eval_count": True, "eval_count": 2}, (None, "usage_invalid")),
        ({"prompt_eval_count": "3", "eval_count": 2}, (None, "usage_invalid")),
    ],
)
def test_counts_of_a_whole_answer_are_believed_or_not(counts: dict[str, object], told: tuple[Usage | None, str]) -> None:
    assert WIRE.read_usage(orjson.dumps({"message": {"content": "Hi."}, "done": True, **counts})) == told


def test_embeddings_tell_what_was_read_or_nothing() -> None:
    read = WIRE.plain[EMBED].read_usage
    assert read(b'{"embeddings":[[0.5]],"prompt_eval_count":8}') == (Usage(8), "")
    assert read(b'{"embedding":[0.5]}') == (None, "usage_missing")
    with pytest.raises(WireError):
        read(b"[]")


def test_refusals_are_errors_as_the_sdk_reads_them() -> None:
    assert WIRE.own is not None
    told = {"error": "No.", "sgw": {"code": "c", "param": "model", "x": 1}}
    assert orjson.loads(WIRE.own.error_body(404, "c", "k", "No.", "model", {"x": 1})) == told
    event = WIRE.own.error_event(502, "c", "k", "No.", "model", {"x": 1})
    assert (event[-1:], msgspec.json.decode(event)) == (b"\n", told)
