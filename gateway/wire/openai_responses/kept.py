"""Where a Responses request names what its vendor keeps: its conversation, files among parts, stores and containers among tools.

Its answers tell of containers made for it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.wire.made import Made, objects, told_in
from gateway.wire.made import made as made_of
from gateway.wire.references import all_plain, has_other

_PLAIN = frozenset({"input_text", "output_text", "refusal", "summary_text", "reasoning_text"})
_TOOLS = frozenset({"function", "custom", "web_search"})
# kinds of items that name nothing; those without one are messages
_ITEMS = frozenset({None, "message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output", "reasoning", "item_reference"})


def may_name(parsed: Mapping[str, Any]) -> bool:
    """Return whether a request may name any of it."""
    if parsed.get("conversation") is not None:
        return True
    tools, given = parsed.get("tools"), parsed.get("input")
    if tools is not None and (type(tools) is not list or not all_plain(tools, _TOOLS)):
        return True
    if type(given) is not list:
        return False
    if not all_plain(given, _ITEMS):
        return True
    return has_other(given, _PLAIN) or has_other(given, _PLAIN, "output")


def made(said: bytes) -> Iterator[Made]:
    """Yield what an answer or an event says was made: the containers that code ran in. What an answer repeats of its request is the caller's own word."""
    for told in told_in(said, (b'"container_id"',)):
        response = told.get("response")
        for item in (told.get("item"), *objects(told.get("output")), *objects(response.get("output") if isinstance(response, dict) else None)):
            yield from made_of("container", item, "container_id")
            yield from made_of("container", item.get("environment") if isinstance(item, dict) else None, "container_id")
