"""A statement as CSV, UTF-8 with CRLF; its bytes are what the content hash is made of."""

import csv
import hashlib
import io
from collections.abc import Iterable

from billing.models import Statement
from billing.statements.table import COLUMNS, Cell, rows, total


def render(statement: Statement) -> bytes:
    """Return the statement as a CSV file."""
    return written([*rows(statement), total(statement)])


def written(lines: Iterable[tuple[Cell, ...]]) -> bytes:
    """Return the header and these rows as CSV."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([f"{cell:f}" if not isinstance(cell, str | int) else cell for cell in line] for line in lines)
    return out.getvalue().encode()


def content_hash(lines: Iterable[tuple[Cell, ...]]) -> str:
    """Return the SHA-256 of these rows as CSV, in hexadecimal."""
    return hashlib.sha256(written(lines)).hexdigest()
