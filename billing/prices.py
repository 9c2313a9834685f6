"""The price book: seeded from genai-prices, looked up by provider, upstream name and moment. Knows nothing of accounts or calls."""

from collections.abc import Iterator
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import msgspec
from django.utils import timezone

from billing import money
from billing.models import Price

# Vendors that publish their own prices; resellers repeat them under other names and are entered by hand.
SEEDED = (
    "anthropic",
    "aws",
    "azure",
    "cerebras",
    "cohere",
    "deepseek",
    "fireworks",
    "google",
    "groq",
    "mistral",
    "moonshotai",
    "openai",
    "perplexity",
    "together",
    "x-ai",
)
# The data set's unconditional price holds since before there was anything to bill.
ALWAYS = datetime(2000, 1, 1, tzinfo=UTC)
# The data set's name of each rate, in USD per million tokens.
RATES = {
    "input_nanousd": "input_mtok",
    "output_nanousd": "output_mtok",
    "cached_nanousd": "cache_read_mtok",
    "cache_write_nanousd": "cache_write_mtok",
    "audio_input_nanousd": "input_audio_mtok",
    "audio_output_nanousd": "output_audio_mtok",
    "reasoning_nanousd": "output_reasoning_mtok",
}
FIGURES = (*RATES, "request_nanousd", "tiers")


def seed_prices() -> int:
    """Add the prices of the installed genai-prices that the book lacks and return how many; rows already there never change.

    Where a release corrects a figure, the new price holds from now on, unless a person has entered one for that model.
    Rows are written in bulk: whoever calls this announces the change.
    """
    now = timezone.now()
    book: dict[tuple[str, str], list[Price]] = {}
    for row in Price.objects.filter(provider__in=SEEDED).order_by("valid_from"):
        book.setdefault((row.provider, row.upstream_model), []).append(row)
    missing: list[Price] = []
    for (provider, name), wanted in _published():
        missing += _missing(wanted, book.get((provider, name), []), now)
    Price.objects.bulk_create(missing, ignore_conflicts=True, batch_size=500)
    return len(missing)


def current(provider: str, upstream_model: str, at: datetime) -> Price | None:
    """The price in force at a moment, by the upstream name itself, else by the published model it is an alias of; None if unknown."""
    for name in (provider, upstream_model), published(provider, upstream_model):
        if name is None:
            continue
        row = Price.objects.filter(provider=name[0], upstream_model=name[1], valid_from__lte=at).order_by("-valid_from").first()
        if row is not None:
            return row
    return None


def as_terms(row: Price) -> money.Price:
    """The row as the plane's frozen price; raises msgspec.ValidationError if its tiers are malformed."""
    return money.Price(
        id=str(row.id),
        rates=money.Rates(**{name: getattr(row, name) for name in RATES}),
        tiers=msgspec.convert(row.tiers, tuple[money.Rates, ...]),
        request_nanousd=row.request_nanousd,
    )


@lru_cache(4096)
def published(provider: str, upstream_model: str) -> tuple[str, str] | None:
    """Vendor and name under which the data set prices a model, whatever dated or alias name is used; None if it does not know it.

    A provider that resells another vendor's models (Azure those of OpenAI) finds them there when it has no price of its own.
    """
    from genai_prices.data import providers  # slow import: 2000 models are built

    known = {str(published.id): published for published in providers}
    first = known.get(provider)
    if first is None:
        return None
    for vendor in (first, *[known[name] for name in first.fallback_model_providers or () if name in known]):
        model = vendor.find_model(upstream_model)
        if model is not None:
            return str(vendor.id), str(model.id)
    return None


def _missing(wanted: list[Price], held: list[Price], now: datetime) -> list[Price]:
    if not held:
        return wanted
    moments = {row.valid_from for row in held}
    # Announced for the future and not in the book yet.
    missing = [price for price in wanted if price.valid_from > now and price.valid_from not in moments]
    in_force = [row for row in held if row.valid_from <= now]
    published = [price for price in wanted if price.valid_from <= now]
    if not in_force or not published or in_force[-1].source != Price.Source.SEED or _figures(in_force[-1]) == _figures(published[-1]):
        return missing
    correction = published[-1]
    if correction.valid_from <= in_force[-1].valid_from:
        correction.valid_from = now
    return [correction, *missing]


def _figures(row: Price) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in FIGURES)


def _published() -> Iterator[tuple[tuple[str, str], list[Price]]]:
    """Provider and model with its prices, earliest first; models not priced by tokens are left out: their cost is unknown."""
    from genai_prices.data import providers  # slow import: 2000 models are built
    from genai_prices.types import ModelPrice, StartDateConstraint  # slow import, as above

    release = version("genai-prices")
    for provider in providers:
        if provider.id not in SEEDED:
            continue
        for model in provider.models:
            dated: dict[datetime, Price] = {}
            # Off-peak discounts are left out: the standard price is the upper bound.
            figures = model.prices
            dated_figures = [(None, figures)] if isinstance(figures, ModelPrice) else [(p.constraint, p.prices) for p in figures]
            for constraint, prices in dated_figures:
                if constraint is not None and not isinstance(constraint, StartDateConstraint):
                    continue
                valid_from = ALWAYS if constraint is None else datetime.combine(constraint.start_date, time.min, UTC)
                if prices.input_mtok is not None:
                    dated[valid_from] = _row(str(provider.id), str(model.id), valid_from, prices, release)
            if dated and len(model.id) <= 200:
                yield (str(provider.id), str(model.id)), [dated[moment] for moment in sorted(dated)]


def _row(provider: str, name: str, valid_from: datetime, prices: Any, release: str) -> Price:
    published = {rate: getattr(prices, source, None) for rate, source in RATES.items()}
    starts = sorted({tier.start for value in published.values() for tier in getattr(value, "tiers", ())})
    return Price(
        provider=provider,
        upstream_model=name,
        valid_from=valid_from,
        **_rates_at(published, 0),
        # The data set states this fee per thousand requests.
        request_nanousd=money.to_nanousd(Decimal(getattr(prices, "requests_kcount", None) or 0) / 1000),
        tiers=[{**_rates_at(published, start), "above_input_tokens": start} for start in starts],
        source=Price.Source.SEED,
        source_version=release,
    )


def _rates_at(published: dict[str, Any], start: int) -> dict[str, int | None]:
    rates: dict[str, int | None] = {}
    for rate, value in published.items():
        usd = value
        if hasattr(value, "tiers"):
            usd = value.base
            for tier in sorted(value.tiers, key=lambda tier: tier.start):
                if start and start >= tier.start:
                    usd = tier.price
        rates[rate] = None if usd is None else money.to_nanousd(Decimal(usd))
    rates["output_nanousd"] = rates["output_nanousd"] or 0
    return rates
