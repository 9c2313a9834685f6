"""Who hears of a request: those who decide next, and whoever asked. Written to the outbox within the transaction of what happened."""

from collections.abc import Iterable

from django.utils import timezone

from accounts import outbox
from accounts.models import ApprovalStep, GrantRequest, Severity, User

MORE_THAN_ONCE = "%Y-%m-%dT%H:%M"


def tell_approvers(step: ApprovalStep, people: Iterable[User], *, again: bool = False) -> None:
    """Tell channels of the place that a request waits, and by whom it can be decided."""
    request = step.request
    names = ", ".join(user.email for user in people) or "nobody yet"
    moment = f":{timezone.now():{MORE_THAN_ONCE}}" if again or step.escalations else ""
    outbox.notify(
        reference=f"request:{request.pk.hex}:{request.version}:{step.position}:{step.escalations}{moment}",
        kind="request.waiting",
        severity=Severity.INFO,
        title=f"{'Reminder: ' if again else ''}{request.title}",
        text=f"{asker_of(request)} asks: {request.title}\n\n{request.reason}\n\nTo be decided by {names}.",
        path=f"/approvals/{request.shown_id}",
        facts={"request": request.shown_id, "version": request.version, "kind": request.kind, "step": step.position},
        project=request.project,
        unit=request.business_unit,
    )


def tell_asker(request: GrantRequest, more: str = "") -> None:
    """Tell channels of the place what became of a request."""
    outbox.notify(
        reference=f"request:{request.pk.hex}:{request.version}:{request.state}:{timezone.now():{MORE_THAN_ONCE}}",
        kind=f"request.{request.state}",
        severity=Severity.INFO,
        title=f"{request.get_state_display()}: {request.title}",
        text=f"{request.title} is {request.get_state_display().lower()}.\n\n{more}".strip(),
        path=f"/requests/{request.shown_id}",
        facts={"request": request.shown_id, "version": request.version, "kind": request.kind, "state": request.state},
        project=request.project,
        unit=request.business_unit,
    )


def asker_of(request: GrantRequest) -> str:
    """Return who asked, in words."""
    return str(request.requester or request.service_account or "The system")
