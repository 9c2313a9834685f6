"""Lists in pages, newest first: a cursor names the last row seen, so that nothing is skipped or shown twice while rows are added."""

import base64
import binascii
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q, QuerySet
from rest_framework import exceptions

from accounts.api.fields import moment

DEFAULT_LIMIT, MOST_LIMIT = 50, 200


def page(rows: QuerySet[Any], ordered_by: str, limit: str | None, cursor: str | None) -> tuple[list[Any], str | None]:
    """Return one page by falling `ordered_by` (a moment), then id, and the cursor of the next page; raises ValidationError."""
    count = count_of(limit)
    if cursor:
        at, last = _opened(cursor, rows.model._meta.pk)
        rows = rows.filter(**{f"{ordered_by}__lte": at}).filter(Q(**{f"{ordered_by}__lt": at}) | Q(pk__lt=last))
    found = list(rows.order_by(f"-{ordered_by}", "-pk")[: count + 1])
    following = _closed(getattr(found[count - 1], ordered_by), found[count - 1].pk) if len(found) > count else None
    return found[:count], following


def count_of(limit: str | None) -> int:
    """Return how many rows a page shall have; raises ValidationError."""
    if limit is None:
        return DEFAULT_LIMIT
    if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:9]) <= MOST_LIMIT):
        raise exceptions.ValidationError({"limit": f"Write a number from 1 to {MOST_LIMIT}."})
    return int(limit)


def _closed(at: datetime, last: Any) -> str:
    text = json.dumps([at.astimezone(UTC).isoformat(), last.hex if isinstance(last, uuid.UUID) else last])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _opened(cursor: str, pk: Any) -> tuple[datetime, Any]:
    try:
        at, last = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
        return moment(at), pk.to_python(last) if _fits(pk, last) else _raise()
    except (ValueError, TypeError, binascii.Error, RecursionError, exceptions.ValidationError):
        raise exceptions.ValidationError({"cursor": "Send back next_cursor of the page before, unchanged, or no cursor."}) from None


def _fits(pk: Any, last: Any) -> bool:
    if pk.get_internal_type() == "UUIDField":
        return isinstance(last, str) and bool(uuid.UUID(last))
    if pk.get_internal_type() == "CharField":
        return isinstance(last, str) and last.isascii() and last.replace("_", "").isalnum()
    return isinstance(last, int) and 0 <= last < 2**63


def _raise() -> Any:
    raise ValueError("an id of another table")
