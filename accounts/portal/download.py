"""Lists as files: every list of the portal is a CSV under the same address with `format=csv`, filters included and pages left out."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from accounts.cells import line


def wants_csv(request: HttpRequest) -> bool:
    """Say whether the address asks for the list as a file."""
    return request.GET.get("format") == "csv"


def as_csv(name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> StreamingHttpResponse:
    """Answer with a file of a name and today's date: a heading and one line a row; no cell begins a formula."""

    def lines() -> Iterator[str]:
        yield line(columns)
        for row in rows:
            yield line(row)

    headers = {"Content-Disposition": f'attachment; filename="{name}-{timezone.now():%Y-%m-%d}.csv"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8", headers=headers)
