"""Usage records as intake leaves them, many at a time, for the tests of storage."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from billing.models import UsageRecord
from tests.billing.receipts import PRICE, PROJECT, UNIT

JANUARY = datetime(2025, 1, 1, tzinfo=UTC)


def call_id(moment: datetime, number: int = 0) -> str:
    """The id of a call that began at a moment."""
    return f"call_{int(moment.timestamp() * 1000):011x}{number:016x}"


def add_calls(start: datetime, count: int, *, step: timedelta = timedelta(hours=1), **changes: Any) -> list[UsageRecord]:
    """Record calls from a moment on, `step` apart, each dearer than the one before by a nano-USD."""
    moments = [start + step * number for number in range(count)]
    fields: dict[str, Any] = dict(
        duration_ms=812, key="abcdefghij", project=UUID(PROJECT), business_unit=UUID(UNIT), model="gpt-5", deployment="gpt-5@openai-eu",
        account="openai-eu", provider="openai", upstream_model="gpt-5-2025-08-07", endpoint="chat.completions", stream=True, status=200,
        outcome="ok", usage_source="provider", input_tokens=1200, cached_tokens=1000, output_tokens=300, price=UUID(PRICE),
        attempts=[["gpt-5@openai-eu", "openai-eu", "ok", 200, 812]], end_user="ü\\\"\n", tags="team=a", ip="10.0.0.1", windows="b1:2025-01 b2:total",
    )  # fmt: skip
    return UsageRecord.objects.bulk_create(
        [
            UsageRecord(**{"call_id": call_id(at, number), "started_at": at, "cost_nanousd": 1000 + number, **fields, **changes})
            for number, at in enumerate(moments)
        ]
    )
