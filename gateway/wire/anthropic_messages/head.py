"""Reads the few fields of a Messages request that the gateway itself needs; everything else passes."""

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.terms import Besides
from gateway.wire import Head, WireError
from gateway.wire.given import misfit
from gateway.wire.searches import most_searches, searching

MOST_OUTPUT_TOKENS = 10_000_000
# https://docs.claude.com/en/docs/build-with-claude/compaction: no conversation below this is compacted; how long a summary is, nobody says
COMPACTS_FROM_TOKENS = 50_000
SUMMARY_TOKENS = 20_000


class _Metadata(msgspec.Struct):
    user_id: str | None = None


class _Fields(msgspec.Struct):
    model: str
    stream: bool | None = None
    max_tokens: int | None = None
    metadata: _Metadata | None = None


_convert = msgspec.convert


def read_head(parsed: Mapping[str, Any]) -> Head:
    """Return what the gateway reads of a request. Raises WireError("invalid_request")."""
    try:
        fields = _convert(parsed, _Fields)
    except msgspec.ValidationError as error:
        raise misfit(error) from None
    output_tokens = fields.max_tokens or 0
    if not 0 <= output_tokens <= MOST_OUTPUT_TOKENS:
        raise WireError("invalid_request", "max_tokens must be between 1 and 10 000 000.", "max_tokens")
    end_user = (fields.metadata.user_id or "") if fields.metadata is not None else ""
    besides = _besides(parsed) if "tools" in parsed or "context_management" in parsed else None
    # by position: a third of the time by name
    return Head(fields.model, bool(fields.stream), output_tokens, True, end_user, 0, None, 1, besides)


def _besides(parsed: Mapping[str, Any]) -> Besides | None:
    """Return the web searches and the summary that a request may have the vendor make, None for neither."""
    searches = most_searches(tool.get("max_uses") for tool in searching(parsed.get("tools")))
    summary_tokens = SUMMARY_TOKENS if _compacts(parsed.get("context_management")) else 0
    return Besides(searches, summary_tokens, COMPACTS_FROM_TOKENS) if searches or summary_tokens else None


def _compacts(managed: object) -> bool:
    edits = managed.get("edits") if isinstance(managed, dict) else None
    return isinstance(edits, list) and any(isinstance(edit, dict) and str(edit.get("type")).startswith("compact") for edit in edits)
