"""What every format of a statement shows: columns, cells and totals. Knows no format."""

from collections.abc import Iterator
from decimal import Decimal

from billing.models import Statement, StatementLine
from billing.money import to_usd

COLUMNS = (
    "Month",
    "Late",
    "Business unit",
    "Chargeback code",
    "Project",
    "Key",
    "Key id",
    "Model",
    "Provider",
    "Calls",
    "Input tokens",
    "Output tokens",
    "Cost (USD)",
)
# A spreadsheet takes a cell that begins so for a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

Cell = str | int | Decimal


def text(value: str) -> str:
    """Return a text that no spreadsheet runs: without control characters, and quoted if it would be a formula."""
    plain = "".join(character for character in value if character >= " " or character == "\t")
    return f"'{plain}" if plain.startswith(FORMULA_STARTS) else plain


def rows(statement: Statement) -> Iterator[tuple[Cell, ...]]:
    """Yield a row per stored line, in order; costs in USD, exact."""
    for line in statement.lines.order_by("position").iterator(chunk_size=1000):
        yield row_of(statement, line)


def row_of(statement: Statement, line: StatementLine) -> tuple[Cell, ...]:
    """Return a line's cells in the order of COLUMNS."""
    return (
        f"{line.month:%Y-%m}",
        "late" if line.is_late else "",
        text(statement.unit_name),
        text(statement.chargeback_code),
        text(line.project_name or str(line.project or "")),
        text(line.key_name),
        text(line.key),
        text(line.model),
        text(line.provider),
        line.calls,
        line.input_tokens,
        line.output_tokens,
        to_usd(line.cost_nanousd),
    )


def total(statement: Statement) -> tuple[Cell, ...]:
    """Return the last row: calls and cost in all."""
    return ("Total", *[""] * 8, statement.calls, "", "", to_usd(statement.total_nanousd))


def file_name(statement: Statement, extension: str) -> str:
    """Return a name such as `statement-2026-10-CC-1-3.pdf`."""
    code = "".join(c if c.isascii() and c.isalnum() else "-" for c in statement.chargeback_code or statement.unit_name)
    return f"statement-{statement.month:%Y-%m}-{code}-{statement.number}.{extension}"
