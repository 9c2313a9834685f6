"""The trail as a file: JSON lines that prove themselves, or CSV for people. Streams; knows no request."""

import json
from collections.abc import Iterable, Iterator

from accounts.audit.record import facts_of
from accounts.cells import line
from accounts.models import AuditEvent

COLUMNS = (
    "seq", "at", "action", "outcome", "actor_kind", "actor_id", "actor", "on_behalf_of", "face", "ip", "agent", "object_kind", "object_id", "object",
    "business_unit", "project", "transaction", "request_id", "reason", "changes", "hash",
)  # fmt: skip


def as_jsonl(events: Iterable[AuditEvent]) -> Iterator[str]:
    """Yield one event a line: its sealed facts, its texts with their salts, and its place in the chain, so that a copy can be verified with the audit key."""
    for event in events:
        told = {**facts_of(event), "texts": event.texts, "previous": event.previous, "hash": event.hash}
        yield json.dumps(told, sort_keys=True, ensure_ascii=False) + "\n"


def as_csv(events: Iterable[AuditEvent]) -> Iterator[str]:
    """Yield a heading and one line an event; texts are plain, erased ones empty, and no cell begins a formula."""
    yield line(COLUMNS)
    for event in events:
        texts = {name: held["value"] for name, held in event.texts.items() if held is not None}
        yield line([texts.get(name, getattr(event, name, "")) for name in COLUMNS])


FORMATS = {"jsonl": (as_jsonl, "application/jsonl"), "csv": (as_csv, "text/csv")}
