"""Cost against exact fractions, and the edges of amounts."""

from decimal import Decimal
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from billing.money import (
    Mode,
    Price,
    Rates,
    check_price,
    cost_nanousd,
    dearest_hour_nanousd,
    dearest_input_nanousd,
    dearest_output_nanousd,
    has_mode,
    quote_nanousd,
    to_nanousd,
    to_usd,
)

RATE = st.integers(0, 10**12)
TOKENS = st.integers(0, 10**7)
FREE = Rates(input_nanousd=0, output_nanousd=0)


@st.composite
def rates(draw: st.DrawFn, above: int = 0) -> Rates:
    optional = st.none() | RATE
    return Rates(
        input_nanousd=draw(RATE),
        output_nanousd=draw(RATE),
        cached_nanousd=draw(optional),
        cache_write_nanousd=draw(optional),
        cache_write_1h_nanousd=draw(optional),
        audio_input_nanousd=draw(optional),
        audio_output_nanousd=draw(optional),
        reasoning_nanousd=draw(optional),
        web_search_nanousd=draw(optional),
        above_input_tokens=above,
    )


@st.composite
def tiers(draw: st.DrawFn) -> tuple[Rates, ...]:
    starts = sorted(draw(st.sets(st.integers(1, 10**7), max_size=3)))
    return tuple(draw(rates(start)) for start in starts)


@st.composite
def prices(draw: st.DrawFn) -> Price:
    names = draw(st.sets(st.sampled_from(["batch", "flex", "priority"])))
    modes = tuple(Mode(name=name, rates=draw(rates()), tiers=draw(tiers())) for name in sorted(names))
    return Price(id="p", rates=draw(rates()), tiers=draw(tiers()), request_nanousd=draw(RATE), modes=modes)


@st.composite
def usages(draw: st.DrawFn) -> dict[str, int]:
    cached, written, heard, plain_in = draw(TOKENS), draw(TOKENS), draw(TOKENS), draw(TOKENS)
    thought, spoken, plain_out = draw(TOKENS), draw(TOKENS), draw(TOKENS)
    hour = draw(st.just(0) | TOKENS)
    written += hour
    return {
        "input_tokens": cached + written + heard + plain_in,
        "cached_tokens": cached,
        "cache_write_tokens": written,
        "cache_write_1h_tokens": hour,
        "audio_input_tokens": heard,
        "output_tokens": thought + spoken + plain_out,
        "reasoning_tokens": thought,
        "audio_output_tokens": spoken,
        "web_searches": draw(st.integers(0, 100)),
    }


def exact(price: Price, usage: dict[str, int], mode: str) -> Fraction:
    named: Price | Mode = next((one for one in price.modes if one.name == mode), price)  # type: ignore[arg-type]  # both have rates and tiers
    reached = [tier for tier in named.tiers if usage["input_tokens"] > tier.above_input_tokens]
    chosen = reached[-1] if reached else named.rates
    written = chosen.input_nanousd if chosen.cache_write_nanousd is None else chosen.cache_write_nanousd
    usage = {**usage, "short_writes": usage["cache_write_tokens"] - usage["cache_write_1h_tokens"]}
    parts = {
        "cached_tokens": (chosen.cached_nanousd, chosen.input_nanousd),
        "short_writes": (chosen.cache_write_nanousd, chosen.input_nanousd),
        "cache_write_1h_tokens": (chosen.cache_write_1h_nanousd, written),
        "audio_input_tokens": (chosen.audio_input_nanousd, chosen.input_nanousd),
        "reasoning_tokens": (chosen.reasoning_nanousd, chosen.output_nanousd),
        "audio_output_tokens": (chosen.audio_output_nanousd, chosen.output_nanousd),
        "web_searches": (chosen.web_search_nanousd, 0),
    }
    total = Fraction(price.request_nanousd)
    for name, (own, parent) in parts.items():
        total += Fraction(usage[name] * (parent if own is None else own), 10**6)
    plain_in = usage["input_tokens"] - usage["cached_tokens"] - usage["cache_write_tokens"] - usage["audio_input_tokens"]
    plain_out = usage["output_tokens"] - usage["reasoning_tokens"] - usage["audio_output_tokens"]
    return total + Fraction(plain_in * chosen.input_nanousd + plain_out * chosen.output_nanousd, 10**6)


MODE = st.sampled_from(["", "batch", "flex", "priority"])


@given(prices(), usages(), MODE)
def test_cost_is_the_exact_cost_rounded_half_up_once(price: Price, usage: dict[str, int], mode: str) -> None:
    assert cost_nanousd(price, **usage, mode=mode) == floor(exact(price, usage, mode) + Fraction(1, 2))


@given(prices(), usages(), MODE)
def test_cost_never_exceeds_the_quote_for_the_same_tokens(price: Price, usage: dict[str, int], mode: str) -> None:
    quote = quote_nanousd(price, input_tokens=usage["input_tokens"], output_tokens=usage["output_tokens"], web_searches=usage["web_searches"])
    assert cost_nanousd(price, **usage, mode=mode) <= quote


def test_a_mode_has_its_own_rates_and_tiers_and_an_unknown_one_costs_the_standard() -> None:
    standard, half = Rates(input_nanousd=2_000_000, output_nanousd=8_000_000), Rates(input_nanousd=1_000_000, output_nanousd=4_000_000)
    tier = Rates(input_nanousd=3_000_000, output_nanousd=6_000_000, above_input_tokens=10)
    price = Price(id="p", rates=standard, request_nanousd=5, modes=(Mode(name="flex", rates=half, tiers=(tier,)),))
    told = [cost_nanousd(price, input_tokens=n, output_tokens=1, mode=mode) for n in (10, 11) for mode in ("", "flex", "priority")]
    assert told == [33, 19, 33, 35, 44, 35]
    assert [has_mode(price, mode) for mode in ("", "flex", "priority")] == [True, True, False]


@given(prices(), usages(), TOKENS)
def test_kinds_beyond_their_parent_never_lower_the_cost(price: Price, usage: dict[str, int], extra: int) -> None:
    low = {**usage, "reasoning_tokens": 0, "audio_output_tokens": 0}
    over = {**low, "reasoning_tokens": low["output_tokens"] + extra}
    rate = price.rates if not [t for t in price.tiers if low["input_tokens"] > t.above_input_tokens] else None
    if rate is not None and (rate.reasoning_nanousd is None or rate.reasoning_nanousd >= rate.output_nanousd):
        assert cost_nanousd(price, **over) >= cost_nanousd(price, **low)


def test_half_a_nano_usd_rounds_up_and_less_rounds_down() -> None:
    price = Price(id="p", rates=Rates(input_nanousd=1, output_nanousd=0))
    assert [cost_nanousd(price, input_tokens=n) for n in (499_999, 500_000, 1_499_999, 1_500_000)] == [0, 1, 1, 2]


def test_a_tier_reprices_every_token_only_above_its_start() -> None:
    tier = Rates(input_nanousd=2_000_000, output_nanousd=20_000_000, above_input_tokens=200)
    price = Price(id="p", rates=Rates(input_nanousd=1_000_000, output_nanousd=10_000_000), tiers=(tier,))
    assert [cost_nanousd(price, input_tokens=n, output_tokens=1) for n in (200, 201)] == [210, 422]


def test_writes_for_an_hour_have_a_rate_of_their_own_and_cost_as_other_writes_without_one() -> None:
    # Claude's: 3 USD a million, read for a tenth, written for 1.25 and, for an hour, 2 times as much
    rates = Rates(input_nanousd=3_000, output_nanousd=15_000, cached_nanousd=300, cache_write_nanousd=3_750, cache_write_1h_nanousd=6_000)
    usage = {"input_tokens": 10_000, "cached_tokens": 2_000, "cache_write_tokens": 5_000, "cache_write_1h_tokens": 4_000}
    # 3 000 plain, 2 000 read, 1 000 written, 4 000 written for an hour: 9 + 0.6 + 3.75 + 24
    assert cost_nanousd(Price(id="p", rates=rates), **usage) == 37
    plain = structs.replace(rates, cache_write_1h_nanousd=None)
    assert cost_nanousd(Price(id="p", rates=plain), **usage) == cost_nanousd(Price(id="p", rates=plain), **{**usage, "cache_write_1h_tokens": 0})
    assert (dearest_hour_nanousd(Price(id="p", rates=rates)), dearest_hour_nanousd(Price(id="p", rates=plain))) == (6_000, 0)


def test_the_dearest_rates_look_at_every_kind_and_tier() -> None:
    tier = Rates(input_nanousd=2, output_nanousd=3, reasoning_nanousd=9, above_input_tokens=10)
    price = Price(id="p", rates=Rates(input_nanousd=1, output_nanousd=5, cache_write_nanousd=7), tiers=(tier,))
    assert (dearest_input_nanousd(price), dearest_output_nanousd(price)) == (7, 9)


@pytest.mark.parametrize(
    ("price", "message"),
    [
        (Price(id="p", rates=Rates(input_nanousd=-1, output_nanousd=0)), "input_nanousd is out of range."),
        (Price(id="p", rates=Rates(input_nanousd=0, output_nanousd=0, cached_nanousd=10**19)), "cached_nanousd is out of range."),
        (Price(id="p", rates=Rates(input_nanousd=0, output_nanousd=0), request_nanousd=-1), "The fee per request is out of range."),
        (
            Price(id="p", rates=Rates(input_nanousd=0, output_nanousd=0), tiers=(Rates(input_nanousd=0, output_nanousd=0),)),
            "Tiers must ascend by above_input_tokens, the first above zero.",
        ),
        (
            Price(id="p", rates=FREE, modes=(Mode(name="flex", rates=FREE, tiers=(FREE,)),)),
            "Tiers must ascend by above_input_tokens, the first above zero.",
        ),
        (Price(id="p", rates=FREE, modes=(Mode(name="flex", rates=FREE),) * 2), "A mode is one of batch, flex, priority, fast, each named once."),
        (Price(id="p", rates=FREE, modes=(Mode(name="gold", rates=FREE),)), "A mode is one of batch, flex, priority, fast, each named once."),
    ],
)
def test_a_price_that_cannot_be_billed_with_is_refused(price: Price, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_price(price)


@given(st.integers(0, 2**63 // 10**9 * 10**9))
def test_usd_and_back_is_exact(nanousd: int) -> None:
    assert to_nanousd(to_usd(nanousd)) == nanousd


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-0.01", "1e30"])
def test_nonsense_amounts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="finite number of USD"):
        to_nanousd(Decimal(text))
