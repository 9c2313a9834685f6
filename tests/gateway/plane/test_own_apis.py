"""Calls of vendors' own SDKs on provider paths: byte for byte what the vendor says, metered on the way."""

from typing import Any

import orjson
import pytest
from msgspec import structs

from billing.receipts import Settle
from gateway.doors import DOORS, behind
from tests.gateway.plane.builders import call, caller
from tests.gateway.plane.corridor import Answer, Scene, Vendor, sse
from tests.gateway.plane.test_hold import Bank, budget, rules
from tests.gateway.wire.test_cohere import COUNTS, event
from tests.gateway.wire.test_ollama import LINES

NDJSON = b"application/x-ndjson"


def own(account: str, endpoint: str, **body: Any) -> Any:
    """Return a call of a vendor's own SDK, read as its door reads it."""
    door = behind(endpoint, endpoint)
    read_head = door.client.read_head if door.plain is None else door.plain.read_head
    head = read_head({"model": "chat", **body})
    told = orjson.dumps({"model": "chat", **body})
    return call(
        endpoint=endpoint, account=account, surface=door.wire.surface, body=told, model=head.model, stream=head.stream, wants_usage=head.wants_usage,
        max_output_tokens=head.max_output_tokens, fields=frozenset(body),
    )  # fmt: skip


def told_of(scene: Scene) -> list[tuple[int, str, int, int]]:
    return [(one.status, one.usage_source, one.input_tokens, one.output_tokens) for one in scene.records.all if isinstance(one, Settle)]


def place_of(scene: Scene, slug: str) -> list[bytes]:
    return [head.split(b" ")[1] for head in scene.vendors[slug].heads]


def test_vendors_own_apis_are_spoken_on_provider_paths_alone() -> None:
    assert not DOORS.keys() & {b"/v1/api/chat", b"/v1/api/generate", b"/v1/api/embed", b"/v1/api/embeddings", b"/v1/v2/chat", b"/v1/v2/embed"}


async def test_ollamas_sdk_chats_streamed_and_whole() -> None:
    whole = b'{"model":"up-1","message":{"role":"assistant","content":"Hi."},"done":true,"prompt_eval_count":4,"eval_count":2}'
    scene = Scene(ollama=Vendor(Answer((b"".join(LINES)[:50], b"".join(LINES)[50:]), kind=NDJSON), Answer((whole,))))
    heard, refusal = await scene.carry(own("ollama", "api/chat", messages=[]), caller())
    assert (refusal, heard.body, heard.headers[b"content-type"]) == (None, b"".join(LINES), NDJSON)
    heard, refusal = await scene.carry(own("ollama", "api/chat", messages=[], stream=False), caller())
    assert (refusal, heard.body) == (None, whole)
    assert (told_of(scene), place_of(scene, "ollama")) == ([(200, "provider", 26, 9), (200, "provider", 4, 2)], [b"/api/chat"] * 2)
    assert [orjson.loads(body)["model"] for body in scene.vendors["ollama"].asked] == ["up-1", "up-1"]


async def test_ollamas_sdk_generates() -> None:
    lines = (b'{"response":"Hi.","done":false}\n', b'{"response":"","done":true,"context":[1,2],"prompt_eval_count":4,"eval_count":2}\n')
    scene = Scene(ollama=Vendor(Answer(lines, kind=NDJSON)))
    heard, refusal = await scene.carry(own("ollama", "api/generate", prompt="Hello"), caller())
    assert (refusal, heard.body) == (None, b"".join(lines))
    assert (told_of(scene), place_of(scene, "ollama")) == ([(200, "provider", 4, 2)], [b"/api/generate"])


@pytest.mark.parametrize("endpoint", ["api/chat", "api/generate"])
async def test_a_stream_of_ollama_that_breaks_off_ends_with_an_error_that_its_sdk_raises(endpoint: str) -> None:
    line = b'{"response":"Hi.","message":{"content":"Hi."},"done":false}\n'
    scene = Scene(ollama=Vendor(Answer((line + b'{"resp',), kind=NDJSON)))
    heard, refusal = await scene.carry(own("ollama", endpoint, prompt="Hello"), caller())
    assert (refusal, heard.body[: len(line)]) == (None, line)
    assert orjson.loads(heard.body[len(line) :]) == {
        "error": "The provider's answer broke off or was damaged. Try again.", "sgw": {"code": "upstream_error", "param": None},
    }  # fmt: skip
    ((status, source, _, _),) = told_of(scene)
    assert (status, source) == (502, "estimated")


async def test_a_limit_that_a_budget_needs_stands_where_ollama_has_it() -> None:
    whole = b'{"message":{"content":"Hi."},"done":true,"prompt_eval_count":4,"eval_count":2}'
    scene = Scene(rules(budget("p", "project:prj")), Bank(**{"p:2026-11": 10**12}), ollama=Vendor(Answer((whole,))))
    _, refusal = await scene.carry(own("ollama", "api/chat", messages=[], stream=False, options={"seed": 1}), caller())
    assert refusal is None
    assert orjson.loads(scene.vendors["ollama"].asked[0])["options"] == {"seed": 1, "num_predict": 4096}


async def test_coheres_sdk_chats_streamed_and_whole() -> None:
    events = (event("content-delta", delta={"message": {"content": {"text": "Hi."}}}), event("message-end", delta={"usage": COUNTS}), b"data: [DONE]\n\n")
    whole = orjson.dumps({"id": "1", "message": {"content": [{"type": "text", "text": "Hi."}]}, "usage": COUNTS})
    scene = Scene(cohere=Vendor(sse(*events), sse(*events[:2]), sse(events[0]), Answer((whole,))))
    for pieces in (events, events[:2]):
        heard, refusal = await scene.carry(own("cohere", "v2/chat", messages=[], stream=True), caller())
        assert (refusal, heard.body) == (None, b"".join(pieces))
    heard, refusal = await scene.carry(own("cohere", "v2/chat", messages=[], stream=True), caller())
    assert (refusal, heard.body.count(b"event: message-end"), b'"finish_reason":"ERROR"' in heard.body) == (None, 1, True)
    heard, refusal = await scene.carry(own("cohere", "v2/chat", messages=[], stream=False), caller())
    assert (refusal, heard.body, place_of(scene, "cohere")) == (None, whole, [b"/v2/chat"] * 4)
    billed = (200, "provider", 5, 7)
    assert [billed, billed, billed] == [one for one in told_of(scene) if one[1] == "provider"]
    assert [one[:2] for one in told_of(scene) if one[1] != "provider"] == [(502, "estimated")]


@pytest.mark.parametrize(
    ("account", "endpoint", "body"),
    [
        ("ollama", "api/embed", b'{"embeddings":[[0.5]],"prompt_eval_count":8}'),
        ("cohere", "v2/embed", b'{"id":"1","embeddings":{"float":[[0.5]]},"meta":{"billed_units":{"input_tokens":8}}}'),
    ],
)
async def test_texts_are_embedded(account: str, endpoint: str, body: bytes) -> None:
    scene = Scene(**{account: Vendor(Answer((body,)))})
    model = structs.replace(scene.snapshot.models["chat"], kind="embeddings")
    scene.snapshot = structs.replace(scene.snapshot, by_upstream={}, models={"chat": model})
    heard, refusal = await scene.carry(own(account, endpoint), caller())
    assert (refusal, heard.body, told_of(scene), place_of(scene, account)) == (None, body, [(200, "provider", 8, 0)], [f"/{endpoint}".encode()])


async def test_other_vendors_do_not_speak_it() -> None:
    scene = Scene(openai=Vendor())
    _, refusal = await scene.carry(own("openai", "api/chat", messages=[]), caller())
    assert (refusal is not None and refusal.status, scene.vendors["openai"].asked) == (400, [])
