"""Usage rows for the tests of reports."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from accounts.models import BusinessUnit, Project, User, VirtualKey
from billing.models import UsageRecord

NOON = datetime(2026, 10, 5, 12, 30, tzinfo=UTC)  # a Monday
MILLION = 1_000_000


def project(name: str = "Search", unit: str = "Retail", code: str = "CC-1") -> Project:
    """A project in a business unit, made where missing."""
    home, _ = BusinessUnit.objects.get_or_create(name=unit, parent=None, defaults={"code": code})
    return Project.objects.get_or_create(name=name, business_unit=home)[0]


def key(of: Project, public_id: str = "abcdefghij", name: str = "Shop") -> VirtualKey:
    """A virtual key of a project."""
    return VirtualKey.objects.create(public_id=public_id, name=name, project=of, digest=b"d" * 32, expires_at=datetime(2030, 1, 1, tzinfo=UTC))


def finance() -> User:
    """Somebody who closes months."""
    return User.objects.create_user("fay@example.com", role="finance")


def usage(call_id: str, of: Project, at: datetime = NOON, **changes: Any) -> UsageRecord:
    """An unsaved usage row of 1200 tokens in, 300 out, costing 0.002 USD."""
    fields: dict[str, Any] = dict(
        call_id=call_id, started_at=at, duration_ms=800, first_byte_ms=100, gateway_us=300, key="abcdefghij", project=of.pk,
        business_unit=of.business_unit_id, model="gpt-5", deployment="openai-eu/gpt-5", account="openai-eu", provider="openai",
        upstream_model="gpt-5-2025-08-07", endpoint="chat.completions", status=200, outcome="ok", usage_source="provider", input_tokens=1200,
        cached_tokens=1000, output_tokens=300, reasoning_tokens=100, cost_nanousd=2 * MILLION,
    )  # fmt: skip
    return UsageRecord(**{**fields, **changes})


def record(*rows: UsageRecord) -> None:
    """Save usage rows as intake does."""
    UsageRecord.objects.bulk_create(rows)


def days_of(of: Project, costs: Sequence[int], first: datetime = NOON, **changes: Any) -> list[UsageRecord]:
    """One call a day with these costs in nano-USD."""
    prefix = changes.pop("prefix", "day")
    return [usage(f"{prefix}_{of.name}_{n}", of, first + timedelta(days=n), cost_nanousd=cost, **changes) for n, cost in enumerate(costs)]
