"""What the installed genai-prices publishes: vendors' models, their rates by date and service tier, and the names they go by. Stores nothing."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Any

from billing import money
from billing.models import Price

Name = tuple[str, str]

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
# The data set's name of each rate, in USD per million tokens; of searches per thousand.
RATES = {
    "input_nanousd": "input_mtok",
    "output_nanousd": "output_mtok",
    "cached_nanousd": "cache_read_mtok",
    "cache_write_nanousd": "cache_write_mtok",
    "cache_write_1h_nanousd": "cache_write_1h_mtok",
    "audio_input_nanousd": "input_audio_mtok",
    "audio_output_nanousd": "output_audio_mtok",
    "reasoning_nanousd": "output_reasoning_mtok",
    "web_search_nanousd": "web_searches_kcount",
}
# Which request of the data set's price variants is which of our modes; other variants are about searches and routes.
MODES = {
    ("processing", "batch"): "batch",
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
    ("service_tier", "fast"): "fast",
    ("speed", "fast"): "fast",
}


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


@cache
def release() -> str:
    """Return the version of the installed genai-prices."""
    return version("genai-prices")


def published_prices() -> dict[Name, list[Price]]:
    """Return unsaved prices by provider and model, earliest first; models not priced by tokens are left out: their cost is unknown."""
    return {name: rows for name, rows in _each_model() if len(name[1]) <= 200}


def _each_model() -> Iterator[tuple[Name, list[Price]]]:
    from genai_prices.data import providers  # slow import: 2000 models are built

    for provider in providers:
        if provider.id in SEEDED:
            for model in provider.models:
                rows = _rows((str(provider.id), str(model.id)), model)
                if rows:
                    yield (str(provider.id), str(model.id)), rows


def _rows(name: Name, model: Any) -> list[Price]:
    """Return a model's prices: one for each moment at which its standard rates or those of a mode change."""
    from genai_prices.types import ModelPrice  # slow import: 2000 models are built

    conditional = [(None, model.prices)] if isinstance(model.prices, ModelPrice) else [(entry.constraint, entry.prices) for entry in model.prices]
    standard = {since: _values(prices) for constraint, prices in conditional if (since := _since(constraint)) is not None}
    variants = [
        (since, MODES[condition], _values(variant.prices))
        for variant in model.price_variants or ()
        if len(variant.when) == 1 and (condition := next(iter(variant.when.items()))) in MODES and (since := _since(variant.constraint)) is not None
    ]
    rows: list[Price] = []
    for moment in sorted({*standard, *(since for since, _, _ in variants)}):
        started = [since for since in standard if since <= moment]
        values = standard[max(started)] if started else {}
        if values.get("input_mtok") is None:
            continue
        modes: dict[str, dict[str, Any]] = {}
        for since, mode, changed in variants:
            if since <= moment:
                # of several variants of one mode the first to name a rate says it
                modes[mode] = {**changed, **modes.get(mode, {})}
        row = _row(name, moment, values, {mode: {**values, **changed} for mode, changed in sorted(modes.items())})
        if not rows or figures_of(rows[-1]) != figures_of(row):
            rows.append(row)
    return rows


def _since(constraint: Any) -> datetime | None:
    """Return from when on a condition holds. Off-peak discounts are left out: the standard price is the upper bound."""
    from genai_prices.types import StartDateConstraint  # slow import: 2000 models are built

    if constraint is None:
        return ALWAYS
    return datetime.combine(constraint.start_date, time.min, UTC) if isinstance(constraint, StartDateConstraint) else None


def _values(prices: Any) -> dict[str, Any]:
    known = {source: getattr(prices, source, None) for source in (*RATES.values(), "requests_kcount")}
    return {source: value for source, value in known.items() if value is not None}


def _row(name: Name, moment: datetime, values: Mapping[str, Any], modes: Mapping[str, Mapping[str, Any]]) -> Price:
    rates, tiers = _rates(values)
    named = []
    for mode, changed in modes.items():
        own, own_tiers = _rates(changed)
        if (own, own_tiers) != (rates, tiers):
            named.append({"name": mode, "rates": own, "tiers": own_tiers})
    return Price(
        provider=name[0],
        upstream_model=name[1],
        valid_from=moment,
        **rates,
        # The data set states this fee per thousand requests.
        request_nanousd=money.to_nanousd(Decimal(values.get("requests_kcount") or 0) / 1000),
        tiers=tiers,
        modes=named,
        source=Price.Source.SEED,
        source_version=release(),
    )


def _rates(values: Mapping[str, Any]) -> tuple[dict[str, int | None], list[dict[str, int | None]]]:
    """Return base rates and tiers in nano-USD."""
    starts = sorted({tier.start for value in values.values() for tier in getattr(value, "tiers", ())})
    return _rates_at(values, 0), [{**_rates_at(values, start), "above_input_tokens": start} for start in starts]


def _rates_at(values: Mapping[str, Any], start: int) -> dict[str, int | None]:
    rates: dict[str, int | None] = {}
    for rate, source in RATES.items():
        published: Any = values.get(source)
        usd = published
        if hasattr(published, "tiers"):
            usd = published.base
            for tier in sorted(published.tiers, key=lambda tier: tier.start):
                if start and start >= tier.start:
                    usd = tier.price
        rates[rate] = None if usd is None else money.to_nanousd(Decimal(usd)) * (1_000 if source.endswith("_kcount") else 1)
    rates["output_nanousd"] = rates["output_nanousd"] or 0
    return rates


def figures_of(row: Price) -> dict[str, int]:
    """Return every figure of a price in nano-USD under a name people read, such as `flex input above 272000`; rates not named are left out."""
    figures: dict[str, int | None] = {**_named("", "", {rate: getattr(row, rate) for rate in RATES}), "per request": row.request_nanousd or None}
    for tier in row.tiers:
        figures |= _named("", f" above {tier['above_input_tokens']}", tier)
    for mode in row.modes:
        figures |= _named(f"{mode['name']} ", "", mode["rates"])
        for tier in mode.get("tiers", ()):
            figures |= _named(f"{mode['name']} ", f" above {tier['above_input_tokens']}", tier)
    return {name: figure for name, figure in figures.items() if figure is not None}


def _named(before: str, after: str, rates: Mapping[str, int | None]) -> dict[str, int | None]:
    return {f"{before}{rate.removesuffix('_nanousd').replace('_', ' ')}{after}": rates.get(rate) for rate in RATES}
