"""Cells of vendors' exports as checked values. Every refusal names row and column."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

MOST_TOKENS = 10**15
MOST_USD = 10**8
MOST_MODEL_CHARACTERS = 200
EARLIEST, LATEST = date(2020, 1, 1), date(2100, 1, 1)
LARGEST_EXPONENT = 30


class Unreadable(ValueError):
    """The file cannot be taken in; the message says where and why."""


@dataclass(frozen=True)
class Counted:
    """What a vendor counted for a model on a day (UTC): tokens, None if the file has none, and cost in nano-USD likewise."""

    day: date
    upstream_model: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nanousd: int | None = None

    def plus(self, other: "Counted") -> "Counted":
        """Return both together."""
        return Counted(
            self.day,
            self.upstream_model,
            _sum(self.input_tokens, other.input_tokens),
            _sum(self.output_tokens, other.output_tokens),
            _sum(self.cost_nanousd, other.cost_nanousd),
        )


def day(row: dict[str, Any], *columns: str, form: str = "") -> date:
    """Return the day of the first of these columns there is: ISO 8601, Unix seconds, or `form`."""
    column, value = _first(row, columns)
    try:
        if str(value).isascii() and str(value).isdecimal():
            found = datetime.fromtimestamp(int(value), UTC).date()
        elif form and "/" in str(value):
            found = datetime.strptime(str(value), form).date()  # noqa: DTZ007 (only the day is kept)
        else:
            moment = datetime.fromisoformat(str(value))
            found = moment.astimezone(UTC).date() if moment.tzinfo else moment.date()
    except (ValueError, OverflowError, OSError) as error:
        raise Unreadable(f"{row['row']}, column {column}: {str(value)[:50]!r} is no day.") from error
    if not EARLIEST <= found < LATEST:
        raise Unreadable(f"{row['row']}, column {column}: {found} is not between {EARLIEST} and {LATEST}.")
    return found


def tokens(row: dict[str, Any], *columns: str) -> int | None:
    """Return the sum of these columns as whole tokens, None if none of them is there."""
    present = [column for column in columns if row.get(column) not in (None, "")]
    return sum(_tokens(row, column) for column in present) if present else None


def nanousd(row: dict[str, Any], *columns: str, per_usd: int = 1) -> int | None:
    """Return the first of these columns as nano-USD rounded half up, None if there is none; `per_usd` is 100 for cents."""
    present = [column for column in columns if row.get(column) not in (None, "")]
    if not present:
        return None
    amount = number(row, present[0]) / per_usd
    if abs(amount) > MOST_USD:
        raise Unreadable(f"{row['row']}, column {present[0]}: {amount} USD is too much to be true.")
    return int((amount * 1_000_000_000).to_integral_value(rounding=ROUND_HALF_UP))


def number(row: dict[str, Any], column: str) -> Decimal:
    """Return a finite decimal number."""
    value = row[column]
    try:
        found = Decimal(str(value)) if not isinstance(value, bool) else Decimal("NaN")
    except InvalidOperation:
        found = Decimal("NaN")
    if not found.is_finite() or abs(found.adjusted()) > LARGEST_EXPONENT:
        raise Unreadable(f"{row['row']}, column {column}: {str(value)[:50]!r} is no number.")
    return found


def model(row: dict[str, Any], *columns: str) -> str:
    """Return the first of these columns as a model's name, empty if none is there; control characters are dropped."""
    value = next((str(row[column]) for column in columns if row.get(column)), "")
    plain = "".join(character for character in value if character.isprintable())
    if len(plain) > MOST_MODEL_CHARACTERS:
        raise Unreadable(f"{row['row']}, column {columns[0]}: the name is longer than {MOST_MODEL_CHARACTERS} characters.")
    return plain


def only_usd(row: dict[str, Any], column: str) -> None:
    """Raise Unreadable unless the currency is missing or US dollars."""
    currency = str(row.get(column) or "usd").lower()
    if currency != "usd":
        raise Unreadable(f"{row['row']}, column {column}: only amounts in USD can be compared, not in {currency[:10]!r}.")


def _tokens(row: dict[str, Any], column: str) -> int:
    found = number(row, column)
    if found < 0 or found > MOST_TOKENS or found != found.to_integral_value():
        raise Unreadable(f"{row['row']}, column {column}: {str(row[column])[:50]!r} is no number of tokens.")
    return int(found)


def _first(row: dict[str, Any], columns: tuple[str, ...]) -> tuple[str, Any]:
    for column in columns:
        if row.get(column) not in (None, ""):
            return column, row[column]
    raise Unreadable(f"{row['row']}: there is no column {' or '.join(columns)}.")


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other
