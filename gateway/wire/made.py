"""What an answer says its vendor made for it and keeps: containers, files that code wrote, sound. Knows nothing of whose it is."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import orjson

from gateway.terms import Frozen

MOST_ID_CHARACTERS = 200
LAST_MOMENT_S = 1 << 40


class Made(Frozen, frozen=True):
    """Such a thing, and when its vendor deletes it in Unix seconds, 0 for never or unsaid."""

    kind: str
    object_id: str
    expires_at_s: int = 0


def made(kind: str, told: Any, name: str = "id") -> Iterator[Made]:
    """Yield the thing that an object names in a field, if it does."""
    object_id = told.get(name) if isinstance(told, dict) else None
    if isinstance(object_id, str) and 0 < len(object_id) <= MOST_ID_CHARACTERS:
        yield Made(kind, object_id, moment_s(told.get("expires_at")))


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects of a list; nothing for anything else."""
    for one in value if isinstance(value, list) else ():
        if isinstance(one, dict):
            yield one


def told_in(said: bytes, marks: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the objects of a body or of a stream's event, if one of the marks stands in it at all."""
    if not any(mark in said for mark in marks):
        return
    texts = [said] if said.lstrip()[:1] == b"{" else [line[5:] for line in said.splitlines() if line.startswith(b"data:")]
    for text in texts:
        try:
            told = orjson.loads(text)
        except orjson.JSONDecodeError:
            continue
        if isinstance(told, dict):
            yield told


def moment_s(told: Any) -> int:
    """Return a moment that a vendor tells, as a number or as a text, in Unix seconds; 0 for none."""
    if isinstance(told, int) and not isinstance(told, bool):
        return told if 0 < told < LAST_MOMENT_S else 0
    try:
        return max(0, int(datetime.fromisoformat(told).timestamp())) if isinstance(told, str) else 0
    except (ValueError, OverflowError):
        return 0
