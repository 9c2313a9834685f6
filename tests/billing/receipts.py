"""Receipts, intents and journals for the tests of billing."""

import os
from pathlib import Path
from typing import Any

from billing.receipts import Attempted, Intent, Record, Settle, encode
from billing.segments import IDENTITY_BYTES, MAGIC, segment_path

PROJECT = "0198c0de-0000-7000-8000-000000000001"
UNIT = "0198c0de-0000-7000-8000-000000000002"
PRICE = "0198c0de-0000-7000-8000-000000000003"
STARTED_AT_MS = 1_760_000_000_000


def settle(call_id: str = "call_1", **changes: Any) -> Settle:
    """A receipt of 1200 tokens in, 300 out, costing 123456 nano-USD."""
    fields: dict[str, Any] = dict(
        call_id=call_id, started_at_ms=STARTED_AT_MS, duration_ms=812, first_byte_ms=120, gateway_us=300, key="abcdefghij", project=PROJECT,
        business_unit=UNIT, model="gpt-5", deployment="gpt-5@openai-eu", account="openai-eu", provider="openai",
        upstream_model="gpt-5-2025-08-07",
        endpoint="chat.completions", stream=True, status=200, outcome="ok", error_code="", usage_source="provider",
        flags="", input_tokens=1200,
        cached_tokens=1000, cache_write_tokens=0, audio_input_tokens=0, output_tokens=300, reasoning_tokens=100,
        audio_output_tokens=0, price=PRICE,
        cost_nanousd=123_456, quote_nanousd=999_999, attempts=(Attempted("gpt-5@openai-eu", "openai-eu", "ok", 200,
        812),), end_user="user-1",
        session="s-1", tags="team=a", ip="10.0.0.1", user_agent="openai-python/3", client_request_id="r-1",
    )  # fmt: skip
    return Settle(**{**fields, **changes})


def intent(call_id: str = "call_1", **changes: Any) -> Intent:
    """An intent whose input alone costs 5000 nano-USD."""
    fields: dict[str, Any] = dict(
        call_id=call_id, started_at_ms=STARTED_AT_MS, key="abcdefghij", project=PROJECT, business_unit=UNIT, model="gpt-5",
        deployment="gpt-5@openai-eu", account="openai-eu", provider="openai", upstream_model="gpt-5-2025-08-07",
        endpoint="chat.completions",
        stream=True, price=PRICE, input_tokens=40, input_nanousd=5_000, quote_nanousd=999_999,
    )  # fmt: skip
    return Intent(**{**fields, **changes})


def write_segment(directory: Path, *records: Record | bytes, worker: str = "w0", number: int = 1) -> Path:
    """Write a segment as a dead worker leaves it; bytes are written as they are."""
    path = segment_path(directory / worker, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(MAGIC + os.urandom(IDENTITY_BYTES) + b"".join(r if isinstance(r, bytes) else encode(r) for r in records))
    return path
