"""Grants for a while that overlap: where one ends, another that gives the same goes on, and one that came on top goes back to what was before both."""

from collections.abc import Callable
from typing import Any

from accounts.models import GrantRequest


def is_borrowed(kind: str, target: str, given: Any, value: Callable[[GrantRequest], Any], **same: Any) -> bool:
    """Say whether what is there was given for a while by a request, so that it may be asked for again with a later end or none."""
    until_then = GrantRequest.objects.filter(kind=kind, target=target, state=GrantRequest.State.APPLIED, until__isnull=False, **same)
    return any(value(request) == given for request in until_then)


def hand_on(ended: GrantRequest, value: Callable[[GrantRequest], Any], **same: Any) -> bool:
    """Have the grants that came on top of one that ends go back to what was before it; return whether one of them still gives the same.

    `value` is what a request gives, `same` picks requests about the same thing besides kind and target; outcomes hold what was `before`.
    """
    given, before = value(ended), ended.outcome["before"]
    later = GrantRequest.objects.select_for_update(of=("self",)).filter(kind=ended.kind, state=GrantRequest.State.APPLIED, **same).exclude(pk=ended.pk)
    goes_on = False
    for request in later.filter(decided_at__gte=ended.decided_at).order_by("decided_at"):
        if request.outcome["before"] == given:
            request.outcome = {**request.outcome, "before": before}
            request.save(update_fields=["outcome"])
        goes_on = goes_on or value(request) == given
    return goes_on
