"""The Responses wire on both sides: what other wires' conversations become of it, what its streams say, and that nonsense is named."""

import itertools
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.terms import Answer, Ask, Besides, Chunk, ChunkKind, Citation, Logprob, Message, Part, PartKind, Ties, TokensChunk, Tool, ToolChoice, Usage
from gateway.wire import BatchResult, BatchTold, Told, WireError, working_endpoints
from gateway.wire.openai_responses import WIRE, ChunkReader, ChunkWriter, compose, read_answer, read_ask, read_usage, write_answer
from gateway.wire.sse import EventBuffer, data_of
from gateway.wire.strict import fields
from tests.gateway.wire import legal

TOLD = Told(model="house-model", call_id="call_1", created_at_s=1_700_000_000)
EVENT = TypeAdapter[Any](ResponseStreamEvent)
USER = Message(role="user", parts=(Part(kind=PartKind.TEXT, text="Hello"),))
USAGE = Usage(input_tokens=10, cached_tokens=4, cache_write_tokens=2, output_tokens=5, reasoning_tokens=3)
RESPONSE = {"id": "resp_1", "object": "response", "model": "gpt-5", "status": "completed", "created_at": 5.0, "output": []}


def asked(**changes: Any) -> dict[str, Any]:
    body, _ = compose(Ask(model="m", messages=(USER,), **changes), "gpt-5")
    legal.request("openai_responses", orjson.loads(body))
    made: dict[str, Any] = orjson.loads(body)
    return made


def test_a_question_is_asked_without_leaving_anything_at_the_vendor() -> None:
    assert compose(Ask(model="m", messages=(USER,)), "gpt-4.1") == (
        b'{"model":"gpt-4.1","input":[{"type":"message","role":"user","content":"Hello"}],"store":false}',
        (),
    )


@pytest.mark.parametrize(
    ("model", "is_encrypted"),
    [
        ("gpt-4.1", False),
        ("gpt-5", True),
        ("gpt-5.1-chat-latest", False),
        ("o4-mini", True),
        ("openai/gpt-oss-20b", True),
        ("gpt-6-astra", True),
        ("llama", False),
    ],
)
def test_encrypted_reasoning_is_asked_of_models_that_reason(model: str, is_encrypted: bool) -> None:
    assert ("include" in orjson.loads(compose(Ask(model="m", messages=(USER,)), model)[0])) is is_encrypted


@pytest.mark.parametrize(
    ("changes", "reasoning"),
    [
        ({"reasoning_effort": "low", "shows_reasoning": True}, {"effort": "low", "summary": "auto"}),
        ({"reasoning_budget_tokens": 1024}, {"effort": "minimal"}),
        ({"reasoning_budget_tokens": 8192}, {"effort": "medium"}),
        ({"reasoning_budget_tokens": 60_000}, {"effort": "xhigh"}),
        ({"reasoning_budget_tokens": 0}, {"effort": "minimal"}),  # of a model that always reasons
        ({}, None),
    ],
)
def test_reasoning_is_asked_by_effort(changes: dict[str, Any], reasoning: dict[str, str] | None) -> None:
    assert asked(**changes).get("reasoning") == reasoning


def test_tools_are_strict_only_where_that_was_said() -> None:
    tools = (Tool(name="a", strict=True, description="A"), Tool(name="b"))
    made = asked(tools=tools, tool_choice=ToolChoice(mode="function", name="b", parallel=False))
    empty = {"type": "object", "properties": {}}
    assert made["tools"] == [
        {"type": "function", "name": "a", "parameters": empty, "strict": True, "description": "A"},
        {"type": "function", "name": "b", "parameters": empty, "strict": False},
    ]
    assert (made["tool_choice"], made["parallel_tool_calls"]) == ({"type": "function", "name": "b"}, False)


def test_a_conversation_of_every_kind_of_part_keeps_its_order() -> None:
    messages = (
        Message(role="system", parts=(Part(kind=PartKind.TEXT, text="A"), Part(kind=PartKind.TEXT, text="B", cache="5m"))),
        Message(
            role="user",
            parts=(
                Part(kind=PartKind.IMAGE, text="https://example.com/a.png", detail="low"),
                Part(kind=PartKind.DOCUMENT, text="data:application/pdf;base64,AA==", media_type="application/pdf"),
                Part(kind=PartKind.DOCUMENT, text="https://example.com/a.pdf"),
            ),
        ),
        Message(
            role="assistant",
            parts=(
                Part(kind=PartKind.REASONING, text="Hm.", signature="rs_1.enc", signed_by="openai_responses"),
                Part(kind=PartKind.REDACTED, text="rs_2.more", signed_by="openai_responses"),
                Part(kind=PartKind.REASONING, text="Foreign.", signature="sig", signed_by="anthropic_messages"),
                Part(kind=PartKind.TEXT, text="One. "),
                Part(kind=PartKind.REFUSAL, text="Two."),
                Part(kind=PartKind.TOOL_CALL, id="c1", name="f", text=""),
                Part(kind=PartKind.TEXT, text="Three."),
            ),
        ),
        Message(
            role="user",
            parts=(
                Part(kind=PartKind.TOOL_RESULT, id="c1", is_error=True, parts=(Part(kind=PartKind.TEXT, text="no"),)),
                Part(kind=PartKind.TOOL_RESULT, id="c2", parts=(Part(kind=PartKind.TEXT, text="a"), Part(kind=PartKind.IMAGE, text="https://e.com/b.png"))),
                Part(kind=PartKind.TEXT, text="Go on."),
            ),
        ),
    )
    body, dropped = compose(Ask(model="m", messages=messages, seed=1, top_k=3, dropped=("x",)), "gpt-5")
    made = orjson.loads(body)
    legal.request("openai_responses", made)
    assert dropped == ("x", "cache_control", "reasoning", "is_error", "seed", "top_k")
    assert made["input"] == [
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "A"}, {"type": "input_text", "text": "B"}]},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
                {"type": "input_file", "filename": "file.pdf", "file_data": "data:application/pdf;base64,AA=="},
                {"type": "input_file", "file_url": "https://example.com/a.pdf"},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "enc"},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "more"},
        {"type": "message", "role": "assistant", "content": "One. Two."},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "message", "role": "assistant", "content": "Three."},
        {"type": "function_call_output", "call_id": "c1", "output": "no"},
        {
            "type": "function_call_output",
            "call_id": "c2",
            "output": [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "https://e.com/b.png", "detail": "auto"}],
        },
        {"type": "message", "role": "user", "content": "Go on."},
    ]


@pytest.mark.parametrize(
    ("ask", "param"),
    [
        (Ask(model="m", messages=(USER,), stop=("x",)), "stop"),
        (Ask(model="m", messages=(Message(role="user", parts=(Part(kind=PartKind.AUDIO, text="data:audio/wav;base64,AA=="),)),)), "messages"),
        (Ask(model="m", messages=()), "messages"),
        (Ask(model="m", messages=(USER, Message(role="assistant", parts=(Part(kind=PartKind.TEXT, text="{"),)))), "messages"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(ask: Ask, param: str) -> None:
    with pytest.raises(WireError) as caught:
        compose(ask, "gpt-5")
    assert caught.value.param == param


def test_a_whole_answer_is_read_with_all_its_items() -> None:
    body = {
        **RESPONSE,
        "service_tier": "priority",
        "output": [
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "A"}, {"type": "summary_text", "text": "B"}],
                "encrypted_content": "e",
            },
            {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "f"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
            {
                "type": "message",
                "content": [
                    {
                        "type": "output_text",
                        "text": "Hi.",
                        "annotations": [
                            {"type": "url_citation", "url": "https://e.com", "title": "E", "start_index": 0, "end_index": 2},
                            {"type": "file_citation", "file_id": "f"},
                        ],
                    },
                    {"type": "refusal", "refusal": "No."},
                ],
            },
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        ],
        "usage": {
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 3},
            "total_tokens": 15,
        },
    }
    assert read_answer(orjson.dumps(body)) == Answer(
        id="resp_1",
        model="gpt-5",
        parts=(
            Part(kind=PartKind.REASONING, text="A\n\nB", signature="rs_1.e", signed_by="openai_responses"),
            Part(kind=PartKind.REDACTED, text="rs_2.f", signed_by="openai_responses"),
            Part(kind=PartKind.TEXT, text="Hi.", citations=(Citation(url="https://e.com", title="E", start=0, end=2),)),
            Part(kind=PartKind.REFUSAL, text="No."),
            Part(kind=PartKind.TOOL_CALL, id="c1", name="f", text="{}"),
        ),
        finish="tool_calls",
        usage=Usage(input_tokens=10, cached_tokens=4, cache_write_tokens=2, output_tokens=5, reasoning_tokens=3, tier="priority", web_searches=1),
        created_at_s=5,
        service_tier="priority",
        untold=("web_search_call", "annotations"),
    )


@pytest.mark.parametrize(
    ("details", "finish"),
    [({"reason": "max_output_tokens"}, "length"), ({"reason": "content_filter"}, "content_filter"), ({"reason": "new"}, "length"), (None, "stop")],
)
def test_an_incomplete_answer_says_why(details: dict[str, str] | None, finish: str) -> None:
    assert read_answer(orjson.dumps({**RESPONSE, "incomplete_details": details})).finish == finish


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"[]", b"{}", b'{"output":5}', b"[" * 9999, orjson.dumps({**RESPONSE, "status": "failed"}), orjson.dumps({**RESPONSE, "status": "queued"})],
)
def test_what_is_no_finished_answer_is_garbage(body: bytes) -> None:
    with pytest.raises(WireError) as caught:
        read_answer(body)
    assert caught.value.code == "garbage"


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (None, (None, "usage_missing")),
        ({"input_tokens": "5", "output_tokens": 1}, (None, "usage_invalid")),
        ({"input_tokens": -5, "output_tokens": 1}, (None, "usage_invalid")),
        ({"input_tokens": 5, "output_tokens": 1}, (Usage(input_tokens=5, output_tokens=1), "")),
        (
            {"input_tokens": 5, "output_tokens": 1, "input_tokens_details": {"cached_tokens": 9}, "output_tokens_details": {"reasoning_tokens": 7}},
            (Usage(input_tokens=5, cached_tokens=5, output_tokens=1, reasoning_tokens=1), "usage_inconsistent"),
        ),
    ],
)
def test_usage_is_believed_only_where_it_can_be(usage: object, read: tuple[Usage | None, str]) -> None:
    assert read_usage(orjson.dumps({**RESPONSE, "usage": usage})) == read


# ---- streams ----------------------------------------------------------------------------------------------------------

SAID = (
    Chunk(kind=ChunkKind.START, id="resp_1"),
    Chunk(kind=ChunkKind.REASONING, text="Let me "),
    Chunk(kind=ChunkKind.REASONING, text="look."),
    Chunk(kind=ChunkKind.SIGNATURE, text="sig", signed_by="anthropic_messages"),
    Chunk(kind=ChunkKind.REDACTED, text="zzz", signed_by="anthropic_messages"),
    Chunk(kind=ChunkKind.TEXT, text="naïve "),
    Chunk(kind=ChunkKind.TEXT, text="🙂"),
    Chunk(kind=ChunkKind.CITATION, citation=Citation(url="https://e.com", title="E")),
    Chunk(kind=ChunkKind.REFUSAL, text="No."),
    Chunk(kind=ChunkKind.SIGNATURE, text="of the call", signed_by="gemini"),
    Chunk(kind=ChunkKind.TOOL_START, index=0, id="c1", name="f"),
    Chunk(kind=ChunkKind.TOOL_START, index=1, id="c2", name="g"),
    Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=1, text='{"b":'),
    Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=0, text="{}"),
    Chunk(kind=ChunkKind.TOOL_ARGUMENTS, index=1, text="2}"),
    Chunk(kind=ChunkKind.FINISH, finish="tool_calls"),
    Chunk(kind=ChunkKind.USAGE, usage=USAGE),
    Chunk(kind=ChunkKind.END),
)


def told(chunks: tuple[Chunk, ...], who: Told = TOLD) -> list[dict[str, Any]]:
    writer = ChunkWriter(who)
    events = EventBuffer().feed(b"".join(writer.write(chunk) for chunk in chunks))
    return [orjson.loads(data_of(event)) for event in events]


def test_a_stream_is_numbered_legal_and_ends_with_what_was_said() -> None:
    events = told(SAID)
    for event in events:
        EVENT.validate_python(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"].removeprefix("response.") for event in events[:8]] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
    ]
    done = [event["item"] for event in sorted(events, key=lambda event: event.get("output_index", 0)) if event["type"] == "response.output_item.done"]
    final = events[-1]["response"]
    assert final["output"] == done
    annotation = {"type": "url_citation", "url": "https://e.com", "title": "E", "start_index": 0, "end_index": 7}
    assert final["output"] == [
        {
            "id": "rs_1_0",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "Let me look."}],
            "encrypted_content": "sgw1.anthropic_messages.sig",
        },
        {"id": "rs_1_1", "type": "reasoning", "summary": [], "encrypted_content": "sgw1.anthropic_messages+redacted.zzz"},
        {
            "id": "msg_1_2",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "naïve 🙂", "annotations": [annotation], "logprobs": []}, {"type": "refusal", "refusal": "No."}],
        },
        {"id": "rs_1_3", "type": "reasoning", "summary": [], "encrypted_content": "sgw1.gemini+call.of the call"},
        {"id": "fc_1_4", "type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"},
        {"id": "fc_1_5", "type": "function_call", "call_id": "c2", "name": "g", "arguments": '{"b":2}', "status": "completed"},
    ]
    assert final["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 15,
    }


def test_everything_told_comes_back_as_it_was() -> None:
    """The items of an answer, sent as input, are the parts that were told."""
    body = orjson.dumps({"model": "m", "input": [{"role": "user", "content": "Hello"}, *told(SAID)[-1]["response"]["output"]]})
    message = read_ask(fields(body), "m", False).messages[1]
    assert message == Message(
        role="assistant",
        parts=(
            Part(kind=PartKind.REASONING, text="Let me look.", signature="sig", signed_by="anthropic_messages"),
            Part(kind=PartKind.REDACTED, text="zzz", signed_by="anthropic_messages"),
            Part(kind=PartKind.TEXT, text="naïve 🙂"),
            Part(kind=PartKind.REFUSAL, text="No."),
            Part(kind=PartKind.TOOL_CALL, id="c1", name="f", text="{}", signature="of the call", signed_by="gemini", at="input[5].call_id"),
            Part(kind=PartKind.TOOL_CALL, id="c2", name="g", text='{"b":2}', at="input[6].call_id"),
        ),
        at="input[1]",
    )


def test_whole_and_streamed_answers_are_the_same() -> None:
    parts = (
        Part(kind=PartKind.REASONING, text="Hm.", signature="sig", signed_by="anthropic_messages"),
        Part(kind=PartKind.TEXT, text="Hello"),
        Part(kind=PartKind.TOOL_CALL, id="c1", name="f", text="{}", signature="s", signed_by="gemini"),
    )
    chunks = (
        *(
            Chunk(kind=ChunkKind.START),
            Chunk(kind=ChunkKind.REASONING, text="Hm."),
            Chunk(kind=ChunkKind.SIGNATURE, text="sig", signed_by="anthropic_messages"),
        ),
        *(Chunk(kind=ChunkKind.TEXT, text="Hello"), Chunk(kind=ChunkKind.SIGNATURE, text="s", signed_by="gemini")),
        *(Chunk(kind=ChunkKind.TOOL_START, id="c1", name="f"), Chunk(kind=ChunkKind.TOOL_ARGUMENTS, text="{}")),
        *(Chunk(kind=ChunkKind.FINISH, finish="length"), Chunk(kind=ChunkKind.USAGE, usage=USAGE), Chunk(kind=ChunkKind.END)),
    )
    who = Told(model="m", call_id="call_1", created_at_s=5, body=b'{"instructions":"Be brief.","tools":[{"type":"function","name":"f"}],"input":"x"}')
    whole = orjson.loads(write_answer(Answer(id="a", model="b", parts=parts, finish="length", usage=USAGE), who))
    Response.model_validate(whole, strict=True)
    assert told(chunks, who)[-1]["response"] == whole
    assert (whole["status"], whole["incomplete_details"], whole["output"][-1]["status"]) == ("incomplete", {"reason": "max_output_tokens"}, "incomplete")
    assert (whole["instructions"], whole["tools"]) == ("Be brief.", [{"parameters": None, "strict": False, "type": "function", "name": "f"}])


def test_an_error_ends_a_stream() -> None:
    events = told(
        (
            Chunk(kind=ChunkKind.START),
            Chunk(kind=ChunkKind.TEXT, text="a"),
            Chunk(kind=ChunkKind.ERROR, text="Busy", status=503),
            Chunk(kind=ChunkKind.TEXT, text="b"),
        )
    )
    assert events[-1] == {
        "type": "error",
        "code": "upstream_error",
        "message": "Busy",
        "param": None,
        "sequence_number": 5,
        "error": {"message": "Busy", "type": "api_error", "param": None, "code": "upstream_error", "sgw": {"status": 503}},
    }


def test_a_stream_read_and_written_again_is_the_same() -> None:
    """What this wire says survives this wire: the reader understands the writer."""
    writer, reader = ChunkWriter(TOLD), ChunkReader()
    heard = [chunk for said in SAID for event in EventBuffer().feed(writer.write(said)) for chunk in reader.feed(event)]
    kinds = [chunk.kind for chunk in heard]
    assert kinds == [
        *(ChunkKind.START, ChunkKind.REASONING, ChunkKind.REASONING, ChunkKind.SIGNATURE, ChunkKind.REDACTED, ChunkKind.TEXT, ChunkKind.TEXT),
        *(ChunkKind.CITATION, ChunkKind.REFUSAL, ChunkKind.REDACTED, ChunkKind.TOOL_START, ChunkKind.TOOL_START),
        *(ChunkKind.TOOL_ARGUMENTS, ChunkKind.TOOL_ARGUMENTS, ChunkKind.TOOL_ARGUMENTS, ChunkKind.FINISH, ChunkKind.USAGE, ChunkKind.END),
    ]
    assert (heard[-2].usage, heard[-3].finish, reader.usage_so_far) == (USAGE, "tool_calls", USAGE)


def read(*events: dict[str, Any]) -> list[Chunk]:
    reader = ChunkReader()
    return [chunk for event in events for chunk in reader.feed(b"event: x\ndata: " + orjson.dumps(event) + b"\n\n")]


def test_words_that_come_whole_are_told_once() -> None:
    added = {"type": "response.output_item.added", "output_index": 1, "item": {"type": "message", "content": []}}
    said = {"type": "response.output_text.delta", "output_index": 1, "delta": "Hi"}
    source = {"type": "url_citation", "url": "https://a.example", "title": "A", "start_index": 0, "end_index": 2}
    words = [{"type": "output_text", "text": "Hi", "annotations": [source]}, {"type": "refusal", "refusal": "No"}, {"type": "output_text", "text": ""}]
    # servers of this wire number their items as they like
    done = {"type": "response.output_item.done", "output_index": 4, "item": {"type": "message", "content": words}}
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}], "encrypted_content": "E"}
    thinks = {"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "Hm"}
    has_thought = {"type": "response.output_item.done", "output_index": 0, "item": thought}
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    whole = [
        Chunk(kind=ChunkKind.TEXT, text="Hi"),
        Chunk(kind=ChunkKind.CITATION, citation=Citation(url="https://a.example", title="A", start=0, end=2)),
        Chunk(kind=ChunkKind.REFUSAL, text="No"),
    ]
    signed = [Chunk(kind=ChunkKind.REASONING, text="Hm"), Chunk(kind=ChunkKind.SIGNATURE, text="rs_1.E", signed_by="openai_responses")]
    called = [Chunk(kind=ChunkKind.TOOL_START, id="c1", name="f"), Chunk(kind=ChunkKind.TOOL_ARGUMENTS, text="{}")]
    stop, end = Chunk(kind=ChunkKind.FINISH, finish="stop"), Chunk(kind=ChunkKind.END)
    completed = {"type": "response.completed", "response": {"output": [thought, done["item"]]}}
    # what did not come in pieces is told with the item
    sourced = {"type": "response.output_text.annotation.added", "output_index": 1, "annotation": source}
    refused = {"type": "response.refusal.delta", "output_index": 1, "delta": "No"}
    assert read(added, said, done, completed) == [*whole, stop, end]
    assert read(added, said, sourced, refused, done, completed) == [*whole, stop, end]
    assert read(added, done, completed) == [*whole, stop, end]
    assert read(thinks, has_thought, completed) == read(has_thought, completed) == [*signed, stop, end]
    assert read(said, done, done) == [*whole, *whole]
    assert read(completed) == read(added, completed) == [*signed, *whole, stop, end]
    all_at_once = {"type": "response.completed", "response": {"output": [done["item"], call]}}
    assert read(all_at_once) == [*whole, *called, Chunk(kind=ChunkKind.FINISH, finish="tool_calls"), end]
    with pytest.raises(WireError, match="not JSON of this wire"):
        read({"type": "response.completed", "response": {"output": [1]}})


def test_probabilities_and_other_sources_that_come_whole_are_told_once() -> None:
    token = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
    file = {"type": "file_citation", "file_id": "file-1", "filename": "a.pdf", "index": 1}
    text = {"type": "output_text", "text": "Hi", "annotations": [file], "logprobs": [token]}
    done = {"type": "response.output_item.done", "item": {"type": "message", "content": [text]}}
    said = {"type": "response.output_text.delta", "delta": "Hi", "logprobs": [token]}
    sourced = {"type": "response.output_text.annotation.added", "annotation": file}
    words, other = Chunk(kind=ChunkKind.TEXT, text="Hi"), Chunk(kind=ChunkKind.UNTOLD, text="annotations")
    tokens = TokensChunk(ChunkKind.LOGPROBS, tokens=(Logprob(token="Hi", logprob=-0.5),))
    assert read(done) == [words, other, tokens]
    assert read(said, done) == [words, tokens, other]
    assert read(said, sourced, done) == [words, tokens, other]


def test_arguments_that_come_whole_are_told_once() -> None:
    item = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": ""}
    done = {**item, "arguments": '{"a":1}'}
    start = Chunk(kind=ChunkKind.TOOL_START, id="c1", name="f")
    arguments = Chunk(kind=ChunkKind.TOOL_ARGUMENTS, text='{"a":1}')
    added, ended = (
        {"type": "response.output_item.added", "output_index": 3, "item": item},
        {"type": "response.output_item.done", "output_index": 3, "item": done},
    )
    delta = {"type": "response.function_call_arguments.delta", "output_index": 3, "delta": '{"a":1}'}
    assert read(added, ended) == [start, arguments]
    assert read(added, delta, ended) == [start, arguments]
    assert read(ended) == [start, arguments]
    assert read({**ended, "item": item}) == [start, Chunk(kind=ChunkKind.TOOL_ARGUMENTS, text="{}")]


@pytest.mark.parametrize(
    ("event", "chunk"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "Slow"}, Chunk(kind=ChunkKind.ERROR, text="Slow", name="rate_limit_exceeded", status=429)),
        ({"type": "error", "error": {"type": "server_error", "message": "Oh"}}, Chunk(kind=ChunkKind.ERROR, text="Oh", name="server_error", status=502)),
        (
            {"type": "response.failed", "response": {"error": {"code": "invalid_prompt", "message": "No"}}},
            Chunk(kind=ChunkKind.ERROR, text="No", name="invalid_prompt", status=400),
        ),
        ({"type": "response.failed"}, Chunk(kind=ChunkKind.ERROR, text="the provider reported an error", status=502)),
    ],
)
def test_every_form_of_failure_is_an_error(event: dict[str, Any], chunk: Chunk) -> None:
    assert read(event, {"type": "response.output_text.delta", "delta": "late"}) == [chunk]


def test_parts_of_a_summary_are_told_apart() -> None:
    added = {"type": "response.reasoning_summary_part.added", "output_index": 0}
    delta = {"type": "response.reasoning_summary_text.delta", "output_index": 0}
    chunks = read({**added, "summary_index": 0}, {**delta, "delta": "A"}, {**added, "summary_index": 1}, {**delta, "delta": "B"})
    assert [chunk.text for chunk in chunks] == ["A", "\n\n", "B"]


def test_a_stream_of_the_same_wire_is_metered() -> None:
    meter = WIRE.meter()
    writer = ChunkWriter(TOLD)
    seen = [meter.feed(event) for chunk in SAID for event in EventBuffer().feed(writer.write(chunk))]
    assert sum(one.text_bytes for one in seen) == len("Let me look.naïve 🙂No.{}".encode()) + len('{"b":2}')
    assert (seen[-1].usage, seen[-1].terminal) == (USAGE, True)


# ---- nonsense ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"input": None}, "invalid_request", "input"),
        ({"input": []}, "invalid_request", "input"),
        ({"input": 5}, "invalid_request", "input"),
        ({"input": [5]}, "invalid_request", "input[0]"),
        ({"input": [{"role": "robot", "content": "x"}]}, "invalid_request", "input[0].role"),
        ({"input": [{"content": "x"}]}, "invalid_request", "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "input_video"}]}]}, "invalid_request", "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "ftp://x"}]}]}, "invalid_request", "input[0].content[0].image_url"),
        ({"input": [{"type": "computer_call"}]}, "unsupported_field", "input[0].type"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": 5}]}, "invalid_request", "input[0].name"),
        ({"input": [{"type": "reasoning", "summary": [{"type": "x"}]}]}, "invalid_request", "input[0].summary[0].type"),
        ({"instructions": 5}, "invalid_request", "instructions"),
        ({"max_output_tokens": 0}, "invalid_request", "max_output_tokens"),
        ({"temperature": 3}, "invalid_request", "temperature"),
        ({"text": {"format": {"type": "yaml"}}}, "invalid_request", "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "invalid_request", "text.format.schema"),
        ({"text": {"verbosity": "loud"}}, "invalid_request", "text.verbosity"),
        ({"reasoning": {"effort": "huge"}}, "invalid_request", "reasoning.effort"),
        ({"tools": [{"type": "function"}]}, "invalid_request", "tools[0].name"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "unsupported_field", "tools[0].type"),
        ({"tool_choice": {"type": "function", "name": "x"}}, "invalid_request", "tool_choice.name"),
        ({"include": [5]}, "invalid_request", "include[0]"),
        ({"truncation": "some"}, "invalid_request", "truncation"),
        ({"metadata": {"a": 5}}, "invalid_request", "metadata.a"),
        ({"prompt": {"id": "p"}}, "unsupported_field", "prompt"),
        ({"conversation": "c"}, "unsupported_field", "conversation"),
        ({"top_logprobs": 2}, "invalid_request", "top_logprobs"),
    ],
)
def test_nonsense_is_refused_by_the_name_of_its_field(change: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(WireError) as caught:
        read_ask(fields(orjson.dumps({"model": "m", "input": "x", **change})), "m", False)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_what_other_vendors_sealed_is_taken_out_of_a_request_that_passes() -> None:
    assert WIRE.without_foreign is not None
    own = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}
    foreign = [{**own, "encrypted_content": f"sgw1.{wire}.x"} for wire in ("anthropic_messages", "gemini+call", "anthropic_messages+redacted")]
    message = {"role": "user", "content": "sgw1.gemini.x"}
    given = fields(orjson.dumps({"model": "m", "input": [message, own, *foreign]}))
    assert WIRE.without_foreign(given) == {"input": orjson.dumps([message, own])}
    for nothing in ({"input": [message, own]}, {"input": "sgw1.gemini.x"}, {}):
        assert WIRE.without_foreign(fields(orjson.dumps(nothing))) == {}


def test_what_a_call_has_to_do_with_stored_ones_is_read() -> None:
    assert WIRE.client is not None
    head = WIRE.client.read_head(
        {"model": "m", "previous_response_id": "resp_1", "input": [{"type": "item_reference", "id": "a"}, {"id": "b"}, {"id": "c", "role": "user"}]}
    )
    assert head.ties == Ties(previous="resp_1", references=("a", "b"), keeps=True)
    assert WIRE.client.read_head({"model": "m", "input": "x", "store": False}).ties == Ties()
    for named in ("conv_1", {"id": "conv_1"}):
        request = {"model": "m", "input": "x", "conversation": named}
        assert WIRE.client.read_head(request).ties == Ties(keeps=True, in_conversation=True)
        assert WIRE.client.may_name is not None
        assert WIRE.client.may_name(request)


def test_work_in_the_background_goes_on_and_is_told_of_until_it_is_over() -> None:
    assert WIRE.client is not None
    assert WIRE.client.read_head({"model": "m", "background": True}).ties == Ties(keeps=True, goes_on=True)
    read_told = working_endpoints()["responses"].read_told
    used = b'{"id":"resp_1","status":"%b","usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}'
    idle = b'{"id":"resp_1","status":"%b","usage":null}'
    assert [read_told(idle % status) for status in (b"queued", b"in_progress")] == [BatchTold("resp_1", False)] * 2
    told = {status: read_told(body % status).results for status in (b"completed", b"incomplete", b"failed", b"cancelled") for body in (idle, used)}
    assert told == {status: (BatchResult("", 200, used % status),) for status in told}
    assert read_told(idle % b"completed").results == (BatchResult("", 200, idle % b"completed"),)
    assert read_told(idle % b"failed").results == (BatchResult("", 502, error_code="response_failed"),)
    assert read_told(idle % b"cancelled").results == (BatchResult("", 0, error_code="response_cancelled"),)
    for nonsense in (b"[]", b'{"id":1}', b"{", b'"x"'):
        with pytest.raises(WireError, match="not about a response"):
            read_told(nonsense)


WORDS = ["", "user", "assistant", "message", "function", "function_call", "function_call_output", "reasoning", "input_text", "auto", "json_schema", "x"]
KEYS = ["type", "role", "content", "name", "tools", "text", "format", "call_id", "output", "summary", "encrypted_content", "image_url", "arguments", "effort"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=10,
)
TOP = [
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "text",
    "reasoning",
    "include",
    "metadata",
    "truncation",
    "max_output_tokens",
    "parallel_tool_calls",
    "user",
]


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(TOP), JSON, max_size=4))
def test_no_request_ends_in_anything_but_a_wire_error(change: dict[str, Any]) -> None:
    given = orjson.dumps({"model": "m", "input": "x", **change})
    try:
        body, _ = compose(read_ask(fields(given), "m", False), "gpt-5")
    except WireError:
        return
    assert orjson.loads(body)["input"]
    write_answer(Answer(id="", model="", parts=(), finish="stop", usage=None), Told("m", "call_1", 0, body=given))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["type", "delta", "item", "response", "output_index", "error", "message", "annotation"]), JSON, max_size=5), max_size=3
    )
)
def test_no_event_ends_in_anything_but_a_wire_error(events: list[dict[str, Any]]) -> None:
    with suppress(WireError):
        read(*events)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 10_000), max_size=5))
def test_a_stream_cut_anywhere_is_read_the_same(cuts: list[int]) -> None:
    writer = ChunkWriter(TOLD)
    stream = b"".join(writer.write(chunk) for chunk in SAID)
    borders = [0, *sorted(cut % len(stream) for cut in cuts), len(stream)]

    def heard(pieces: list[bytes]) -> list[Chunk]:
        buffer, reader = EventBuffer(), ChunkReader()
        return [chunk for piece in pieces for event in buffer.feed(piece) for chunk in reader.feed(event)]

    assert heard([stream[a:b] for a, b in itertools.pairwise(borders)]) == heard([stream])


def test_web_searches_that_were_completed_are_counted_whole_and_streamed() -> None:
    searches: list[dict[str, Any]] = [
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}},
        {"type": "web_search_call", "id": "ws_2", "status": "completed"},
        {"type": "web_search_call", "id": "ws_3", "status": "completed", "action": {"type": "open_page", "url": "https://a.example"}},
        {"type": "web_search_call", "id": "ws_4", "status": "failed", "action": {"type": "search"}},
    ]
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "web_search_call", "annotations": []}]}
    for output, made in (([message, *searches], 2), ([message], 0)):
        response = {"id": "r", "status": "completed", "output": output, "usage": {"input_tokens": 3, "output_tokens": 2}}
        expected = Usage(input_tokens=3, output_tokens=2, web_searches=made)
        assert read_usage(orjson.dumps(response)) == (expected, "")
        assert read_answer(orjson.dumps(response)).usage == expected
        reader = ChunkReader()
        reader.feed(b"data: " + orjson.dumps({"type": "response.completed", "response": response}) + b"\n\n")
        assert reader.usage_so_far == expected
    garbled = {"output": [{"type": 7, "id": "web_search_call"}], "usage": {"input_tokens": 3, "output_tokens": 2}}
    assert read_usage(orjson.dumps(garbled)) == (None, "usage_invalid")


@pytest.mark.parametrize(
    ("asked", "besides"),
    [
        ({"tools": [{"type": "function", "name": "web_search"}]}, None),
        ({"tools": [{"type": "web_search"}]}, Besides(10)),
        ({"tools": [{"type": "web_search_preview"}], "max_tool_calls": 3}, Besides(3)),
        ({"max_tool_calls": 3}, None),
    ],
)
def test_web_searches_that_a_request_may_cause_are_read(asked: dict[str, Any], besides: Besides | None) -> None:
    assert WIRE.client is not None
    assert WIRE.client.read_head({"model": "m", **asked}).besides == besides
