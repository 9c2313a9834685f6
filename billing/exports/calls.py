"""Calls, one a line, oldest first: what was asked by whom, and what it cost in USD, exact. No bodies."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from accounts.access import Actor
from billing.access import visible_calls
from billing.exports import Exporter
from billing.models import UsageRecord
from billing.money import to_usd
from billing.reports.periods import Period
from billing.statements.table import text

PLAIN = (
    "model", "provider", "account", "deployment", "upstream_model", "endpoint", "stream", "status", "outcome", "error_code", "input_tokens",
    "cached_tokens", "output_tokens", "reasoning_tokens", "web_searches", "usage_source", "flags", "duration_ms", "first_byte_ms", "end_user", "session",
    "tags", "client_request_id",
)  # fmt: skip
COLUMNS = ("id", "started_at", "key", "project", "business_unit", "person", "cost_usd", *PLAIN)


def lines(actor: Actor, period: Period, project: UUID | None, form: str) -> Iterator[str]:
    """Yield the file."""
    rows = visible_calls(actor).filter(started_at__gte=period.starts_at, started_at__lt=period.ends_at)
    if project is not None:
        rows = rows.filter(project=project)
    if form == "csv":
        yield _csv(COLUMNS)
    for row in rows.order_by("started_at", "id").iterator(chunk_size=2000):
        cells = _cells(row)
        yield json.dumps(cells, default=str) + "\n" if form == "jsonl" else _csv(_defused(cells[name]) for name in COLUMNS)


def _cells(row: UsageRecord) -> dict[str, Any]:
    return {
        "id": row.call_id,
        "started_at": _moment(row.started_at),
        "key": f"key_{row.key}",
        "project": _prefixed("prj_", row.project),
        "business_unit": _prefixed("bu_", row.business_unit),
        "person": _prefixed("usr_", row.person),
        "cost_usd": f"{to_usd(row.cost_nanousd):f}",
        **{name: getattr(row, name) for name in PLAIN},
    }


def _prefixed(prefix: str, number: UUID | None) -> str | None:
    return prefix + number.hex if number else None


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _defused(cell: Any) -> Any:
    return "" if cell is None else text(cell) if isinstance(cell, str) else f"{cell:f}" if isinstance(cell, Decimal) else cell


def _csv(cells: Any) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


EXPORTER = Exporter(slug="calls", title="Calls", formats=("csv", "jsonl"), route="GET calls", lines=lines)
