"""Azure's cost export (CSV, actual cost): the meters of Azure OpenAI. Other services in the file are passed over."""

import re
from typing import Any

from billing.vendor_usage import cells
from billing.vendor_usage.cells import Counted

TITLE = "Azure cost export"
PROVIDER = "azure"
UNITS = {"1K": 1_000, "1M": 1_000_000, "1": 1}
# "gpt-4o 0806 cached Inp glbl Tokens": the model stands before the first of these words.
AFTER_MODEL = re.compile(r"[\s-]+(cached|cchd|batch|inp|input|outp|out|output|opt|inpt|glbl|regnl|regional|global|dzone|data|tokens?)\b.*", re.IGNORECASE)
OUTPUT = re.compile(r"\b(outp|out|output|opt)\b", re.IGNORECASE)


def read(row: dict[str, Any]) -> Counted | None:
    """Return what a row counts, or None for another service."""
    meter = f"{row.get('metercategory', '')} {row.get('metersubcategory', '')}".lower()
    if "openai" not in meter:
        return None
    day = cells.day(row, "date", "usagedate", "usagedatetime", form="%m/%d/%Y")
    name = cells.model(row, "metername")
    cost = cells.nanousd(row, "costinusd")
    if cost is None:
        cells.only_usd(row, "billingcurrencycode" if row.get("billingcurrencycode") else "billingcurrency")
        cost = cells.nanousd(row, "costinbillingcurrency", "cost", "pretaxcost")
    model = AFTER_MODEL.sub("", name).strip().replace(" ", "-")
    counted = _tokens(row, name)
    if counted is None:
        return None if cost is None else Counted(day, model, None, None, cost)
    return Counted(day, model, *((0, counted) if OUTPUT.search(name) else (counted, 0)), cost)


def _tokens(row: dict[str, Any], name: str) -> int | None:
    unit = UNITS.get(str(row.get("unitofmeasure", "")).split(" ")[0].upper())
    if unit is None or "token" not in name.lower() or row.get("quantity") in (None, ""):
        return None
    quantity = cells.number(row, "quantity") * unit
    return cells.tokens({**row, "quantity": quantity.to_integral_value()}, "quantity")
