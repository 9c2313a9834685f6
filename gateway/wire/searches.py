"""Searches of the web that vendors make by themselves: how many a request may cause. Knows no prices and no answers."""

from collections.abc import Iterable, Mapping
from typing import Any

# more than this in one call is no number to believe
MOST_SEARCHES = 10_000
# of a tool without a limit of its own; what is more is an overrun of the budget
ASSUMED_SEARCHES = 10
_NAME = "web_search"


def searching(tools: object) -> list[Mapping[str, Any]]:
    """Return those of a request's tools with which the vendor searches the web."""
    given = tools if isinstance(tools, list) else ()
    return [tool for tool in given if isinstance(tool, dict) and isinstance(tool.get("type"), str) and tool["type"].startswith(_NAME)]


def most_searches(limits: Iterable[object]) -> int:
    """Return how many searches tools may make together, by what limits each: ASSUMED_SEARCHES where that is no number."""
    each = [min(limit, MOST_SEARCHES) if type(limit) is int and limit >= 0 else ASSUMED_SEARCHES for limit in limits]
    return min(sum(each), MOST_SEARCHES)
