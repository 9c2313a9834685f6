"""Calls that AWS serves: signed after their body is known, read from AWS's frames, metered by what comes last."""

import asyncio
import base64
from typing import Any

import orjson
from msgspec import structs

from billing.receipts import Settle
from gateway.plane.serve import Served
from gateway.simulator.event_stream import frame
from gateway.wire.bedrock_converse.frames import opened
from tests.gateway.plane.builders import call, caller
from tests.gateway.plane.corridor import Answer, Heard, Scene, Vendor, sse
from tests.gateway.plane.test_hold import Bank, budget, rules

USAGE = {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5}
STREAM = (
    frame("messageStart", b'{"role":"assistant"}') + frame("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"Hi."}}'),
    frame("contentBlockStop", b'{"contentBlockIndex":0}') + frame("messageStop", b'{"stopReason":"end_turn"}')[:9],
    frame("messageStop", b'{"stopReason":"end_turn"}')[9:] + frame("metadata", orjson.dumps({"usage": USAGE, "metrics": {"latencyMs": 1}})),
)
EVENTS = b"application/vnd.amazon.eventstream"


def asked(**changes: Any) -> Any:
    """Return a chat call."""
    return call(body=orjson.dumps({"model": "chat", "messages": [{"role": "user", "content": "Hello"}]}), **changes)


async def test_a_whole_answer_is_signed_for_and_metered() -> None:
    told = {"output": {"message": {"role": "assistant", "content": [{"text": "Hi."}]}}, "stopReason": "end_turn", "usage": USAGE}
    scene = Scene(bedrock=Vendor(Answer((orjson.dumps(told),))))
    heard, refusal = await scene.carry(asked(), caller())
    assert (refusal, heard.status, orjson.loads(heard.body)["choices"][0]["message"]["content"]) == (None, 200, "Hi.")
    (head,), (body,) = scene.vendors["bedrock"].heads, scene.vendors["bedrock"].asked
    assert head.startswith(b"POST /model/up-1/converse HTTP/1.1\r\nhost: bedrock.example\r\n")
    assert b"\r\nauthorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE012345678/" in head
    assert orjson.loads(body) == {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}
    assert (scene.receipt.usage_source, scene.receipt.input_tokens, scene.receipt.output_tokens) == ("provider", 3, 2)


async def test_a_stream_is_read_from_its_frames() -> None:
    scene = Scene(bedrock=Vendor(Answer(STREAM, kind=EVENTS)))
    heard, refusal = await scene.carry(asked(stream=True), caller())
    assert refusal is None
    events = [line for line in heard.body.split(b"\n\n") if line]
    assert (b'"content":"Hi."' in heard.body, events[-1]) == (True, b"data: [DONE]")
    assert scene.vendors["bedrock"].heads[0].startswith(b"POST /model/up-1/converse-stream HTTP/1.1\r\n")
    assert (scene.receipt.usage_source, scene.receipt.input_tokens, scene.receipt.output_tokens) == ("provider", 3, 2)


async def test_a_stream_throttled_before_its_first_word_goes_to_the_next_deployment() -> None:
    throttled = Answer((frame("throttlingException", b'{"message":"slow"}', "exception"),), kind=EVENTS)
    after = sse(b'data: {"choices":[{"delta":{"content":"Hi."},"finish_reason":"stop"}]}\n\n', b"data: [DONE]\n\n")
    scene = Scene(bedrock=Vendor(throttled), openai=Vendor(after))
    heard, refusal = await scene.carry(asked(stream=True), caller())
    assert (refusal, b'"content":"Hi."' in heard.body, scene.receipt.deployment) == (None, True, "openai/up-1")


def own(endpoint: str, body: Any, **changes: Any) -> Any:
    """Return a call of AWS's own SDK on the account's provider path."""
    return call(endpoint=endpoint, account="bedrock", model="up-1", surface="bedrock", body=orjson.dumps(body), wants_usage=True, **changes)


TALK = {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}


async def test_awss_own_sdk_gets_what_aws_says_byte_for_byte() -> None:
    whole = orjson.dumps({"output": {"message": {"role": "assistant", "content": [{"text": "Hi."}]}}, "usage": USAGE, "new": 1})
    scene = Scene(bedrock=Vendor(Answer((whole,), also=((b"x-amzn-requestid", b"theirs"),)), Answer(STREAM, kind=EVENTS)))
    heard, refusal = await scene.carry(own("converse", TALK), caller())
    assert (refusal, heard.body, heard.headers[b"content-type"], heard.headers[b"x-amzn-requestid"]) == (None, whole, b"application/json", b"theirs")
    heard, refusal = await scene.carry(own("converse", TALK, stream=True), caller())
    assert (refusal, heard.body, heard.headers[b"content-type"], heard.headers[b"x-amzn-requestid"]) == (None, b"".join(STREAM), EVENTS, b"call_1")
    assert scene.vendors["bedrock"].asked == [orjson.dumps(TALK)] * 2
    told = [(record.usage_source, record.input_tokens, record.output_tokens) for record in scene.records.all if isinstance(record, Settle)]
    assert told == [("provider", 3, 2)] * 2


async def test_a_limit_that_a_budget_needs_is_put_where_awss_wire_has_it() -> None:
    told = orjson.dumps({"output": {"message": {"role": "assistant", "content": []}}, "usage": USAGE})
    plenty = Bank(**{"p:2026-11": 10**12})
    scene = Scene(rules(budget("p", "project:prj")), plenty, bedrock=Vendor(Answer((told,))))
    heard, refusal = await scene.carry(own("converse", TALK), caller())
    assert (refusal, orjson.loads(scene.vendors["bedrock"].asked[0])) == (None, TALK | {"inferenceConfig": {"maxTokens": 4096}})
    assert heard.headers[b"x-sgw-max-tokens"] == b"4096"


async def test_a_stream_that_breaks_off_ends_with_an_exception_that_awss_sdk_raises() -> None:
    scene = Scene(bedrock=Vendor(Answer(STREAM[:1], "reset", kind=EVENTS)))
    heard, refusal = await scene.carry(own("converse", TALK, stream=True), caller())
    assert (refusal, heard.body[: len(STREAM[0])]) == (None, STREAM[0])
    assert opened(heard.body[len(STREAM[0]) :]) == (
        b"!internalServerException",
        b'{"message":"The provider\'s answer broke off or was damaged. Try again.","sgw":{"code":"upstream_error","param":null}}',
    )
    assert (scene.receipt.status, scene.receipt.usage_source) == (502, "estimated")


async def test_a_waiting_stream_gets_nothing_that_awss_sdk_would_not_understand() -> None:
    scene = Scene(bedrock=Vendor())
    reply = Heard()
    Served(scene.corridor, own("converse", TALK, stream=True), caller(), reply, scene.now)._keep_alive()
    await asyncio.sleep(0)
    assert (reply.started, reply.body) == (False, b"")


COUNTS = ((b"x-amzn-bedrock-input-token-count", b"7"), (b"x-amzn-bedrock-output-token-count", b"3"))


async def test_a_model_is_invoked_in_the_words_of_its_family() -> None:
    scene = Scene(bedrock=Vendor(Answer((b'{"generation":"Hi."}',), also=COUNTS)))
    heard, refusal = await scene.carry(own("invoke", {"prompt": "Hello"}, max_output_tokens=64), caller())
    assert (refusal, heard.body) == (None, b'{"generation":"Hi."}')
    assert scene.vendors["bedrock"].heads[0].startswith(b"POST /model/up-1/invoke HTTP/1.1\r\n")
    assert (scene.receipt.usage_source, scene.receipt.input_tokens, scene.receipt.output_tokens) == ("provider", 7, 3)


async def test_a_family_of_which_aws_tells_nothing_is_estimated() -> None:
    scene = Scene(bedrock=Vendor(Answer((b'{"text":"Hello there."}',))))
    _, refusal = await scene.carry(own("invoke", {"message": "Hello"}, max_output_tokens=64), caller())
    assert (refusal, scene.receipt.usage_source, scene.receipt.output_tokens) == (None, "estimated", 6)


async def test_streams_of_invoke_end_with_what_was_taken_or_with_their_last_word() -> None:
    def chunk(said: Any) -> bytes:
        return frame("chunk", orjson.dumps({"bytes": base64.b64encode(orjson.dumps(said)).decode()}))

    behind = {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 7, "outputTokenCount": 3}}
    told = (chunk({"outputText": "Hi."}), chunk({"outputText": "", "completionReason": "FINISH", **behind}))
    bare = (chunk({"text": "Hi."}), chunk({"is_finished": True, "finish_reason": "COMPLETE"}))
    scene = Scene(bedrock=Vendor(Answer(told, kind=EVENTS), Answer(bare, kind=EVENTS), Answer(bare[:1], kind=EVENTS)))
    for pieces in (told, bare):
        heard, refusal = await scene.carry(own("invoke", {"inputText": "Hello"}, max_output_tokens=64, stream=True), caller())
        assert (refusal, heard.body) == (None, b"".join(pieces))
    await scene.carry(own("invoke", {"inputText": "Hello"}, max_output_tokens=64, stream=True), caller())
    assert scene.vendors["bedrock"].heads[0].startswith(b"POST /model/up-1/invoke-with-response-stream HTTP/1.1\r\n")
    told_of = [(record.status, record.usage_source, record.output_tokens) for record in scene.records.all if isinstance(record, Settle)]
    assert told_of == [(200, "provider", 3), (200, "estimated", 1), (502, "estimated", 1)]


async def test_models_of_other_kinds_are_not_invoked() -> None:
    scene = Scene(bedrock=Vendor(Answer((b'{"embedding":[0.5],"inputTextTokenCount":4}',), also=COUNTS[:1])))
    models = {kind: structs.replace(scene.snapshot.models["chat"], kind=kind) for kind in ("embeddings", "image")}
    scene.snapshot = structs.replace(scene.snapshot, by_upstream={}, models={"up-1": models["embeddings"]})
    _, refusal = await scene.carry(own("invoke", {"inputText": "Hello"}), caller())
    assert (refusal, scene.receipt.usage_source, scene.receipt.input_tokens, scene.receipt.output_tokens) == (None, "provider", 7, 0)
    scene.snapshot = structs.replace(scene.snapshot, models={"up-1": models["image"]})
    _, refusal = await scene.carry(own("invoke", {"taskType": "TEXT_IMAGE"}), caller())
    assert refusal is not None
    assert refusal.message == "'chat' is a model for image; it does not serve /invoke."


async def test_tokens_are_counted_by_aws_free_of_charge() -> None:
    scene = Scene(bedrock=Vendor(Answer((b'{"inputTokens":12}',))))
    heard, refusal = await scene.carry(own("count-tokens", {"input": {"converse": TALK}}), caller())
    assert (refusal, heard.body, scene.receipt.cost_nanousd) == (None, b'{"inputTokens":12}', 0)


async def test_headers_that_ask_for_more_are_named_and_not_passed_on() -> None:
    scene = Scene(bedrock=Vendor(Answer((b"{}",), also=COUNTS)))
    asked = own("invoke", {"prompt": "x"}, max_output_tokens=9, headers=((b"x-amzn-bedrock-service-tier", b"priority"),))
    heard, _ = await scene.carry(asked, caller())
    assert heard.headers[b"x-sgw-dropped"] == b"x-amzn-bedrock-service-tier"
    assert b"priority" not in scene.vendors["bedrock"].heads[0]
