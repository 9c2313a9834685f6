"""Links in mails to approvers: bound to one step of one version, to one person, for a week at most, used once. A link only saves the way to the page.

Nothing here decides: whoever follows a link signs in, confirms, and decides by `deciding` as on every other page.
"""

from collections.abc import Callable
from datetime import timedelta

from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from accounts import audit
from accounts.audit.watch import subject_of
from accounts.mail_links import row_of
from accounts.models import ApprovalStep, DecisionLink, GrantRequest, User

LINK_LASTS = timedelta(days=7)
KEPT = timedelta(days=90)
OVER = "This link is over: it was used, its time is up, or the request was edited or decided since. What still waits for you stands under Approvals."


class LinkOver(ValidationError):
    """The link does not lead to a decision any more."""


class NotTheirs(PermissionDenied):
    """The link was made for somebody else, or by nobody."""


def make_link(step: ApprovalStep, approver: User) -> DecisionLink:
    """Return a new link for one approver to decide an open step."""
    expires_at = min(step.request.expires_at, timezone.now() + LINK_LASTS)
    return DecisionLink.objects.create(step=step, approver=approver, expires_at=expires_at)


def opened(token: str, user: User) -> DecisionLink:
    """Return the link of a token for who follows it; nothing is written but that somebody else tried. Raises NotTheirs or LinkOver."""
    row = row_of(token)
    link = DecisionLink.objects.select_related("step__request").filter(pk=row).first() if row else None
    if link is None:
        raise NotTheirs("There is no such link.")
    if link.approver_id != user.pk:
        audit.record("decision-link.refuse", subject_of(link.step.request), outcome="refused", reason="The link was made for somebody else.")
        raise NotTheirs("There is no such link.")
    step, request = link.step, link.step.request
    is_asked = step.state == ApprovalStep.State.OPEN and request.state == GrantRequest.State.SUBMITTED and step.version == request.version
    if link.used_at is not None or link.expires_at <= timezone.now() or not is_asked or step.decisions.filter(approver=user).exists():
        raise LinkOver(OVER)
    return link


@audit.act("decision-link.use")
def decide(link: DecisionLink, decision: Callable[[], GrantRequest]) -> GrantRequest:
    """Use a link up and make its owner's decision, both or neither. Raises LinkOver for one that was used meanwhile, and what the decision raises."""
    if not DecisionLink.objects.filter(pk=link.pk, used_at=None).update(used_at=timezone.now()):
        raise LinkOver(OVER)
    audit.record("decision-link.use", subject_of(link.step.request))
    return decision()


def prune() -> int:
    """Forget links that ended long ago; return how many."""
    return DecisionLink.objects.filter(expires_at__lt=timezone.now() - KEPT).delete()[0]
