"""OpenAI's usage and costs: the CSV exports of the dashboard and the JSON of the organization API."""

from typing import Any

from billing.vendor_usage import cells
from billing.vendor_usage.cells import Counted

TITLE = "OpenAI usage or costs"
PROVIDER = "openai"


def read(row: dict[str, Any]) -> Counted | None:
    """Return what a row counts; a cost's line item names the model before its first comma."""
    cells.only_usd(row, "amount_currency")
    cells.only_usd(row, "amount.currency")
    day = cells.day(row, "start_time", "start_time_iso", "date")
    model = cells.model(row, "model", "line_item").split(",", 1)[0].strip()
    input_tokens = cells.tokens(row, "input_tokens")
    output_tokens = cells.tokens(row, "output_tokens")
    cost = cells.nanousd(row, "amount_value", "amount.value", "amount")
    return None if input_tokens is output_tokens is cost is None else Counted(day, model, input_tokens, output_tokens, cost)
