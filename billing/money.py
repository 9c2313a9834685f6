"""Money as integer nano-USD and the one place where it is rounded. No Django, no floats."""

import msgspec

NANOUSD_PER_USD = 1_000_000_000
TOKENS_PER_RATE = 1_000_000


class Rates(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Price of one million tokens of each kind, in nano-USD. A kind that is None is billed as its parent kind."""

    input_nanousd: int
    output_nanousd: int
    cached_nanousd: int | None = None
    cache_write_nanousd: int | None = None
    audio_input_nanousd: int | None = None
    audio_output_nanousd: int | None = None
    reasoning_nanousd: int | None = None
    above_input_tokens: int = 0


class Price(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A price row: base rates, tiers (ascending by `above_input_tokens`; the tier reached re-prices every token) and a fee per request."""

    id: str
    rates: Rates
    tiers: tuple[Rates, ...] = ()
    request_nanousd: int = 0
