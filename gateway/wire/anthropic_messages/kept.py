"""What Anthropic keeps for an account. Paths: https://docs.claude.com/en/api."""

from collections.abc import Mapping
from typing import Any

from gateway.wire.kept import Collection
from gateway.wire.references import has_other

_PLAIN = frozenset({"text", "tool_use", "thinking", "redacted_thinking"})

COLLECTIONS = (
    Collection(path="files", kind="file", cursor="after_id", is_free=True),
    Collection(path="messages/batches", kind="message_batch", cursor="after_id"),
    Collection(path="skills", kind="skill", cursor="page", next_page="next_page", is_free=True),
)


def may_name(parsed: Mapping[str, Any]) -> bool:
    """Return whether a request may name any of it: files stand among the blocks of messages, skills in the container."""
    return "container" in parsed or has_other(parsed.get("messages"), _PLAIN)
