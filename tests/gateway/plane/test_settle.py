"""What a call is billed, whatever the vendor said of it."""

from msgspec import structs

from billing.money import Mode, Rates
from billing.receipts import Attempted
from gateway.plane.settle import Billed, Held, bill, receipt
from gateway.plane.settle import Times as CallTimes
from gateway.terms import Attempt, Plan, Usage
from tests.gateway.plane.builders import call, caller, deployment, model

ASKED = call(body=b"x" * 40)
SERVED = deployment()


def test_a_vendor_that_was_never_reached_bills_nothing() -> None:
    assert bill(ASKED, SERVED, Usage(input_tokens=5), None, "", 400, False) == Billed(Usage(), "none", 0, "")


def test_a_vendors_own_numbers_are_billed() -> None:
    told = Usage(input_tokens=5, output_tokens=7)
    assert bill(ASKED, SERVED, told, None, "", 400, True) == Billed(told, "provider", 5_000 + 14_000, "")


def test_what_must_be_known_about_a_cost_is_flagged() -> None:
    flex = Mode(name="flex", rates=Rates(input_nanousd=500_000_000, output_nanousd=1_000_000_000))
    assert SERVED.price is not None
    known = structs.replace(SERVED, price=structs.replace(SERVED.price, modes=(flex,)))
    assumed = structs.replace(SERVED, price=structs.replace(SERVED.price, is_assumed=True))
    unpriced = structs.replace(SERVED, price=None)
    served = [(known, "flex"), (known, "priority"), (assumed, ""), (assumed, "flex"), (unpriced, "flex"), (unpriced, "")]
    told = [bill(ASKED, where, Usage(input_tokens=10, output_tokens=10, tier=tier), None, "", 0, True) for where, tier in served]
    assert [(billed.cost_nanousd, billed.flags) for billed in told] == [
        (15_000, "tier_flex"),
        (30_000, "tier_priority,tier_unpriced"),
        (30_000, "assumed_price"),
        (30_000, "assumed_price,tier_flex,tier_unpriced"),
        (0, "unpriced,tier_flex"),
        (0, "unpriced"),
    ]
    assert bill(ASKED, unpriced, None, None, "usage_missing", 0, True).flags == "usage_missing,unpriced"


def test_without_numbers_four_bytes_are_a_token() -> None:
    expected = Billed(Usage(input_tokens=10, output_tokens=100), "estimated", 10_000 + 200_000, "usage_missing")
    assert bill(ASKED, SERVED, None, None, "usage_missing", 400, True) == expected


def test_of_a_cut_stream_the_input_the_vendor_told_is_exact_and_its_output_a_floor() -> None:
    told = Usage(input_tokens=3, cached_tokens=1, output_tokens=2)
    expected = Usage(input_tokens=3, cached_tokens=1, output_tokens=100)
    assert bill(ASKED, SERVED, None, told, "", 400, True).usage == expected
    assert bill(ASKED, SERVED, None, told, "", 4, True).usage == told


def test_a_receipt_says_everything_under_its_own_name() -> None:
    billed = Billed(Usage(11, 12, 13, 14, 15, 16, 17, cache_write_1h_tokens=21, web_searches=22), "provider", 18, "flag")
    asked = call(end_user="end", session="ses", tags="tag", ip="1.2.3.4", user_agent="agent", client_request_id="cri", stream=True)
    who = caller(person="usr")
    plan = Plan(model("chat", SERVED), (SERVED,), 19, revision=7)
    tried = [Attempt("acme/up-1", "acme", "ok", 200, 5)]
    written = receipt(asked, who, plan, SERVED, "openai", billed, CallTimes(1, 2, 3, 4), tried, 200, "ok", "code", Held("w0", "b1:2026-11 b2:total", 20))
    assert {name: getattr(written, name) for name in written.__struct_fields__} == {
        "call_id": "call_1", "started_at_ms": 1, "duration_ms": 2, "first_byte_ms": 3, "gateway_us": 4, "key": who.key.id, "project": "prj",
        "business_unit": "bu", "model": "chat", "deployment": "acme/up-1", "account": "acme", "provider": "openai", "upstream_model": "up-1",
        "endpoint": "chat/completions", "stream": True, "status": 200, "outcome": "ok", "error_code": "code", "usage_source": "provider",
        "flags": "flag", "input_tokens": 11, "cached_tokens": 12, "cache_write_tokens": 13, "audio_input_tokens": 14, "output_tokens": 15,
        "reasoning_tokens": 16, "audio_output_tokens": 17, "price": "price-1", "cost_nanousd": 18, "quote_nanousd": 19,
        "attempts": written.attempts, "end_user": "end", "session": "ses", "tags": "tag", "ip": "1.2.3.4", "user_agent": "agent", "client_request_id": "cri",
        "worker": "w0", "windows": "b1:2026-11 b2:total", "quote_tokens": 20, "person": "usr", "cache_write_1h_tokens": 21, "web_searches": 22,
    }  # fmt: skip
    assert written.attempts == (Attempted("acme/up-1", "acme", "ok", 200, 5, None, 7),)
