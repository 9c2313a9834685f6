"""What stands out about a request, for whoever decides it."""

from datetime import timedelta

from django.utils import timezone

from accounts import grants
from accounts.models import Environment, GrantRequest, ServiceAccount, User

LATELY = timedelta(days=30)
MANY = 3


def flags(request: GrantRequest) -> list[str]:
    """Return what stands out about a request, for whoever decides it."""
    found = []
    asker: dict[str, User | ServiceAccount | None] = {"requester": request.requester, "service_account": request.service_account}
    others = GrantRequest.objects.filter(**asker).exclude(pk=request.pk)
    lately = others.filter(created_at__gte=timezone.now() - LATELY)
    if request.requester is not None and not others.exists():
        found.append("The first request of this person.")
    if lately.filter(kind=request.kind, target=request.target).count() >= MANY:
        found.append(f"Asked for {MANY} times or more in {LATELY.days} days.")
    if lately.filter(state=GrantRequest.State.DENIED, kind=request.kind).exists():
        found.append(f"The same kind was denied within {LATELY.days} days.")
    if request.environment == Environment.PROD:
        found.append("It is about production.")
    if request.until is None and grants.grant_of(request.kind).revoke is not None:
        found.append("It has no end.")
    if request.version > 1:
        found.append(f"Edited: this is version {request.version}.")
    return found
