"""Answers that are no conversation: bytes that break off are never made to look whole, and a vendor's refusal of an unknown endpoint keeps its words."""

from typing import Any

from msgspec import structs

from gateway.errors import Refusal
from gateway.plane.unmetered import Unmetered
from gateway.providers import Provider
from gateway.terms import Call
from tests.gateway.plane import corridor
from tests.gateway.plane.builders import call, caller
from tests.gateway.plane.corridor import Answer, Heard, Scene, Vendor

WHO = caller()
SPEAKS = Provider(slug="openai", title="OpenAI", wires={"chat/completions": "openai_chat", "audio/speech": "openai_chat"})


def spoken(**changes: Any) -> Call:
    given = {"endpoint": "audio/speech", "body": b'{"model":"chat","input":"hello"}', "max_output_tokens": 10, "most_input_tokens": 5}
    return call(**given | changes)


def scene(vendor: Vendor, monkeypatch: Any) -> Scene:
    monkeypatch.setitem(corridor.SHELF, "openai", SPEAKS)
    found = Scene(one=vendor)
    model = structs.replace(found.snapshot.models["chat"], kind="speech")
    found.snapshot = structs.replace(found.snapshot, models={"chat": model})
    return found


async def test_sound_comes_as_it_is_and_is_estimated(monkeypatch: Any) -> None:
    here = scene(Vendor(Answer((b"RIFF", b"data"), kind=b"audio/wav")), monkeypatch)
    heard, refusal = await here.carry(spoken(), WHO)
    assert (refusal, heard.status, heard.headers[b"content-type"], heard.body) == (None, 200, b"audio/wav", b"RIFFdata")
    told = here.receipt
    assert (told.status, told.outcome, told.input_tokens, told.output_tokens, told.usage_source) == (200, "ok", 5, 8, "estimated")


async def test_sound_that_breaks_off_is_left_unfinished_and_billed(monkeypatch: Any) -> None:
    here = scene(Vendor(Answer((b"RIFF",), "reset", kind=b"audio/wav")), monkeypatch)
    heard, refusal = await here.carry(spoken(), WHO)
    assert (refusal, heard.body) == (None, b"RIFF")
    told = here.receipt
    assert (told.status, told.outcome, told.output_tokens, told.usage_source) == (502, "failed", 8, "estimated")


async def test_no_page_of_a_vendor_is_ever_given_as_one(monkeypatch: Any) -> None:
    here = scene(Vendor(Answer((b"<html>",), kind=b"text/html")), monkeypatch)
    heard, _ = await here.carry(spoken(), WHO)
    assert (heard.headers[b"content-type"], heard.headers[b"content-security-policy"]) == (b"application/octet-stream", b"sandbox")


async def test_a_vendors_refusal_at_an_unknown_endpoint_keeps_its_words() -> None:
    here = Scene(one=Vendor(Answer((b'{"error":{"message":"no such thread"}}',), status=404)))
    reply = Heard()
    asked = call(account="one", endpoint="threads/t1", model="-")
    refusal: Refusal | None = None
    try:
        await Unmetered(here.corridor, asked, WHO, reply, here.now, ("GET", "/threads/t1")).go(here.snapshot)
    except Refusal as raised:
        refusal = raised
    assert refusal is not None
    assert (refusal.status, refusal.message, here.receipt.error_code) == (404, "no such thread", "vendor_refused")
