"""Anthropic's usage and cost: the CSV exports of the console and the JSON of the usage and cost reports."""

from typing import Any

from billing.vendor_usage import cells
from billing.vendor_usage.cells import Counted

TITLE = "Anthropic usage or cost"
PROVIDER = "anthropic"
# Anthropic counts cached input apart from plain input; here input is all of it.
INPUT = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_creation.ephemeral_1h_input_tokens",
    "cache_creation.ephemeral_5m_input_tokens",
    "usage_input_tokens_no_cache",
    "usage_input_tokens_cache_write_5m",
    "usage_input_tokens_cache_write_1h",
    "usage_input_tokens_cache_read",
)


def read(row: dict[str, Any]) -> Counted | None:
    """Return what a row counts; the API states amounts in cents, the console's file in dollars."""
    cells.only_usd(row, "currency")
    day = cells.day(row, "starting_at", "usage_date_utc")
    input_tokens = cells.tokens(row, *INPUT)
    output_tokens = cells.tokens(row, "output_tokens", "usage_output_tokens")
    cost = cells.nanousd(row, "cost_usd")
    if cost is None:
        cost = cells.nanousd(row, "amount", per_usd=100)
    model = cells.model(row, "model", "model_version")
    return None if input_tokens is output_tokens is cost is None else Counted(day, model, input_tokens, output_tokens, cost)
