"""Lines of CSV that no spreadsheet runs."""

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

# a spreadsheet takes a cell that begins so for a formula
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cell(value: Any) -> str:
    """Return a value as the text of a cell: moments in ISO form, nothing for None, lists and objects as JSON."""
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    text = value.isoformat() if hasattr(value, "isoformat") else "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def line(values: Iterable[Any]) -> str:
    """Return one line of CSV."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([cell(value) for value in values])
    return out.getvalue()
