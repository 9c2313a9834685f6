"""Takes what other vendors sealed out of a Responses request that passes unchanged: OpenAI refuses encrypted reasoning it did not make."""

from collections.abc import Mapping

import msgspec
import orjson

from gateway.wire import given as read
from gateway.wire import signatures


def without_foreign(fields: Mapping[str, msgspec.Raw]) -> Mapping[str, bytes | None]:
    """Return the fields to change; none where nothing sealed is there. Raises WireError."""
    items = read.value("input", fields["input"]) if "input" in fields else None
    if not isinstance(items, list):
        return {}
    own = [item for item in items if not _is_foreign(item)]
    return {"input": orjson.dumps(own)} if len(own) < len(items) else {}


def _is_foreign(item: object) -> bool:
    sealed = item.get("encrypted_content") if isinstance(item, dict) and item.get("type") == "reasoning" else None
    return isinstance(sealed, str) and bool(signatures.unseal(sealed)[0])
