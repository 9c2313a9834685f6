"""Calls about what vendors keep: asked once or again, looked at, and passed on; nothing is priced."""

from typing import Any

from gateway.errors import Refusal
from gateway.plane.passage import Asked, Looked, Passage
from gateway.terms import Header, Headers
from tests.gateway.plane.builders import call, caller
from tests.gateway.plane.corridor import Answer, Heard, Scene, Vendor

WHO = caller()


def told(headers: list[Header]) -> Headers:
    return ((b"x-goog-upload-status", b"active"),) if (b"content-type", b"text/plain") in headers else ()


def looking(*made: Looked) -> Any:
    """Return what makes these of answers, in order, and the answers it saw."""
    seen, left = list[bytes](), list(made)

    async def look(body: bytes) -> Looked:
        seen.append(body)
        return left.pop(0)

    return look, seen


async def passed(scene: Scene, asked: Asked, body: bytes = b"") -> tuple[Heard, Refusal | None]:
    reply = Heard()
    walk = Passage(scene.corridor, call(account="one", endpoint="files", model="-", body=body), WHO, reply, scene.now, asked)
    try:
        await walk.go(scene.snapshot)
    except Refusal as refusal:
        return reply, refusal
    return reply, None


async def test_an_answer_is_looked_at_and_the_next_page_asked() -> None:
    look, seen = looking(Looked(next_path="/files?after=b"), Looked(body=b'{"mine":1}'))
    vendor = Vendor(Answer((b'{"a"', b":1}")), Answer((b'{"b":2}',), status=201))
    scene = Scene(one=vendor)
    heard, refusal = await passed(scene, Asked(method="GET", path="/files", look=look, tells=told, headers=((b"openai-beta", b"assistants=v2"),)))
    assert (refusal, heard.status, heard.body, seen) == (None, 201, b'{"mine":1}', [b'{"a":1}', b'{"b":2}'])
    assert [head.split(b" HTTP")[0] for head in vendor.heads] == [b"GET /v1/files", b"GET /v1/files?after=b"]
    assert all(b"openai-beta: assistants=v2\r\n" in head for head in vendor.heads)
    receipt = scene.receipt
    assert (receipt.status, receipt.outcome, receipt.cost_nanousd, receipt.input_tokens, receipt.flags) == (200, "ok", 0, 0, "unmetered")


async def test_bytes_pass_as_they_come_with_the_headers_that_lead_on() -> None:
    look, seen = looking()
    vendor = Vendor(Answer((b"one", b"two"), kind=b"text/plain"))
    heard, refusal = await passed(Scene(one=vendor), Asked(method="POST", path="/x", look=look, tells=told, content_type=b"audio/wav"), b"sound")
    assert (refusal, heard.body, heard.headers[b"x-goog-upload-status"], seen) == (None, b"onetwo", b"active", [])
    assert vendor.asked == [b"sound"] and b"content-type: audio/wav\r\n" in vendor.heads[0]


async def test_a_vendors_refusal_keeps_its_words_and_is_not_looked_at() -> None:
    look, seen = looking()
    vendor = Vendor(Answer((b'{"error":{"message":"no such file"}}',), status=404))
    heard, refusal = await passed(Scene(one=vendor), Asked(method="GET", path="/x", look=look, tells=told))
    assert refusal is not None
    assert (refusal.status, refusal.message, heard.started, seen) == (404, "no such file", False, [])
