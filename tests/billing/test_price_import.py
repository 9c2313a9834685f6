"""What a release of genai-prices says otherwise than the book, and how it gets in."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from accounts.models import User
from billing.actions import add_price, approve_price
from billing.models import Price
from billing.prices import add_differences, current, differences, seed_prices
from billing.prices.importing import Difference, Figure, compare

NAME = ("openai", "m")
LONG_AGO, NOW = datetime(2000, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=9)


def price(valid_from: datetime = LONG_AGO, dollars: int = 1, **fields: object) -> Price:
    given = {"input_nanousd": dollars * 10**9, "output_nanousd": 2 * 10**9, "source": "genai-prices", **fields}
    return Price(provider=NAME[0], upstream_model=NAME[1], valid_from=valid_from, **given)


def said(found: list[Difference]) -> list[tuple[str, datetime | None, tuple[Figure, ...]]]:
    return [(one.kind, one.row.valid_from if one.row else None, one.figures) for one in found]


def test_the_same_figures_are_no_difference() -> None:
    assert compare({NAME: [price()]}, {NAME: [price()]}, (), {}, NOW) == []


def test_a_new_model_comes_with_all_its_dates() -> None:
    first, second = price(), price(LATER, dollars=3)
    assert said(compare({NAME: [first, second]}, {}, (), {}, NOW)) == [
        ("new", LONG_AGO, (Figure("input", None, 10**9), Figure("output", None, 2 * 10**9))),
        ("new", LATER, (Figure("input", 10**9, 3 * 10**9),)),
    ]


def test_a_figure_corrected_without_a_date_holds_from_now() -> None:
    offered = price(dollars=3)
    found = compare({NAME: [offered]}, {NAME: [price()]}, (), {}, NOW)
    assert said(found) == [("changed", NOW, (Figure("input", 10**9, 3 * 10**9),))]
    assert offered.valid_from == LONG_AGO


def test_a_dated_change_holds_from_its_date_in_the_past_or_future() -> None:
    yesterday = NOW - timedelta(days=1)
    book = {NAME: [price()]}
    assert said(compare({NAME: [price(), price(yesterday, 2), price(LATER, 3)]}, book, (), {}, NOW)) == [
        ("changed", yesterday, (Figure("input", 10**9, 2 * 10**9),)),
        ("changed", LATER, (Figure("input", 2 * 10**9, 3 * 10**9),)),
    ]
    taken = {NAME: [price(), price(yesterday, 2), price(LATER, 3)]}
    assert compare({NAME: [price(), price(yesterday, 2), price(LATER, 3)]}, taken, (), {}, NOW) == []


def test_rates_tiers_modes_and_fees_are_told_apart() -> None:
    rates = {"input_nanousd": 5, "output_nanousd": 6}
    new = price(
        cached_nanousd=3,
        request_nanousd=4,
        tiers=[{"above_input_tokens": 100, **rates}],
        modes=[{"name": "flex", "rates": rates, "tiers": [{"above_input_tokens": 7, **rates}]}],
    )
    ((_, _, figures),) = said(compare({NAME: [new]}, {NAME: [price(reasoning_nanousd=9)]}, (), {}, NOW))
    assert {(figure.name, figure.old, figure.new) for figure in figures} == {
        ("cached", None, 3), ("per request", None, 4), ("reasoning", 9, None), ("input above 100", None, 5), ("output above 100", None, 6),
        ("flex input", None, 5), ("flex output", None, 6), ("flex input above 7", None, 5), ("flex output above 7", None, 6),
    }  # fmt: skip


def test_a_vanished_model_has_nothing_to_add() -> None:
    (found,) = compare({}, {NAME: [price()]}, (), {}, NOW)
    assert (found.kind, found.row, found.figures) == ("vanished", None, (Figure("input", 10**9, None), Figure("output", 2 * 10**9, None)))


def test_overridden_and_proposed_differences_say_so() -> None:
    published, book = {NAME: [price(dollars=3)]}, {NAME: [price()]}
    asked = [
        compare(published, book, overridden, proposed, NOW)[0][-2:]
        for overridden, proposed in [((), {}), ({NAME}, {}), ((), {NAME: [price(dollars=3)]}), ((), {NAME: [price(dollars=4)]})]
    ]
    assert asked == [(False, False), (True, False), (False, True), (False, False)]


@pytest.mark.django_db
def test_a_changed_figure_waits_and_what_is_added_by_the_operator_holds() -> None:
    stale = Price.objects.create(provider="openai", upstream_model="gpt-4o", valid_from=LONG_AGO, source="genai-prices", input_nanousd=1, output_nanousd=1)
    assert seed_prices() > 500
    found = [one for one in differences(timezone.now()) if one.kind == "changed"]
    assert {one.name for one in found} == {("openai", "gpt-4o")}
    assert current("openai", "gpt-4o", timezone.now()) == stale
    before = timezone.now()
    assert add_differences(found) == len(found)
    holding = current("openai", "gpt-4o", timezone.now())
    assert holding is not None
    assert (holding.input_nanousd, current("openai", "gpt-4o", before - timedelta(days=4000))) == (2_500_000_000, stale)
    assert differences(timezone.now()) == []


@pytest.mark.django_db
def test_what_a_person_imports_is_proposed_and_overrides_stay() -> None:
    Price.objects.create(provider="openai", upstream_model="gpt-4o", valid_from=LONG_AGO, source="genai-prices", input_nanousd=1, output_nanousd=1)
    seed_prices()
    ann, bob = (User.objects.create_user(f"{name}@example.com", role="finance") for name in ("ann", "bob"))
    own = add_price(provider="openai", upstream_model="gpt-4o", valid_from=LONG_AGO, rates={"input_nanousd": 5, "output_nanousd": 5}, entered_by=ann)
    approve_price(own, bob, "contract")
    (found,) = [one for one in differences(timezone.now()) if one.kind == "changed"]
    assert (found.is_overridden, found.is_proposed, add_differences([found], ann)) == (True, False, 1)
    (again,) = [one for one in differences(timezone.now()) if one.kind == "changed"]
    assert again.is_proposed
    proposal = Price.objects.get(source="genai-prices", entered_by=ann)
    approve_price(proposal, bob, "release")
    assert (current("openai", "gpt-4o", timezone.now()), differences(timezone.now())) == (own, [])
