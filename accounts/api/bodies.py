"""Reading JSON bodies: bounded, strict, and exactly one meaning."""

import json
from typing import Any

from rest_framework import exceptions
from rest_framework.parsers import BaseParser

from accounts.api.problems import TooLarge

MOST_BODY_BYTES = 1_048_576


class Json(BaseParser):
    """`application/json` up to 1 MiB, no duplicate names, no NaN."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return the decoded body; raises ParseError or TooLarge."""
        body = stream.read(MOST_BODY_BYTES + 1)
        if len(body) > MOST_BODY_BYTES:
            raise TooLarge(f"A body may have {MOST_BODY_BYTES} bytes.")
        try:
            return json.loads(body.decode(), object_pairs_hook=_once, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise exceptions.ParseError(f"The body is not JSON as this API reads it: {error}"[:300]) from error


class MergePatch(Json):
    """`application/merge-patch+json` (RFC 7396): fields present are changed, null empties."""

    media_type = "application/merge-patch+json"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is not a JSON number")
