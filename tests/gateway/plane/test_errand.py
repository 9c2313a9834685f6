"""Calls about what vendors keep: several requests to one account, one receipt that costs nothing, and doubt where nobody knows what the vendor did."""

import pytest

from gateway.errors import Refusal, UpstreamFailed
from gateway.plane.errand import Conflict, Errand, first_told
from gateway.plane.send import Sent
from gateway.plane.serve import EVENT_BYTES
from gateway.plane.telling import VendorError
from gateway.wire.sse import EventBuffer
from tests.gateway.plane.builders import call, caller
from tests.gateway.plane.corridor import Answer, Heard, Scene, Vendor

FILE = b'{"id":"file-1"}'
ABOUT_FILES = call(endpoint="files", model="-", account="openai", body=b"")


async def test_an_account_is_asked_as_often_as_need_be_and_nothing_is_billed() -> None:
    vendor = Vendor(Answer((FILE,)), Answer((b'{"id":',), kind=b"application/octet-stream"))
    scene, heard = Scene(openai=vendor), Heard()

    async def work(errand: Errand) -> bytes:
        told = await errand.ask("openai", "POST", "/files", b"a form", b"multipart/form-data; boundary=x")
        return told + await errand.ask("openai", "GET", "/files/file-1/content")

    await Errand(scene.corridor, ABOUT_FILES, caller(), heard, scene.now, work).go(scene.snapshot)
    assert (heard.status, heard.body, heard.headers[b"x-request-id"]) == (200, FILE + b'{"id":', b"call_1")
    assert vendor.asked == [b"a form", b""]
    assert [head.split(b"\r\n")[0] for head in vendor.heads] == [b"POST /v1/files HTTP/1.1", b"GET /v1/files/file-1/content HTTP/1.1"]
    assert b"content-type: multipart/form-data; boundary=x" in vendor.heads[0]
    receipt = scene.receipt
    assert (receipt.endpoint, receipt.outcome, receipt.cost_nanousd, receipt.usage_source, receipt.flags) == ("files", "ok", 0, "none", "")
    assert [attempt.outcome for attempt in receipt.attempts] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("answer", "kind", "may_have"),
    [
        (Answer((b"{}",), status=404), VendorError, False),
        (Answer((b"{}",), status=409), Conflict, False),
        (Answer((b"{}",), status=429), Refusal, False),
        (Answer((b"{}",), status=401), Refusal, False),
        ("connect", UpstreamFailed, False),
        # the vendor may have done it all the same
        (Answer((b"{}",), status=500), UpstreamFailed, True),
        ("reset", UpstreamFailed, True),
        ("first_byte_timeout", Refusal, True),
        (Answer((b'{"id"',), fault="reset"), UpstreamFailed, True),
    ],
)
async def test_what_failed_may_have_happened_unless_it_was_refused_for_certain(answer: Answer | str, kind: type[Refusal], may_have: bool) -> None:
    scene, errands = Scene(openai=Vendor(Answer((FILE,)), answer)), list[Errand]()

    async def work(errand: Errand) -> bytes:
        errands.append(errand)
        await errand.ask("openai", "GET", "/files/file-1")
        return await errand.ask("openai", "POST", "/batches", b"{}")

    with pytest.raises(kind):
        await Errand(scene.corridor, ABOUT_FILES, caller(), Heard(), scene.now, work).go(scene.snapshot)
    assert errands[0].may_have_happened(1) is may_have
    assert (scene.receipt.cost_nanousd, scene.receipt.outcome in ("failed", "refused")) == (0, True)


CREATED = b'event: response.created\r\ndata: {"response":{"id":"resp_1"}}\r\n\r\n'
SSE = b"text/event-stream"


async def test_a_stream_is_passed_on_from_its_first_byte_once_it_has_said_what_it_is_about() -> None:
    pieces = (b": hello\n\n", *(CREATED[place : place + 1] for place in range(len(CREATED))), b"data: more\n\n")
    scene, heard, firsts = Scene(openai=Vendor(Answer(pieces, kind=SSE))), Heard(), list[bytes]()

    async def work(errand: Errand) -> Sent[bytes]:
        sent = await errand.open("openai", "/responses", b"{}")
        firsts.append(first_told(EventBuffer().feed(sent.opening)))
        return sent

    await Errand(scene.corridor, ABOUT_FILES, caller(), heard, scene.now, work).go(scene.snapshot)
    assert (heard.status, heard.body, firsts) == (200, b"".join(pieces), [CREATED])
    assert (scene.receipt.outcome, scene.receipt.cost_nanousd) == ("ok", 0)


@pytest.mark.parametrize(
    "answer",
    [
        Answer((b'{"id":"resp_1"}',)),
        Answer((b": hello\n\n", b": still here\n\n"), kind=SSE),
        Answer((b"data: {",), kind=SSE, fault="reset"),
        Answer((b"data: " + b"x" * EVENT_BYTES, b"x"), kind=SSE),
    ],
)
async def test_a_stream_that_does_not_say_what_it_is_about_may_have_begun_all_the_same(answer: Answer) -> None:
    scene, errands = Scene(openai=Vendor(answer)), list[Errand]()

    async def work(errand: Errand) -> Sent[bytes]:
        errands.append(errand)
        return await errand.open("openai", "/responses", b"{}")

    with pytest.raises(UpstreamFailed):
        await Errand(scene.corridor, ABOUT_FILES, caller(), Heard(), scene.now, work).go(scene.snapshot)
    assert (errands[0].may_have_happened(0), len(errands[0].attempts)) == (True, 1)
