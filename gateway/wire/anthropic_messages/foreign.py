"""Takes other vendors' sealed reasoning out of a request that else passes unchanged: the vendor would not believe it and refuse the whole conversation."""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from gateway.wire import given as read
from gateway.wire import signatures
from gateway.wire.anthropic_messages.blocks import WIRE_NAME

_SIGNED = {"thinking": "signature", "redacted_thinking": "data"}


def without_foreign(fields: Mapping[str, msgspec.Raw]) -> Mapping[str, bytes | None]:
    """Return the fields to change; none where nothing sealed is there. Raises WireError."""
    if "messages" not in fields:
        return {}
    messages = read.value("messages", fields["messages"])
    found = [_clean(message) for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []
    return {"messages": orjson.dumps([message for message in messages if message.get("content") != []])} if any(found) else {}


def _clean(message: dict[str, Any]) -> bool:
    content = message.get("content")
    if not isinstance(content, list):
        return False
    sealed = [block for block in content if isinstance(block, dict) and _maker(block)]
    message["content"] = [block for block in content if block not in sealed or _maker(block) == WIRE_NAME]
    for block in sealed:
        name = _SIGNED[block["type"]]
        block[name] = signatures.unseal(block[name])[1]
    return bool(sealed)


def _maker(block: dict[str, Any]) -> str:
    """Return the wire whose vendor made a sealed block, "" for any other."""
    sealed = block.get(_SIGNED.get(str(block.get("type")), ""))
    return signatures.unseal(sealed)[0] if isinstance(sealed, str) else ""
