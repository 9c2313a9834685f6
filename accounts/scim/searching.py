"""Finding resources by a SCIM filter, a page at a time."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from scim2_models import ListResponse, SearchRequest
from scim2_models.path.expressions import CompareOperator, Comparison, LogicalExpr, LogicalOperator

from accounts.scim.kinds import Kind
from accounts.scim.resources import MOST_RESULTS

ROWS_AT_A_TIME = 500
# Where no directory has anybody, and databases still count.
MOST_START = 2**31


def search(kind: Kind, asked: SearchRequest[Any], origin: str) -> "ListResponse[Any]":
    """Return one page of the resources that fit; the database narrows what it can, the rest is decided resource by resource."""
    found = kind.rows()
    start, count = min(asked.start_index_0 or 0, MOST_START), min(MOST_RESULTS if asked.count is None else asked.count, MOST_RESULTS)
    if asked.filter is None:
        total = found.count()
        page = [kind.resource_of(row, origin) for row in found[start : start + count]]
    else:
        candidates = (kind.resource_of(row, origin) for row in narrowed(kind, found, asked.filter.ast).iterator(ROWS_AT_A_TIME))
        fitting = [resource for resource in candidates if asked.filter.match(resource)]
        total, page = len(fitting), fitting[start : start + count]
    response: Any = ListResponse[kind.model]  # type: ignore[name-defined]  # made for each kind as it is asked for
    answer: ListResponse[Any] = response(total_results=total, start_index=start + 1, items_per_page=len(page), resources=page)
    return answer


def narrowed(kind: Kind, found: QuerySet[Any], node: Any) -> QuerySet[Any]:
    """Return the rows that can fit a filter: fewer wherever it demands that an attribute the database knows equals something."""
    terms = node.terms if isinstance(node, LogicalExpr) and node.op == LogicalOperator.and_ else (node,)
    for term in terms:
        if isinstance(term, Comparison) and term.op == CompareOperator.eq and term.attr_path.sub_attr is None:
            column = kind.look_ups.get(term.attr_path.attr.lower())
            if column is not None and isinstance(term.value, str):
                try:
                    term.value.encode()
                    found = found.filter(**{column: term.value.replace("\0", "")})
                except (ValidationError, ValueError):  # an id of another form, or half a character
                    return found.none()
    return found
