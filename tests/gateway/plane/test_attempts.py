"""What attempts cost that served nobody: in the one receipt of their call, attempt by attempt, and within what is held."""

import asyncio
from typing import Any

import pytest

from billing.receipts import Attempted, Charge
from gateway.errors import OverBudget, UpstreamFailed
from gateway.terms import Call
from tests.gateway.plane.builders import call, caller
from tests.gateway.plane.corridor import Answer, Scene, Vendor, sse
from tests.gateway.plane.test_hold import Bank, budget, rules

WHO = caller()
BODY = b'{"model":"chat","messages":[{"role":"user","content":"hi"}],"max_tokens":100}'
# four bytes are a token: 20 tokens of 1 000 nano-USD each
INPUT_TOKENS = -(-len(BODY) // 4)
ANSWER = b'{"choices":[{"message":{"role":"assistant","content":"hello"}}],"usage":{"prompt_tokens":7,"completion_tokens":2}}'
CUT = b'{"choices":[{"message":{"role":"assistant","content":"hel'
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"
GOOD = Answer((ANSWER,))
SERVED = (Charge("openai", "up-1", "price-1", "provider", "", 7, 0, 0, 0, 2, 0, 0, 11_000),)


def asked(**changes: Any) -> Call:
    return call(**{"body": BODY, "max_output_tokens": 100} | changes)


def charged(input_tokens: int, output_tokens: int, source: str = "estimated", flags: str = "usage_missing", provider: str = "openai") -> Charge:
    cost = 1_000 * input_tokens + 2_000 * output_tokens
    return Charge(provider, "up-1", "price-1", source, flags, input_tokens, 0, 0, 0, output_tokens, 0, 0, cost)


def charges(scene: Scene) -> list[Charge | None]:
    return [attempt.charge for attempt in scene.receipt.attempts]


def totals(scene: Scene) -> tuple[Any, ...]:
    said = scene.receipt
    return said.input_tokens, said.output_tokens, said.cost_nanousd, said.usage_source, said.flags


async def test_a_call_that_succeeds_at_once_carries_no_charge() -> None:
    scene = Scene(one=Vendor(GOOD))
    await scene.carry(asked(), WHO)
    assert scene.receipt.attempts == (Attempted("one/up-1", "one", "ok", 200, 0, None, 9),)
    assert totals(scene) == (7, 2, 11_000, "provider", "")


@pytest.mark.parametrize("fault", ["reset", "idle_timeout", "total_timeout", "protocol", "too_large"])
async def test_a_whole_answer_that_breaks_is_billed_with_the_one_that_served(fault: str) -> None:
    scene = Scene(one=Vendor(Answer((CUT[:20], CUT[20:]), fault)), two=Vendor(GOOD))
    heard, _ = await scene.carry(asked(), WHO)
    broken = charged(INPUT_TOKENS, -(-len(CUT) // 4))
    assert scene.receipt.attempts == (
        Attempted("one/up-1", "one", fault, 200, 0, broken, 9),
        Attempted("two/up-1", "two", "ok", 200, 0, *SERVED, 9),
    )
    cost = broken.cost_nanousd + 11_000
    assert totals(scene) == (INPUT_TOKENS + 7, broken.output_tokens + 2, cost, "estimated", "attempts_billed")
    assert (scene.receipt.account, scene.receipt.outcome, heard.headers[b"x-sgw-cost-usd"]) == ("two", "ok", b"0.%09d" % cost)
    assert {name: value for name, value in scene.figures.flat(0).items() if "cost" in name} == {
        "sgw_cost_nanousd\x1fchat\x1fone": broken.cost_nanousd,
        "sgw_cost_nanousd\x1fchat\x1ftwo": 11_000,
    }


async def test_a_call_of_which_every_answer_broke_costs_all_of_them() -> None:
    scene = Scene(one=Vendor(Answer((CUT,), "reset")), two=Vendor(Answer((CUT,), "reset")))
    _, refusal = await scene.carry(asked(), WHO)
    broken = charged(INPUT_TOKENS, -(-len(CUT) // 4))
    assert (type(refusal), charges(scene)) == (UpstreamFailed, [broken, broken])
    assert totals(scene) == (2 * INPUT_TOKENS, 2 * broken.output_tokens, 2 * broken.cost_nanousd, "estimated", "attempts_billed")
    assert scene.receipt.outcome == "failed"


@pytest.mark.parametrize("first", ["connect", "reset", "first_byte_timeout", Answer(status=500), Answer(status=429), Answer(status=302)], ids=str)
async def test_an_attempt_without_a_byte_of_an_answer_costs_nothing(first: Answer | str) -> None:
    scene = Scene(one=Vendor(first), two=Vendor(GOOD))
    await scene.carry(asked(), WHO)
    assert (charges(scene), totals(scene)) == ([None, None], (7, 2, 11_000, "provider", ""))


@pytest.mark.parametrize("first", [Answer((b"",), "reset"), Answer(), Answer((b"<html>",), kind=b"text/html"), Answer(status=204)], ids=str)
async def test_what_is_no_answer_costs_nothing(first: Answer) -> None:
    scene = Scene(one=Vendor(first), two=Vendor(GOOD))
    await scene.carry(asked(), WHO)
    assert charges(scene) == [None, None]


async def test_usage_the_vendor_told_before_it_broke_wins() -> None:
    scene = Scene(one=Vendor(Answer((b'{"usage":{"prompt_tokens":50,"completion_tokens":9},"choices":[{"mess',), "reset")), two=Vendor(GOOD))
    await scene.carry(asked(), WHO)
    assert charges(scene) == [charged(50, 9, "provider", ""), *SERVED]
    assert totals(scene) == (57, 11, 79_000, "provider", "attempts_billed")


async def test_usage_nobody_can_believe_is_not_taken_from_a_broken_answer() -> None:
    body = b'{"usage":{"prompt_tokens":-50,"completion_tokens":9},"choices":[{"mess'
    scene = Scene(one=Vendor(Answer((body,), "reset")), two=Vendor(GOOD))
    await scene.carry(asked(), WHO)
    assert charges(scene) == [charged(INPUT_TOKENS, -(-len(body) // 4), flags="usage_invalid"), *SERVED]


@pytest.mark.parametrize("body", [b"it is not JSON", b'["a list"]'])
async def test_a_whole_answer_nobody_can_read_is_billed_by_its_size(body: bytes) -> None:
    scene = Scene(one=Vendor(Answer((body,))), two=Vendor(GOOD))
    await scene.carry(asked(), WHO)
    assert charges(scene) == [charged(INPUT_TOKENS, -(-len(body) // 4)), *SERVED]


async def test_an_estimate_never_says_more_output_than_was_asked_for() -> None:
    scene = Scene(one=Vendor(Answer((b"x" * 1_000_000,), "too_large", compressed=True)), two=Vendor(GOOD))
    await scene.carry(asked(), WHO)
    assert charges(scene)[0] == charged(INPUT_TOKENS, 100)


# what a stream said before it broke, and what that costs; None for nothing
OPENINGS: dict[str, tuple[Answer, Charge | None]] = {
    "usage alone": (sse(USAGE, fault="reset"), charged(7, 2, "provider", "")),
    "half an event": (sse(EVENT[:30], fault="reset"), charged(INPUT_TOKENS, 8)),
    "garbage": (sse(b"data: not json\n\n"), charged(INPUT_TOKENS, 0)),
    "a whole answer instead": (Answer((ANSWER,), given=[ANSWER]), charged(7, 2, "provider", "")),
    "nothing": (sse(fault="reset"), None),
    "half a comment": (sse(b": wa", fault="reset"), None),
    "an error": (sse(b'data: {"error":{"message":"busy"}}\n\n'), None),
    "the end alone": (sse(DONE), None),
}


@pytest.mark.parametrize("opening", OPENINGS)
async def test_a_stream_tried_again_after_its_opening_is_billed(opening: str) -> None:
    answer, expected = OPENINGS[opening]
    scene = Scene(one=Vendor(answer), two=Vendor(sse(EVENT, USAGE, DONE)))
    heard, _ = await scene.carry(asked(stream=True), WHO)
    assert (heard.status, heard.body, charges(scene)) == (200, EVENT + DONE, [expected, *SERVED] if expected else [None, None])
    assert scene.receipt.cost_nanousd == 11_000 + (expected.cost_nanousd if expected else 0)


async def test_a_charge_names_the_provider_it_belongs_to() -> None:
    body = b'{"type":"message","usage":{"input_tokens":40,"output_tokens":5,"cache_read_input_tokens":10},"content":[{"type":"te'
    scene = Scene(acme=Vendor(Answer((body,), "reset")), two=Vendor(GOOD))
    await scene.carry(asked(), WHO)
    cost = 1_000 * 50 + 2_000 * 5
    assert charges(scene) == [Charge("anthropic", "up-1", "price-1", "provider", "", 50, 10, 0, 0, 5, 0, 0, cost), *SERVED]
    assert (scene.receipt.provider, scene.receipt.cached_tokens) == ("openai", 10)


@pytest.mark.parametrize(
    ("came", "output_tokens", "flags"), [((), 0, ""), ((CUT,), -(-len(CUT) // 4), "usage_missing")], ids=["nothing came", "half came"]
)
async def test_a_caller_who_leaves_a_whole_answer_pays_what_came(came: tuple[bytes, ...], output_tokens: int, flags: str) -> None:
    scene = Scene(one=Vendor(Answer(came, hangs=True)))
    task = asyncio.ensure_future(scene.carry(asked(), WHO))
    while len(scene.vendors["one"].asked) < 1 or task.done():
        await asyncio.sleep(0)
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert scene.receipt.attempts == (Attempted("one/up-1", "one", "abandoned", 200, 0, charged(INPUT_TOKENS, output_tokens, flags=flags), 9),)
    assert (scene.receipt.outcome, scene.receipt.status, scene.receipt.cost_nanousd) == ("aborted", 499, 1_000 * INPUT_TOKENS + 2_000 * output_tokens)


# ---- what is held -----------------------------------------------------------------------------------------------------

QUOTE = 1_000 * (len(BODY) + 64) + 2_000 * 100
KEYS = rules(budget("k", f"key:{WHO.key.id}"))
BROKEN = charged(INPUT_TOKENS, -(-len(CUT) // 4))


def breaking(bank: Bank) -> Scene:
    """Return two vendors that break and one that serves, under a budget."""
    return Scene(KEYS, bank, one=Vendor(Answer((CUT,), "reset")), two=Vendor(Answer((CUT,), "reset")), three=Vendor(GOOD))


async def test_each_further_attempt_is_held_for_in_full() -> None:
    bank = Bank(**{"k:2026-11": QUOTE + 2 * BROKEN.cost_nanousd})
    scene = breaking(bank)
    _, refusal = await scene.carry(asked(), WHO)
    assert (refusal, bank.asked) == (None, [("k:2026-11", QUOTE), ("k:2026-11", BROKEN.cost_nanousd), ("k:2026-11", BROKEN.cost_nanousd)])
    assert [one.quote_nanousd for one in scene.intents] == [QUOTE + number * BROKEN.cost_nanousd for number in range(3)]
    assert scene.receipt.quote_nanousd == QUOTE + 2 * BROKEN.cost_nanousd
    (piece,) = bank.holds.board(asked(), WHO, KEYS).slices
    assert piece.free == QUOTE - 11_000


async def test_an_attempt_the_budget_cannot_pay_is_not_made() -> None:
    bank = Bank(**{"k:2026-11": QUOTE + BROKEN.cost_nanousd})
    scene = breaking(bank)
    _, refusal = await scene.carry(asked(), WHO)
    assert (type(refusal), len(scene.vendors["three"].asked)) == (OverBudget, 0)
    said = scene.receipt
    assert (said.status, said.outcome, said.error_code, said.cost_nanousd) == (402, "failed", "budget_exceeded", 2 * BROKEN.cost_nanousd)
    (piece,) = bank.holds.board(asked(), WHO, KEYS).slices
    assert piece.free == QUOTE - BROKEN.cost_nanousd


async def test_a_vendor_that_takes_more_than_was_held_is_flagged() -> None:
    dear = Answer((ANSWER.replace(b'"prompt_tokens":7', b'"prompt_tokens":70000'),))
    scene = Scene(KEYS, Bank(**{"k:2026-11": QUOTE}), one=Vendor(dear))
    await scene.carry(asked(), WHO)
    assert totals(scene) == (70_000, 2, 70_004_000, "provider", "overrun")


async def test_a_worker_that_dies_in_a_further_attempt_leaves_what_came_before_in_its_intent() -> None:
    scene = Scene(one=Vendor(Answer((CUT,), "reset")), two=Vendor(GOOD))
    await scene.carry(asked(), WHO)
    assert [one.attempts for one in scene.intents] == [(), (Attempted("one/up-1", "one", "reset", 200, 0, BROKEN, 9),)]
