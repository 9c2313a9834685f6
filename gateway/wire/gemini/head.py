"""Reads the few fields of a Gemini request that the gateway itself needs; the model and whether it streams stand in the path."""

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from gateway.terms import Besides
from gateway.wire import Head
from gateway.wire.gemini.fields import whole
from gateway.wire.given import invalid
from gateway.wire.searches import ASSUMED_SEARCHES

MOST_OUTPUT_TOKENS = 10_000_000
MOST_CANDIDATES = 100
_HEAD = Head()
_SEARCH_TOOLS = frozenset({"googleSearch", "google_search", "googleSearchRetrieval", "google_search_retrieval"})
# Google knows no limit of them
_SEARCHES = Besides(ASSUMED_SEARCHES)


def read_head(parsed: Mapping[str, Any]) -> Head:
    """Return what the gateway reads of a request; an output limit is for all candidates together. Raises WireError("invalid_request")."""
    head = _of_config(_said(parsed, "generationConfig", "generation_config", ""))
    return structs.replace(head, besides=_SEARCHES) if _searches(parsed.get("tools")) else head


def _searches(tools: object) -> bool:
    # an object alone is a list of one to Google
    listed = tools if isinstance(tools, list) else [tools]
    return any(isinstance(tool, dict) and not _SEARCH_TOOLS.isdisjoint(tool) for tool in listed)


def _of_config(config: Any) -> Head:
    if config is None:
        return _HEAD
    if type(config) is not dict:
        raise invalid("generationConfig", "generationConfig must be an object")
    limit = _said(config, "maxOutputTokens", "max_output_tokens", "generationConfig.")
    answers = candidates(config)
    if limit is None or limit == 0:
        return _HEAD if answers == 1 else Head(answers=answers)
    tokens = whole(limit, "generationConfig.maxOutputTokens", 0, MOST_OUTPUT_TOKENS)
    return Head("", False, tokens * answers, answers=answers)


def candidates(config: Mapping[str, Any]) -> int:
    """Return how many answers a configuration asks for. Raises WireError("invalid_request")."""
    count = _said(config, "candidateCount", "candidate_count", "generationConfig.")
    return 1 if count is None else max(1, whole(count, "generationConfig.candidateCount", 0, MOST_CANDIDATES))


def _said(fields: Mapping[str, Any], camel: str, snake: str, place: str) -> Any:
    given, again = fields.get(camel), fields.get(snake)
    if given is None:
        return again
    if again is not None:
        # which of them Google would read is not known, so neither what the answer may cost
        raise invalid(place + camel, f"{place}{camel} is given twice, as camelCase and as snake_case")
    return given
