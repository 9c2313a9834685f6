"""Calls that AWS serves: signed after their body is known, read from AWS's frames, metered by what comes last."""

from typing import Any

import orjson

from gateway.simulator.event_stream import frame
from tests.gateway.plane.builders import call, caller
from tests.gateway.plane.corridor import Answer, Scene, Vendor, sse

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
