"""What another system is asked that decides a step: one signed message with everything an approver would read, and where the answer goes."""

from django.conf import settings
from django.utils import timezone

from accounts import grants
from accounts.models import ApprovalStep, OutboxMessage, Severity
from accounts.models.notices import message_id
from accounts.outbox import write

QUESTION = "approval.requested"


def ask(step: ApprovalStep) -> None:
    """Write the question to the outbox, within the caller's transaction; asked again it is a message of its own."""
    request = step.request
    assert step.channel is not None
    message = OutboxMessage(
        reference=f"{QUESTION}:{step.pk}:{message_id()}",
        channel=step.channel,
        kind=QUESTION,
        severity=Severity.INFO,
        title=" ".join(request.title.split())[:200],
        text=request.reason,
        path=f"/approvals/{request.shown_id}",
        facts={
            "request": request.shown_id,
            "version": request.version,
            "step": step.position,
            "kind": request.kind,
            "target": request.target,
            "parameters": request.parameters,
            "amount_nanousd": None if request.granted_nanousd is None else str(request.granted_nanousd),
            "until": request.until.isoformat() if request.until else None,
            "requester": request.requester.email if request.requester else None,
            "service_account": f"sa_{request.service_account.public_id}" if request.service_account else None,
            "project": f"prj_{request.project.pk.hex}" if request.project else None,
            "business_unit": f"bu_{request.business_unit.pk.hex}" if request.business_unit else None,
            "environment": request.environment,
            "changes": [line._asdict() for line in grants.changes_of(request)],
            "decide_until": request.expires_at.isoformat(),
            "answer_url": f"{settings.PUBLIC_URL}/api/v1/approvals/external/{request.shown_id}",
        },
        due_at=timezone.now(),
    )
    write([message])
