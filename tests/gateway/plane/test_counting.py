"""Counting a request's tokens: by the vendor where it can, else estimated and said to be; free, but not without limit."""

from typing import Any

import orjson

from gateway.errors import TooFast
from gateway.terms import Limit, Rules
from tests.gateway.plane.builders import call, caller
from tests.gateway.plane.corridor import Answer, Scene, Vendor
from tests.gateway.plane.test_hold import Bank

ASKED = {"model": "chat", "messages": [{"role": "user", "content": "x" * 40}]}


def counting(**changes: Any) -> Any:
    """Return a call that counts."""
    return call(surface="anthropic", endpoint="messages/count_tokens", body=orjson.dumps({**ASKED, **changes}))


async def test_a_vendor_that_counts_is_asked_and_nothing_is_billed() -> None:
    scene = Scene(openai=Vendor(), anthropic=Vendor(Answer((b'{"input_tokens":17}',))))
    heard, refusal = await scene.carry(counting(), caller())
    assert (refusal, heard.status, heard.body) == (None, 200, b'{"input_tokens":17}')
    assert heard.headers[b"request-id"] == heard.headers[b"x-request-id"] == b"call_1"
    assert b"x-sgw-estimated" not in heard.headers
    receipt = scene.receipt
    assert (receipt.cost_nanousd, receipt.usage_source, receipt.deployment, receipt.status) == (0, "none", "anthropic/up-1", 200)
    assert orjson.loads(scene.vendors["anthropic"].asked[0]) == {**ASKED, "model": "up-1"}


async def test_where_none_can_the_estimate_says_that_it_is_one() -> None:
    scene = Scene(openai=Vendor())
    heard, refusal = await scene.carry(counting(), caller())
    assert (refusal, heard.status, heard.body, heard.headers[b"x-sgw-estimated"]) == (None, 200, b'{"input_tokens":14}', b"input_tokens")
    receipt = scene.receipt
    assert (receipt.cost_nanousd, receipt.usage_source, receipt.deployment, scene.intents) == (0, "none", "", [])


async def test_what_makes_no_sense_is_refused_with_its_field() -> None:
    heard, refusal = await Scene(openai=Vendor()).carry(counting(messages="x"), caller())
    assert (heard.started, refusal is not None and (refusal.status, refusal.code, refusal.param)) == (False, (400, "invalid_request", "messages"))


async def test_a_vendors_failure_is_told_and_costs_nothing() -> None:
    scene = Scene(anthropic=Vendor("reset"))
    _, refusal = await scene.carry(counting(), caller())
    assert (refusal is not None and refusal.status, scene.receipt.cost_nanousd, scene.receipt.outcome) == (502, 0, "failed")


async def test_counting_is_held_to_how_fast_one_may_call() -> None:
    who = caller()
    limit = Limit(id="r", scope=f"key:{who.key.id}", kind="rpm", amount=1)
    scene = Scene(Rules(budgets={}, limits={limit.scope: (limit,)}), Bank(**{"r:2026-11-24T12:00": 1}), openai=Vendor())
    assert (await scene.carry(counting(), who))[1] is None
    assert isinstance((await scene.carry(counting(), who))[1], TooFast)
