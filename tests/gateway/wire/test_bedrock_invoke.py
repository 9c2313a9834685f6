"""Bedrock's InvokeModel: bodies of many families, tokens in headers and behind streams, and what AWS's own SDK reads of refusals."""

import base64
from typing import Any

import botocore.parsers
import orjson
import pytest
from botocore.eventstream import EventStreamBuffer
from botocore.session import Session

from gateway.simulator.event_stream import frame
from gateway.terms import Usage
from gateway.wire import Head, Named, Seen, WireError
from gateway.wire.bedrock_converse.callers import answer_lines, error_body, error_event, limit_output
from gateway.wire.bedrock_converse.callers import read_head as read_converse_head
from gateway.wire.bedrock_converse.invoke import Meter, read_head, read_headers, read_usage
from gateway.wire.bedrock_converse.path import read_path, write_path
from gateway.wire.strict import fields

ARN = "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
METRICS = {"inputTokenCount": 5, "outputTokenCount": 2, "invocationLatency": 9, "firstByteLatency": 3}
BEHIND = {"amazon-bedrock-invocationMetrics": METRICS}


def chunk(said: Any) -> bytes:
    """Return the frame of an event."""
    return frame("chunk", orjson.dumps({"bytes": base64.b64encode(orjson.dumps(said)).decode(), "p": "abcd"}))


def metered(*events: bytes) -> list[Seen]:
    meter = Meter()
    return [meter.feed(event) for event in events]


@pytest.mark.parametrize("model", ["amazon.nova-pro-v1:0", ARN])
@pytest.mark.parametrize(("endpoint", "stream"), [("converse", False), ("converse", True), ("invoke", False), ("invoke", True), ("count-tokens", False)])
def test_a_path_that_is_written_is_read_again(model: str, endpoint: str, stream: bool) -> None:
    assert read_path(write_path(model, endpoint, stream=stream)[1:]) == Named(endpoint, model, stream)


@pytest.mark.parametrize(
    "path",
    """model/m model//converse model/m/converse/x async-invoke model/m/invoke-with-bidirectional-stream guardrail/g/version/1/apply
    x/model/m/invoke""".split(),
)
def test_other_paths_name_no_model(path: str) -> None:
    assert read_path(path) is None


@pytest.mark.parametrize(
    ("body", "most"),
    [
        ({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 300, "messages": []}, 300),
        ({"prompt": "x", "max_gen_len": 64}, 64),
        ({"inputText": "x", "textGenerationConfig": {"maxTokenCount": 77}}, 77),
        ({"messages": [], "inferenceConfig": {"maxTokens": 12}}, 12),
        ({"prompt": "x", "max_tokens": 10, "num_generations": 3}, 30),
        ({"inputText": "x"}, 4096),
        ({"max_tokens": -5}, 4096),
        ({"max_tokens": 10**30, "n": 10**30}, 10_000_000),
        ({"max_tokens": True, "inferenceConfig": [1], "n": "2"}, 4096),
    ],
)
def test_a_call_is_held_for_the_output_its_family_says_it_may_have(body: dict[str, Any], most: int) -> None:
    assert read_head(body) == Head(max_output_tokens=most)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            b'{"type":"message","usage":{"input_tokens":3,"output_tokens":2,"cache_read_input_tokens":4,"cache_creation_input_tokens":1}}',
            (Usage(input_tokens=8, cached_tokens=4, cache_write_tokens=1, output_tokens=2), ""),
        ),
        (b'{"embedding":[0.1],"inputTextTokenCount":5}', (None, "usage_missing")),
        (b'{"generation":"the word \\"input_tokens\\""}', (None, "usage_missing")),
        (b'{"usage":["input_tokens"]}', (None, "usage_invalid")),
    ],
)
def test_what_claude_tells_in_its_body_is_read_there(body: bytes, told: tuple[Usage | None, str]) -> None:
    assert read_usage(body) == told


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({b"input": b"7", b"output": b"3"}, (Usage(input_tokens=7, output_tokens=3), "")),
        (
            {b"input": b"7", b"output": b"3", b"cache-read-input": b"2", b"cache-write-input": b"1"},
            (Usage(input_tokens=10, cached_tokens=2, cache_write_tokens=1, output_tokens=3), ""),
        ),
        ({b"input": b"7"}, (Usage(input_tokens=7), "")),
        ({b"output": b"7"}, (None, "usage_missing")),
        ({b"input": b"-7"}, (None, "usage_invalid")),
        ({b"input": b"9" * 4000}, (None, "usage_invalid")),
        ({b"input": b"9" * 10}, (None, "usage_invalid")),
        ({}, (None, "usage_missing")),
    ],
)
def test_what_other_families_took_is_told_in_headers(counts: dict[bytes, bytes], told: tuple[Usage | None, str]) -> None:
    headers = [(b"x-amzn-bedrock-%b-token-count" % name, count) for name, count in counts.items()]
    assert read_headers([(b"content-type", b"5"), *headers]) == told


def test_a_stream_is_metered_by_what_comes_behind_its_last_event() -> None:
    seen = metered(chunk({"outputText": "Héllo", "index": 0}), chunk({"outputText": "", "completionReason": "FINISH", **BEHIND}))
    assert seen == [Seen(text_bytes=6), Seen(usage=Usage(input_tokens=5, output_tokens=2), finish=True, terminal=True)]


def test_a_stream_of_which_nothing_is_told_has_an_end_all_the_same() -> None:
    seen = metered(chunk({"generations": [{"text": "ab"}]}), chunk({"is_finished": True, "finish_reason": "COMPLETE"}))
    assert seen == [Seen(text_bytes=2), Seen(finish=True)]


CLAUDE = (
    {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 5, "cache_read_input_tokens": 3, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "content_block_stop", "index": 0},
)


def test_claudes_stream_is_metered_as_anthropics_own() -> None:
    ending = ({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}, {"type": "message_stop", **BEHIND})
    seen = metered(*map(chunk, (*CLAUDE, *ending)))
    assert [one.usage for one in seen if one.usage] == [Usage(input_tokens=8, cached_tokens=3, output_tokens=2)]
    assert (sum(one.text_bytes for one in seen), [one.terminal for one in seen]) == (2, [False] * 5 + [True])


def test_claudes_stream_without_figures_of_its_own_is_metered_by_awss() -> None:
    bare = ({"type": "message_start", "message": {"id": "m"}}, *CLAUDE[1:], {"type": "message_stop", **BEHIND})
    assert [one.usage for one in metered(*map(chunk, bare)) if one.usage] == [Usage(input_tokens=5, output_tokens=2)]


def test_what_is_wrong_in_a_stream_is_an_error_or_garbage() -> None:
    (seen,) = metered(frame("modelStreamErrorException", b'{"message":"It broke.","originalStatusCode":500}', "exception"))
    assert seen == Seen(error="It broke.")
    assert metered(frame("ping", b"{}")) == [Seen()]
    for payload in (b"", b"[]", b'{"bytes":"%%%"}', b'{"bytes":"W10="}', b'{"bytes":5}', b"\xff"):
        with pytest.raises(WireError, match="no JSON object"):
            Meter().feed(frame("chunk", payload))


def test_numbers_that_nobody_can_believe_are_none() -> None:
    for counts in ({"inputTokenCount": -1, "outputTokenCount": 2}, {"inputTokenCount": "5"}, {"inputTokenCount": 1.5}):
        (seen,) = metered(chunk({"amazon-bedrock-invocationMetrics": counts}))
        assert (seen.usage, seen.problem, seen.terminal) == (None, "usage_invalid", True)
    assert metered(chunk({"amazon-bedrock-invocationMetrics": ["x"]})) == [Seen()]


@pytest.mark.parametrize(
    ("body", "head"),
    [
        ({"messages": [], "inferenceConfig": {"maxTokens": 9}}, Head(max_output_tokens=9)),
        ({"messages": [], "inferenceConfig": None, "performanceConfig": {"latency": "standard"}}, Head()),
    ],
)
def test_of_converse_the_limit_is_read(body: dict[str, Any], head: Head) -> None:
    assert read_converse_head(body) == head


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"}}, ("unsupported_field", "guardrailConfig")),
        ({"performanceConfig": {"latency": "optimized"}}, ("unsupported_field", "performanceConfig.latency")),
        ({"inferenceConfig": {"maxTokens": -1}}, ("invalid_request", "inferenceConfig.maxTokens")),
        ({"inferenceConfig": {"maxTokens": "9"}}, ("invalid_request", "inferenceConfig.maxTokens")),
        ({"inferenceConfig": 5}, ("invalid_request", "inferenceConfig")),
    ],
)
def test_what_nobody_could_price_or_read_is_refused_by_name(body: dict[str, Any], told: tuple[str, str]) -> None:
    with pytest.raises(WireError) as refused:
        read_converse_head(body)
    assert (refused.value.code, refused.value.param) == told


def test_a_limit_is_put_beside_what_else_is_configured() -> None:
    given = fields(b'{"inferenceConfig": {"temperature": 0.50, "maxTokens": 9}, "messages": []}')
    assert limit_output(given, 5) == {"inferenceConfig": b'{"temperature":0.50,"maxTokens":5}'}
    assert limit_output({}, 5) == limit_output(fields(b'{"inferenceConfig":null}'), 5) == {"inferenceConfig": b'{"maxTokens":5}'}


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (400, "ValidationException"),
        (403, "AccessDeniedException"),
        (404, "ResourceNotFoundException"),
        (413, "ValidationException"),
        (429, "ThrottlingException"),
        (502, "InternalServerException"),
    ],
)
def test_awss_sdk_reads_a_refusal(status: int, name: str) -> None:
    shape = Session().get_service_model("bedrock-runtime").operation_model("Converse").output_shape
    body = error_body(status, "some_code", "api_error", "Say it otherwise.", "messages", {"call_id": "call_1"})
    told = botocore.parsers.create_parser("rest-json").parse({"status_code": status, "headers": {}, "body": body}, shape)
    assert (told["Error"]["Code"], told["Error"]["Message"]) == (name, "Say it otherwise.")
    assert orjson.loads(body)["sgw"] == {"code": "some_code", "param": "messages", "call_id": "call_1"}


def test_awss_sdk_reads_a_refusal_in_a_stream() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(error_event(429, "rate_limited", "api_error", "Slower.", None, {}))
    (message,) = buffer
    assert message.to_response_dict() == {
        "status_code": 400,
        "headers": {":exception-type": "throttlingException", ":content-type": "application/json", ":message-type": "exception"},
        "body": b'{"message":"Slower.","sgw":{"code":"rate_limited","param":null}}',
    }


def test_every_answer_has_the_id_that_awss_sdk_looks_for() -> None:
    assert answer_lines(b"x-request-id: call_1\r\n", 0.0) == b"x-request-id: call_1\r\nx-amzn-requestid: call_1\r\n"
    of_the_vendor = b"x-request-id: call_1\r\nx-amzn-requestid: theirs\r\n"
    assert answer_lines(of_the_vendor, 0.0) == of_the_vendor
    assert answer_lines(b"", 0.0) == b""
