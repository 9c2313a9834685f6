"""Takes other vendors' sealed reasoning out of a chat request that else passes unchanged: the vendor would not believe it, and many refuse such fields."""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from gateway.wire import given as read
from gateway.wire import signatures
from gateway.wire.openai_chat.turns import REASONING_FIELDS

_SEALED_IN = ("signature", "data")


def without_foreign(fields: Mapping[str, msgspec.Raw]) -> Mapping[str, bytes | None]:
    """Return the fields to change; none where nothing sealed is there. Raises WireError."""
    messages = read.value("messages", fields["messages"]) if "messages" in fields else None
    found = [_clean(message) for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []
    return {"messages": orjson.dumps(messages)} if any(found) else {}


def _clean(message: dict[str, Any]) -> bool:
    details, calls = message.get("reasoning_details"), message.get("tool_calls")
    kept = [detail for detail in details if not _is_sealed(detail, *_SEALED_IN)] if isinstance(details, list) else []
    has_foreign = isinstance(details, list) and len(kept) < len(details)
    if has_foreign and kept:
        message["reasoning_details"] = kept
    elif has_foreign:
        del message["reasoning_details"]
    unsigned = [_unsign(call) for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    if not has_foreign and not any(unsigned):
        return False
    for name in REASONING_FIELDS:  # the same thoughts once more, in plain words
        message.pop(name, None)
    return True


def _unsign(call: dict[str, Any]) -> bool:
    """Take a foreign signature off a tool call, with what held nothing else; return whether there was one."""
    extra = call.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    if not isinstance(extra, dict) or not isinstance(google, dict) or not _is_sealed(google, "thought_signature"):
        return False
    del google["thought_signature"]
    if not google:
        del extra["google"]
    if not extra:
        del call["extra_content"]
    return True


def _is_sealed(holder: object, *names: str) -> bool:
    held = [holder.get(name) for name in names] if isinstance(holder, dict) else []
    return any(isinstance(one, str) and signatures.unseal(one)[0] for one in held)
