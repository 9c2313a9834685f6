"""What an asker is told before asking, and an approver before deciding: the way it will go, what changes, and what stands out."""

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from accounts import grants
from accounts.grants import Asking, Fact, Line
from accounts.models import Approver, Environment, GrantRequest, RuleStep, ServiceAccount, User
from accounts.requests.asking import checked_request
from accounts.requests.routing import plain_step, rule_for

LATELY = timedelta(days=30)
MANY = 3


@dataclass(frozen=True)
class Foreseen:
    """What would become of a request: by itself, or in which steps, and what it would change."""

    title: str
    is_automatic: bool
    way: tuple[str, ...]
    preview: tuple[Line, ...]
    facts: tuple[Fact, ...]


def foresee(asking: Asking) -> Foreseen:
    """Return what would become of a request if it were filed now; nothing is stored. Raises ValidationError as filing it would."""
    request = checked_request(asking, "foreseen")
    rule, grant = rule_for(request), grants.grant_of(asking.kind)
    is_automatic = bool(rule and rule.is_automatic)
    steps: list[RuleStep] = [] if rule is None or is_automatic else list(rule.steps.order_by("position"))
    way = [in_words(step.approver, step.roles, step.quorum) for step in steps]
    if not is_automatic and not way:
        step = plain_step(request)
        way = [in_words(step.approver, step.roles, 1)]
    return Foreseen(request.title, is_automatic, tuple(way), tuple(grant.preview(request)), tuple(grant.facts(request)))


def in_words(approver: str, roles: list[str], quorum: int) -> str:
    """Say whom a step asks."""
    who = " or ".join(str(User.PlatformRole(role).label) for role in roles if role in User.PlatformRole.values) if approver == Approver.ROLE else ""
    return (who or str(Approver(approver).label)) + (f", {quorum} of them" if quorum > 1 else "")


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
