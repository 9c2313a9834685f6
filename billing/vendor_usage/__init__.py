"""SHELF of vendors' usage and cost exports. A member states TITLE, PROVIDER and `read(table)`; reading a new vendor's files takes one file here."""

import csv
import importlib
import io
import json
import pkgutil
from collections.abc import Iterator
from decimal import Decimal
from types import ModuleType
from typing import Any

from billing.vendor_usage.cells import Counted, Unreadable

MOST_BYTES = 32 * 1024 * 1024
MOST_ROWS = 200_000
ENCODINGS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"", "utf-8-sig"))
PLAIN = ("cells",)


def shelf() -> dict[str, ModuleType]:
    """Return the vendors by name."""
    names = sorted(member.name for member in pkgutil.iter_modules(__path__) if member.name not in PLAIN)
    return {name: importlib.import_module(f"{__name__}.{name}") for name in names}


def read(vendor: str, content: bytes) -> list[Counted]:
    """Return what a vendor's CSV or JSON export counts per day and model; raises Unreadable, naming row and column."""
    reader = _reader(vendor)
    if len(content) > MOST_BYTES:
        raise Unreadable(f"The file is larger than {MOST_BYTES // 1024**2} MiB. Export fewer days at once.")
    encoding = next(name for mark, name in ENCODINGS if content.startswith(mark))
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise Unreadable(f"The file is no {encoding.upper().removesuffix('-SIG')} text: {error.reason} at byte {error.start}.") from error
    if "\0" in text:
        raise Unreadable("The file holds NUL characters, so it is no CSV or JSON text.")
    rows = _json_rows(text) if text.lstrip()[:1] in ("{", "[") else _csv_rows(text)
    totals: dict[tuple[Any, str], Counted] = {}
    for number, row in enumerate(rows, 1):
        if number > MOST_ROWS:
            raise Unreadable(f"The file has more than {MOST_ROWS} rows. Export fewer days at once.")
        counted: Counted | None = reader.read(row)
        if counted is not None:
            key = (counted.day, counted.upstream_model)
            totals[key] = totals[key].plus(counted) if key in totals else counted
    if not totals:
        raise Unreadable("The file holds no usage and no cost.")
    return [totals[key] for key in sorted(totals)]


def _reader(vendor: str) -> ModuleType:
    member = shelf().get(vendor)
    if member is None:
        raise Unreadable(f"No vendor {vendor} is known.")
    return member


def _csv_rows(text: str) -> Iterator[dict[str, Any]]:
    """Rows by column name in small letters; the row number counts the lines of the file."""
    try:
        reader = csv.DictReader(io.StringIO(text), strict=True, delimiter="\t" if "\t" in text.split("\n", 1)[0] else ",")
        for row in reader:
            if None in row:
                raise Unreadable(f"Row {reader.line_num}: there are more cells than columns.")
            yield {"row": f"Row {reader.line_num}", **{name.strip().lower(): (value or "").strip() for name, value in row.items()}}
    except csv.Error as error:
        raise Unreadable(f"The file is no readable CSV: {error}.") from error


def _json_rows(text: str) -> Iterator[dict[str, Any]]:
    """The results of each bucket, flattened with dots, with the bucket's own fields."""
    try:
        page = json.loads(text, parse_float=Decimal, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"The file is no readable JSON: {error}.") from error
    for number, bucket in enumerate(_buckets(page), 1):
        results = bucket.get("results") if isinstance(bucket, dict) else None
        if not isinstance(results, list):
            raise Unreadable(f"Bucket {number}: results is missing.")
        outer = {name: value for name, value in bucket.items() if name != "results"}
        for place, result in enumerate(results, 1):
            if not isinstance(result, dict):
                raise Unreadable(f"Bucket {number}, result {place}: this is no object.")
            yield {"row": f"Bucket {number}, result {place}", **outer, **_flat(result)}


def _buckets(page: Any) -> Iterator[Any]:
    """The buckets of one page or of a list of pages."""
    for one in page if isinstance(page, list) else [page]:
        if not isinstance(one, dict) or not isinstance(one.get("data"), list):
            raise Unreadable("The JSON has no list named data.")
        yield from one["data"]


def _flat(result: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in result.items():
        if isinstance(value, dict):
            flat.update({f"{name}.{inner}": nested for inner, nested in value.items()})
        else:
            flat[name] = value
    return flat


def _refused(word: str) -> None:
    raise ValueError(f"{word} is no number")
