"""Legacy completions: one plain prompt told by a chat model, everything else refused by name, and streams that pass are metered."""

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import Completion

from gateway.terms import Answer, Ask, Chunk, ChunkKind, Message, Part, PartKind, Usage
from gateway.wire import Head, Told, WireError, shelf
from gateway.wire.openai_completions import WIRE, ChunkWriter, read_ask, read_head, write_answer
from gateway.wire.openai_completions.events import untold
from gateway.wire.openai_completions.head import limit_output
from gateway.wire.sse import EventBuffer, data_of
from gateway.wire.strict import fields

TOLD = Told(model="house-model", call_id="call_1", created_at_s=5)
USAGE = Usage(input_tokens=3, output_tokens=2)


def asked(**more: Any) -> Ask:
    return read_ask(fields(orjson.dumps({"model": "m", "prompt": "Once upon a time", **more})), "m", False)


def test_a_plain_prompt_is_one_question() -> None:
    ask = asked(max_tokens=5, temperature=0.5, stop=["\n"], seed=7, user="u", presence_penalty=1, logit_bias={"50": 1}, echo=False, n=1, best_of=1)
    assert ask == Ask(
        model="m",
        messages=(Message(role="user", parts=(Part(kind=PartKind.TEXT, text="Once upon a time"),), at="prompt"),),
        max_output_tokens=5,
        temperature=0.5,
        stop=("\n",),
        seed=7,
        end_user="u",
        presence_penalty=1.0,
        dropped=("logit_bias",),
    )
    assert asked(prompt=["Once upon a time"]).messages == ask.messages
    assert asked().max_output_tokens == 16


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"echo": True}, "unsupported_field", "echo"),
        ({"suffix": "x"}, "unsupported_field", "suffix"),
        ({"logprobs": 0}, "unsupported_field", "logprobs"),
        ({"best_of": 3}, "unsupported_field", "best_of"),
        ({"n": 2}, "unsupported_field", "n"),
        ({"prompt": ["a", "b"]}, "unsupported_field", "prompt"),
        ({"prompt": [1, 2]}, "unsupported_field", "prompt"),
        ({"prompt": None}, "invalid_request", "prompt"),
        ({"prompt": ""}, "invalid_request", "prompt"),
        ({"stop": 5}, "invalid_request", "stop"),
        ({"max_tokens": 0}, "invalid_request", "max_tokens"),
        ({"temperature": "hot"}, "invalid_request", "temperature"),
    ],
)
def test_what_no_chat_model_does_is_refused_by_name(change: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(WireError) as caught:
        asked(**change)
    assert (caught.value.code, caught.value.param) == (code, param)


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        ({"prompt": "a"}, 16),
        ({"prompt": "a", "max_tokens": 100, "n": 3}, 300),
        ({"prompt": ["a", "b"], "max_tokens": 100, "best_of": 4, "n": 2}, 800),
        ({"prompt": [1, 2, 3], "max_tokens": 100}, 100),
        ({"prompt": [[1], [2]], "max_tokens": 100}, 200),
        ({"prompt": "a", "max_tokens": 0}, 0),
    ],
)
def test_the_output_of_all_answers_is_held(body: dict[str, Any], tokens: int) -> None:
    assert read_head({"model": "m", **body}) == Head("m", False, tokens, False)


def test_a_limit_of_ours_is_shared_by_all_answers() -> None:
    given = fields(orjson.dumps({"model": "m", "prompt": ["a", "b"], "n": 2, "max_tokens": 900}))
    assert (limit_output(given, 100), limit_output(given, 3)) == ({"max_tokens": b"25"}, {"max_tokens": b"1"})


def test_an_answer_is_told_as_text() -> None:
    parts = (Part(kind=PartKind.REASONING, text="Hm."), Part(kind=PartKind.TEXT, text="there "), Part(kind=PartKind.TEXT, text="was"))
    told = write_answer(Answer(id="x", model="y", parts=parts, finish="length", usage=USAGE), TOLD)
    answer = Completion.model_validate_json(told, strict=True)
    assert (answer.id, answer.model, answer.choices[0].text, answer.choices[0].finish_reason) == ("cmpl-call_1", "house-model", "there was", "length")
    assert answer.usage is not None
    assert answer.usage.total_tokens == 5


def streamed(who: Told) -> list[bytes]:
    writer = ChunkWriter(who)
    chunks = [
        *(
            Chunk(kind=ChunkKind.START),
            Chunk(kind=ChunkKind.REASONING, text="Hm."),
            Chunk(kind=ChunkKind.TEXT, text="näh"),
            Chunk(kind=ChunkKind.TEXT, text="t"),
        ),
        *(
            Chunk(kind=ChunkKind.FINISH, finish="tool_calls"),
            Chunk(kind=ChunkKind.USAGE, usage=USAGE),
            Chunk(kind=ChunkKind.END),
            Chunk(kind=ChunkKind.TEXT, text="x"),
        ),
    ]
    return EventBuffer().feed(b"".join(writer.write(chunk) for chunk in chunks))


def test_a_stream_is_told_as_text_and_metered_where_it_passes() -> None:
    events = streamed(TOLD)
    assert data_of(events[-1]) == b"[DONE]"
    values = [orjson.loads(data_of(event)) for event in events[:-1]]
    assert [[(each["text"], each["finish_reason"]) for each in value["choices"]] for value in values] == [[("näh", None)], [("t", None)], [("", "stop")], []]
    assert (values[0]["usage"], values[-1]["usage"]["total_tokens"]) == (None, 5)
    meter = WIRE.meter()
    seen = [meter.feed(event) for event in events]
    assert (sum(one.text_bytes for one in seen), seen[-2].usage, seen[-1].terminal) == (5, USAGE, True)
    assert meter.feed(b": ping\n\n").text_bytes == 0
    silent = streamed(Told(model="m", call_id="c", created_at_s=5, wants_usage=False))
    assert len(silent) == len(events) - 1


def test_what_a_model_thought_is_named_where_it_is_left_out() -> None:
    answer = Answer(id="r", model="m", parts=(Part(kind=PartKind.REASONING, text="Hm."), Part(kind=PartKind.TEXT, text="Hi")), finish="stop", usage=USAGE)
    unsaid = Answer(id="r", model="m", parts=(Part(kind=PartKind.REASONING, signature="s"), Part(kind=PartKind.TEXT, text="Hi")), finish="stop", usage=USAGE)
    assert (untold(answer), untold(unsaid)) == (("reasoning",), ())
    writer = ChunkWriter(TOLD)
    for text in ("H", "m."):
        assert writer.write(Chunk(kind=ChunkKind.REASONING, text=text)) == b""
    event = orjson.loads(writer.write(Chunk(kind=ChunkKind.FINISH, finish="stop")).removeprefix(b"data: "))
    assert (event["choices"][0]["finish_reason"], event["sgw"]) == ("stop", {"dropped": ["reasoning"]})


def test_an_error_ends_a_stream() -> None:
    writer = ChunkWriter(TOLD)
    error = orjson.loads(data_of(writer.write(Chunk(kind=ChunkKind.ERROR, text="Busy", status=503))))
    assert (error["error"]["message"], writer.write(Chunk(kind=ChunkKind.TEXT, text="x"))) == ("Busy", b"")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("a"), inner),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(["prompt", "stop", "n", "best_of", "max_tokens", "user", "seed", "logit_bias", "echo"]), JSON, max_size=4))
def test_no_request_ends_in_anything_but_a_wire_error(change: dict[str, Any]) -> None:
    try:
        read_head({"model": "m", "prompt": "x", **change})
        ask = asked(**change)
    except WireError:
        return
    for wire in shelf().values():
        if wire.upstream is not None:
            with suppress(WireError):
                assert wire.upstream.compose(ask, "m")[0]
