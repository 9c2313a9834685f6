"""The price book: seeding twice changes nothing, names resolve, dates hold, and nobody edits a price."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from django.db import DatabaseError, transaction
from genai_prices import Usage, calc_price
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from billing.actions import add_price, approve_price
from billing.forms import PriceForm
from billing.models import Price, UsageRecord
from billing.money import cost_nanousd
from billing.prices import as_terms, current, published, seed_prices

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)
RATES = {"input_nanousd": 1_000_000_000, "output_nanousd": 2_000_000_000}


def enter(name: str = "m", valid_from: datetime = datetime(2026, 1, 1, tzinfo=UTC), **rates: int) -> Price:
    """Enter a price by its action and let finance approve it."""
    price = add_price(provider="openai", upstream_model=name, valid_from=valid_from, rates={**RATES, **rates})
    approver, _ = User.objects.get_or_create(email="fay@example.com", role="finance")
    approve_price(price, approver, "as agreed")
    return price


def test_seeding_twice_adds_nothing_the_second_time() -> None:
    added = seed_prices()
    assert (added > 500, Price.objects.count(), seed_prices()) == (True, added, 0)


def test_a_seeded_price_keeps_the_kinds_apart_and_is_dated() -> None:
    seed_prices()
    before, after = (current("openai", "o3", datetime(2025, 6, day, tzinfo=UTC)) for day in (9, 11))
    assert before is not None and after is not None
    assert [(p.input_nanousd, p.cached_nanousd, p.output_nanousd) for p in (before, after)] == [
        (10_000_000_000, 500_000_000, 40_000_000_000),
        (2_000_000_000, 500_000_000, 8_000_000_000),
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([("openai", "gpt-4o"), ("openai", "gpt-5.4"), ("anthropic", "claude-sonnet-4-5-20250929"), ("google", "gemini-2.5-pro")]),
    st.integers(0, 600_000),
    st.integers(0, 100_000),
    st.floats(0, 1),
)
def test_seeded_prices_bill_what_the_data_set_bills(model: tuple[str, str], input_tokens: int, output_tokens: int, share: float) -> None:
    if not Price.objects.exists():
        seed_prices()
    cached = int(input_tokens * share)
    row = current(*model, NOW)
    assert row is not None
    usage = Usage(input_tokens=input_tokens, cache_read_tokens=cached, output_tokens=output_tokens)
    expected = calc_price(usage, model[1], provider_id=model[0], genai_request_timestamp=NOW).total_price
    cost = cost_nanousd(as_terms(row), input_tokens=input_tokens, cached_tokens=cached, output_tokens=output_tokens)
    assert abs(Decimal(cost) - expected * 10**9) <= Decimal("0.5")


def test_a_dated_or_unknown_name_resolves_to_its_model_or_to_nothing() -> None:
    names = [("openai", "gpt-5-2025-08-07"), ("azure", "gpt-4o"), ("openai", "no-such-model"), ("nobody", "gpt-5")]
    assert [published(*name) for name in names] == [("openai", "gpt-5"), ("openai", "gpt-4o"), None, None]
    seed_prices()
    assert current("azure", "gpt-4o", NOW) == current("openai", "gpt-4o", NOW)
    assert (current("openai", "no-such-model", NOW), current("nobody", "gpt-5", NOW)) == (None, None)


def test_an_entered_price_wins_from_its_moment_and_seeding_leaves_it_alone() -> None:
    seed_prices()
    seeded = current("openai", "gpt-4o", datetime(2025, 12, 31, tzinfo=UTC))
    entered = enter("gpt-4o")
    assert (current("openai", "gpt-4o", NOW), current("openai", "gpt-4o", datetime(2025, 12, 31, tzinfo=UTC))) == (entered, seeded)
    assert (seed_prices(), current("openai", "gpt-4o", NOW)) == (0, entered)


def test_seeding_leaves_a_figure_that_differs_to_people() -> None:
    stale = Price.objects.create(provider="openai", upstream_model="gpt-4o", valid_from=datetime(2000, 1, 1, tzinfo=UTC), source=Price.Source.SEED, **RATES)
    seed_prices()
    assert current("openai", "gpt-4o", datetime.now(UTC)) == stale


@pytest.mark.parametrize("mode", ["batch", "flex", "priority", "fast"])
def test_a_seeded_mode_bills_what_the_data_set_bills(mode: str) -> None:
    seed_prices()
    row = current("openai", "gpt-5.4", NOW)
    assert row is not None
    context = {"processing": "batch"} if mode == "batch" else {"service_tier": mode}
    usage = Usage(input_tokens=300_000, cache_read_tokens=1_000, output_tokens=500)
    expected = calc_price(usage, "gpt-5.4", provider_id="openai", genai_request_timestamp=NOW, price_context=context).total_price
    cost = cost_nanousd(as_terms(row), input_tokens=300_000, cached_tokens=1_000, output_tokens=500, mode=mode)
    standard = cost_nanousd(as_terms(row), input_tokens=300_000, cached_tokens=1_000, output_tokens=500)
    assert abs(Decimal(cost) - expected * 10**9) <= Decimal("0.5")
    assert cost != standard


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rates", {**RATES, "input_nanousd": -1}),
        ("tiers", [{"input_nanousd": 1}]),
        ("tiers", "x"),
        ("upstream_model", ""),
        ("request_nanousd", -1),
    ],
)
def test_a_price_that_cannot_be_billed_with_is_not_added(field: str, value: object) -> None:
    good: dict[str, object] = {"provider": "openai", "upstream_model": "m", "valid_from": NOW, "rates": RATES}
    with pytest.raises(ValidationError):
        add_price(**{**good, field: value})  # type: ignore[arg-type]  # on purpose
    assert Price.objects.count() == 0


def test_the_database_refuses_to_change_a_price_or_a_usage_row() -> None:
    enter()
    row = {
        "started_at": NOW,
        "duration_ms": 1,
        "key": "k",
        "model": "m",
        "endpoint": "e",
        "status": 200,
        "outcome": "ok",
        "usage_source": "none",
    }
    UsageRecord.objects.create(call_id="call_1", **row)
    with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
        Price.objects.update(input_nanousd=1)
    with pytest.raises(DatabaseError, match="never changes"), transaction.atomic():
        UsageRecord.objects.update(cost_nanousd=0)


def test_the_form_takes_usd_and_stores_nano_usd() -> None:
    form = PriceForm({"provider": "openai", "upstream_model": "m", "valid_from": "2026-01-01", "input_nanousd": "1.25", "output_nanousd": "10"})
    assert form.is_valid(), form.errors
    price = form.instance
    assert (price.input_nanousd, price.output_nanousd, price.cached_nanousd, price.request_nanousd) == (
        1_250_000_000,
        10_000_000_000,
        None,
        0,
    )
