"""The price book: what models cost from when on, who approved it, and how it follows genai-prices. Knows nothing of accounts or calls."""

from billing.prices.book import Book, as_terms, current, holds_at, names, next_start
from billing.prices.importing import Difference, add_differences, differences, seed_prices
from billing.prices.vendors import published

__all__ = ["Book", "Difference", "add_differences", "as_terms", "current", "differences", "holds_at", "names", "next_start", "published", "seed_prices"]
