"""Money as integer nano-USD and the one place where it is rounded. No Django, no floats."""

from decimal import ROUND_HALF_UP, Decimal

import msgspec

NANOUSD_PER_USD = 1_000_000_000
TOKENS_PER_RATE = 1_000_000
HALF_RATE = TOKENS_PER_RATE // 2
# What a signed 64-bit column holds: about 9.2 billion USD.
MOST_NANOUSD = 2**63 - 1
# 1000 USD per token; the dearest published rate is below one cent per token.
MOST_RATE_NANOUSD = 10**18
RATE_NAMES = (
    "input_nanousd",
    "output_nanousd",
    "cached_nanousd",
    "cache_write_nanousd",
    "cache_write_1h_nanousd",
    "audio_input_nanousd",
    "audio_output_nanousd",
    "reasoning_nanousd",
    "web_search_nanousd",
)
# Vendors' service tiers that have rates of their own.
MODES = ("batch", "flex", "priority", "fast")


class Rates(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Price of one million tokens of each kind and of one million web searches, in nano-USD. A kind that is None is billed as its parent kind: what is
    written to a cache for an hour as any other write, all others as input or output; searches that are None cost nothing."""

    input_nanousd: int
    output_nanousd: int
    cached_nanousd: int | None = None
    cache_write_nanousd: int | None = None
    cache_write_1h_nanousd: int | None = None
    audio_input_nanousd: int | None = None
    audio_output_nanousd: int | None = None
    reasoning_nanousd: int | None = None
    web_search_nanousd: int | None = None
    above_input_tokens: int = 0


class Mode(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """Rates of a vendor's service tier, such as batch, flex or priority, in place of the standard ones; tiers as in Price."""

    name: str
    rates: Rates
    tiers: tuple[Rates, ...] = ()


class Price(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A price row: base rates, tiers (ascending by `above_input_tokens`; the tier reached re-prices every token) and a fee per request.

    A mode the price does not name is billed at the standard rates. `is_assumed` marks a price that stands in for one nobody knows.
    """

    id: str
    rates: Rates
    tiers: tuple[Rates, ...] = ()
    request_nanousd: int = 0
    modes: tuple[Mode, ...] = ()
    is_assumed: bool = False


def cost_nanousd(
    price: Price,
    *,
    input_tokens: int,
    cached_tokens: int = 0,
    cache_write_tokens: int = 0,
    cache_write_1h_tokens: int = 0,
    audio_input_tokens: int = 0,
    output_tokens: int = 0,
    reasoning_tokens: int = 0,
    audio_output_tokens: int = 0,
    web_searches: int = 0,
    mode: str = "",
) -> int:
    """Cost of one call in nano-USD, rounded half up once; no count may be negative. `mode` is the service tier, "" for the standard one.

    Kinds are taken as disjoint subsets of their parent; what is written for an hour is among all that is written. If they add up to more than the parent,
    the parent's own share is nothing and each kind is still billed, so that a vendor's inconsistent numbers never lower the cost.
    """
    if mode:
        price = _in_mode(price, mode)
    rates = price.rates
    if price.tiers:
        for tier in price.tiers:
            if input_tokens <= tier.above_input_tokens:
                break
            rates = tier
    total = 0
    if cached_tokens or cache_write_tokens or audio_input_tokens:
        parent = rates.input_nanousd
        rate = rates.cached_nanousd
        total += cached_tokens * (parent if rate is None else rate)
        rate = rates.cache_write_nanousd
        rate = parent if rate is None else rate
        if cache_write_1h_tokens:
            hour = rates.cache_write_1h_nanousd
            total += cache_write_1h_tokens * (rate if hour is None else hour)
            total += max(0, cache_write_tokens - cache_write_1h_tokens) * rate
        else:
            total += cache_write_tokens * rate
        rate = rates.audio_input_nanousd
        total += audio_input_tokens * (parent if rate is None else rate)
        plain = input_tokens - cached_tokens - cache_write_tokens - audio_input_tokens
        if plain > 0:
            total += plain * parent
    else:
        total = input_tokens * rates.input_nanousd
    if reasoning_tokens or audio_output_tokens:
        parent = rates.output_nanousd
        rate = rates.reasoning_nanousd
        total += reasoning_tokens * (parent if rate is None else rate)
        rate = rates.audio_output_nanousd
        total += audio_output_tokens * (parent if rate is None else rate)
        plain = output_tokens - reasoning_tokens - audio_output_tokens
        if plain > 0:
            total += plain * parent
    else:
        total += output_tokens * rates.output_nanousd
    if web_searches:
        total += web_searches * (rates.web_search_nanousd or 0)
    return (total + HALF_RATE) // TOKENS_PER_RATE + price.request_nanousd


def has_mode(price: Price, mode: str) -> bool:
    """Say whether the price names rates of this mode; the standard one is always named."""
    return not mode or any(named.name == mode for named in price.modes)


def _in_mode(price: Price, mode: str) -> Price:
    for named in price.modes:
        if named.name == mode:
            return Price(id=price.id, rates=named.rates, tiers=named.tiers, request_nanousd=price.request_nanousd)
    return price


def _all_rates(price: Price) -> tuple[Rates, ...]:
    return (price.rates, *price.tiers, *(rates for mode in price.modes for rates in (mode.rates, *mode.tiers)))


def dearest_input_nanousd(price: Price) -> int:
    """The highest rate in nano-USD per million that an input token can cost under this price, whatever its kind, tier or mode, but for writes for an hour."""
    return max(
        rate
        for rates in _all_rates(price)
        for rate in (rates.input_nanousd, rates.cached_nanousd, rates.cache_write_nanousd, rates.audio_input_nanousd)
        if rate is not None
    )


def dearest_hour_nanousd(price: Price) -> int:
    """The highest rate in nano-USD per million for what is written to a cache for an hour; 0 where the price names none."""
    return max(rates.cache_write_1h_nanousd or 0 for rates in _all_rates(price))


def dearest_search_nanousd(price: Price) -> int:
    """The highest rate in nano-USD per million web searches; 0 where the price names none."""
    return max(rates.web_search_nanousd or 0 for rates in _all_rates(price))


def dearest_output_nanousd(price: Price) -> int:
    """The highest rate in nano-USD per million that any output token can cost under this price, whatever its kind, tier or mode."""
    return max(rate for rates in _all_rates(price) for rate in (rates.output_nanousd, rates.reasoning_nanousd, rates.audio_output_nanousd) if rate is not None)


def quote_nanousd(price: Price, *, input_tokens: int, output_tokens: int, web_searches: int = 0) -> int:
    """Upper bound in nano-USD of a call of at most this many tokens and searches, rounded up."""
    total = input_tokens * max(dearest_input_nanousd(price), dearest_hour_nanousd(price)) + output_tokens * dearest_output_nanousd(price)
    total += web_searches * dearest_search_nanousd(price)
    return -(-total // TOKENS_PER_RATE) + price.request_nanousd


def check_price(price: Price) -> None:
    """Raise ValueError, naming what is wrong, unless every rate is in range, tiers ascend from above zero and modes are known and named once."""
    if not 0 <= price.request_nanousd <= MOST_NANOUSD:
        raise ValueError("The fee per request is out of range.")
    names = [mode.name for mode in price.modes]
    if len(set(names)) < len(names) or not set(names) <= set(MODES):
        raise ValueError(f"A mode is one of {', '.join(MODES)}, each named once.")
    for tiers in (price.tiers, *(mode.tiers for mode in price.modes)):
        reached = 0
        for tier in tiers:
            if tier.above_input_tokens <= reached:
                raise ValueError("Tiers must ascend by above_input_tokens, the first above zero.")
            reached = tier.above_input_tokens
    for rates in _all_rates(price):
        for name in RATE_NAMES:
            rate = getattr(rates, name)
            if rate is not None and not 0 <= rate <= MOST_RATE_NANOUSD:
                raise ValueError(f"{name} is out of range.")


def to_nanousd(usd: Decimal) -> int:
    """An amount in USD as nano-USD, rounded half up. Raises ValueError unless it is finite, not negative and storable."""
    if not usd.is_finite() or usd < 0 or usd > MOST_NANOUSD // NANOUSD_PER_USD:
        raise ValueError("An amount must be a finite number of USD, zero or more.")
    return int((usd * NANOUSD_PER_USD).to_integral_value(rounding=ROUND_HALF_UP))


def to_usd(nanousd: int) -> Decimal:
    """An amount in nano-USD as an exact number of USD, for showing only."""
    return Decimal(nanousd).scaleb(-9)


def plain_usd(amount_nanousd: int) -> str:
    """Return an amount in nano-USD as a decimal number of USD without needless zeros, for forms and files."""
    return f"{to_usd(amount_nanousd).normalize():f}"


def shown_usd(amount_nanousd: int) -> str:
    """Return an amount in nano-USD for people: dollars and cents, six places below a dollar."""
    sign, (whole, rest) = "-" if amount_nanousd < 0 else "", divmod(abs(int(amount_nanousd)), NANOUSD_PER_USD)
    return f"{sign}${whole:,}.{rest // 10_000_000:02d}" if whole or not rest else f"{sign}$0.{rest // 1000:06d}"
