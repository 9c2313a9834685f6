"""Batches as the vendors write them: requests in, bodies replaced where they must be, results out; what does not fit is refused by its line."""

import orjson
import pytest

from gateway.wire import BatchAsk, BatchResult, BatchTold, WireError
from gateway.wire.anthropic_messages import batching as anthropic
from gateway.wire.openai_chat import batching as openai

LINE = b'{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m","n":1}}'
OTHER = b'{"custom_id": "b", "method": "POST", "url": "/v1/embeddings", "body": {"model": "e",  "input": "x"}}'


def test_a_file_holds_a_request_a_line() -> None:
    assert list(openai.read_asks(LINE + b"\n\n" + OTHER + b"\r\n")) == [
        BatchAsk("a", "chat/completions", b'{"model":"m","n":1}', {"model": "m", "n": 1}),
        BatchAsk("b", "embeddings", b'{"model": "e",  "input": "x"}', {"model": "e", "input": "x"}),
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"nonsense", "Line 2: the body is not valid JSON"),
        (b"[]", "Line 2: the body must be a JSON object"),
        (b'{"custom_id":"b","url":"/v1/x","body":{"a":1,"a":2}}', "Line 2: the key 'a' appears twice in one object"),
        (b'{"custom_id":"b","url":"/v1/x"}', "Line 2 is no request of a batch: Object missing required field `body`."),
        (b'{"custom_id":"","url":"/v1/x","body":{}}', "Line 2 needs the method POST and a custom_id"),
        (b'{"custom_id":"b","method":"GET","url":"/v1/x","body":{}}', "Line 2 needs the method POST and a custom_id"),
    ],
)
def test_a_line_that_is_no_request_is_named(line: bytes, words: str) -> None:
    with pytest.raises(WireError) as caught:
        list(openai.read_asks(LINE + b"\n" + line))
    assert caught.value.message.startswith(words)


def test_only_the_bodies_that_must_change_are_written_anew() -> None:
    content = LINE + b"\n\n" + OTHER + b"\n"
    assert openai.rewrite(content, {1: b'{"model":"up"}'}) == LINE + (
        b'\n{"custom_id":"b","method":"POST","url":"/v1/embeddings","body":{"model":"up"}}'
    )
    asks = b'{"requests": [{"custom_id":"a","params":{"model":"m"}},{"custom_id":"b","params":{"model":"m"}}], "x": 1}'
    assert orjson.loads(anthropic.rewrite(asks, {0: b'{"model":"up"}'})) == {
        "requests": [{"custom_id": "a", "params": {"model": "up"}}, {"custom_id": "b", "params": {"model": "m"}}],
        "x": 1,
    }


@pytest.mark.parametrize(
    ("status", "is_over"), [("validating", False), ("in_progress", False), ("cancelling", False), ("completed", True), ("cancelled", True)]
)
def test_a_batch_tells_whether_it_is_over_and_where_its_results_are(status: str, is_over: bool) -> None:
    told = orjson.dumps({"id": "batch_1", "status": status, "output_file_id": "file-o", "error_file_id": None})
    assert openai.read_told(told) == BatchTold("batch_1", is_over, ("file-o",))


def test_results_are_answers_refusals_or_nothing() -> None:
    answered = b'{"custom_id":"a","response":{"status_code":200,"body":{"usage":{}}},"error":null}'
    refused = b'{"custom_id":"b","response":{"status_code":400,"body":{"error":{"code":"bad_thing"}}},"error":null}'
    expired = b'{"custom_id":"c","response":null,"error":{"code":"batch_expired","message":"late"}}'
    assert [openai.read_result(line) for line in (answered, refused, expired)] == [
        BatchResult("a", 200, b'{"usage":{}}'),
        BatchResult("b", 400, b'{"error":{"code":"bad_thing"}}', "bad_thing"),
        BatchResult("c", 0, error_code="batch_expired"),
    ]


def test_messages_are_batched_in_the_request_itself() -> None:
    body = b'{"requests":[{"custom_id":"a","params":{"model":"m","max_tokens":5}}]}'
    assert list(anthropic.read_asks(body)) == [BatchAsk("a", "messages", b'{"model":"m","max_tokens":5}', {"model": "m", "max_tokens": 5})]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{}", "requests"),
        (b'{"requests":[{"custom_id":"a","params":3}]}', "requests.0.params"),
        (b'{"requests":[{"custom_id":"","params":{}}]}', "requests.0.custom_id"),
        (b'{"requests":[{"custom_id":"a","params":{"a":1,"a":2}}]}', "a"),
    ],
)
def test_messages_that_do_not_fit_are_named(body: bytes, param: str) -> None:
    with pytest.raises(WireError) as caught:
        list(anthropic.read_asks(body))
    assert caught.value.param == param


def test_results_of_messages_are_read_and_their_address_is_the_gateways() -> None:
    succeeded = b'{"custom_id":"a","result":{"type":"succeeded","message":{"usage":{}}}}'
    errored = b'{"custom_id":"b","result":{"type":"errored","error":{"type":"error","error":{"type":"invalid_request_error","message":"no"}}}}'
    expired = b'{"custom_id":"c","result":{"type":"expired"}}'
    assert [anthropic.read_result(line) for line in (succeeded, errored, expired)] == [
        BatchResult("a", 200, b'{"usage":{}}'),
        BatchResult("b", 400, error_code="vendor_refused"),
        BatchResult("c", 0, error_code="batch_expired"),
    ]
    over = b'{"id":"msgbatch_1","processing_status":"ended","results_url":"https://api.anthropic.com/v1/messages/batches/msgbatch_1/results"}'
    assert anthropic.read_told(over) == BatchTold("msgbatch_1", True)
    told = orjson.loads(anthropic.with_results_at(over, "https://gateway.example/v1/messages/batches"))
    assert told["results_url"] == "https://gateway.example/v1/messages/batches/msgbatch_1/results"
    going = b'{"id":"msgbatch_1","processing_status":"in_progress","results_url":null}'
    assert (anthropic.with_results_at(going, "https://x"), anthropic.read_told(going).is_over) == (going, False)


@pytest.mark.parametrize("read", [openai.read_told, openai.read_result, anthropic.read_told, anthropic.read_result])
def test_nonsense_of_a_vendor_is_garbage(read: object) -> None:
    assert callable(read)
    for body in (b"", b"<html>", b"[]", b'{"id":3}', b'{"custom_id":"a","result":7,"response":7}'):
        with pytest.raises(WireError) as caught:
            read(body)
        assert caught.value.code == "garbage"
