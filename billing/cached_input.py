"""What cached input saved against the plain input price, in nano-USD rounded half up per call. Knows prices, no usage rows."""

from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from billing.models import Price
from billing.money import HALF_RATE, MOST_NANOUSD, TOKENS_PER_RATE, Rates
from billing.prices import as_terms


class Saving(NamedTuple):
    """What a million cached tokens save in nano-USD, in calls of a price with more than `above` and at most `most` input tokens."""

    price: UUID
    above: int
    most: int
    nanousd: int


class Savings:
    """Remembers the prices it has read."""

    def __init__(self) -> None:
        self._rates: dict[UUID, tuple[Rates, ...]] = {}

    def of(self, price: UUID | None, cached_tokens: int, input_tokens: int) -> int:
        """Return the saving of one call or attempt in nano-USD; nothing is known without its price."""
        if not cached_tokens or price is None:
            return 0
        return (cached_tokens * self._per_million(price, input_tokens) + HALF_RATE) // TOKENS_PER_RATE

    def by_tier(self, price: UUID) -> list[Saving]:
        """Return the price's savings by how many input tokens a call has, without those that are nothing."""
        bounds = sorted({-1, MOST_NANOUSD, *(rates.above_input_tokens for rates in self._tiers(price)[1:])})
        spans = [(above, most) for above, most in pairwise(bounds) if most > above]
        found = [Saving(price, above, most, self._per_million(price, above + 1)) for above, most in spans]
        return [saving for saving in found if saving.nanousd]

    def _per_million(self, price: UUID, input_tokens: int) -> int:
        chosen: Rates | None = None
        for rates in self._tiers(price):
            if chosen is None or input_tokens > rates.above_input_tokens:
                chosen = rates
        return chosen.input_nanousd - chosen.cached_nanousd if chosen is not None and chosen.cached_nanousd is not None else 0

    def _tiers(self, price: UUID) -> tuple[Rates, ...]:
        if price not in self._rates:
            row = Price.objects.filter(pk=price).first()
            terms = as_terms(row) if row else None
            self._rates[price] = (terms.rates, *terms.tiers) if terms else ()
        return self._rates[price]
