"""What an asker is told before asking: the way it will go, who decides, and what changes."""

from dataclasses import dataclass

from django.db import transaction

from accounts import grants
from accounts.grants import Asking, Fact, Line
from accounts.models import ApprovalRule, ApprovalStep, Approver, GrantRequest, User
from accounts.requests.approvers import deciders, open_step
from accounts.requests.asking import checked_request
from accounts.requests.routing import rule_for, steps_of


@dataclass(frozen=True)
class Foreseen:
    """What would become of a request: by itself, or in which steps, and what it would change."""

    title: str
    is_automatic: bool
    way: tuple[str, ...]
    preview: tuple[Line, ...]
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Asks:
    """Whom a step asks: in words, and by name everybody who may decide it now."""

    words: str
    people: tuple[str, ...]


@dataclass(frozen=True)
class Way:
    """How a request would go: by which rule (None: the plain way), by itself, or in which steps."""

    rule: ApprovalRule | None
    is_automatic: bool
    steps: tuple[ApprovalStep, ...]


@transaction.atomic  # a rule with a cap is locked while it is looked at
def way_of(request: GrantRequest) -> Way:
    """Return how a request would go by the rules of now; it need not be stored."""
    rule = rule_for(request)
    if rule is not None and rule.is_automatic:
        return Way(rule, True, ())
    return Way(rule, False, tuple(steps_of(rule, request)))


def foresee(asking: Asking) -> Foreseen:
    """Return what would become of a request if it were filed now; nothing is stored. Raises ValidationError as filing it would."""
    request = checked_request(asking, "foreseen")
    way, grant = way_of(request), grants.grant_of(asking.kind)
    words = tuple(in_words(step.approver, step.roles, step.quorum) for step in way.steps)
    return Foreseen(request.title, way.is_automatic, words, tuple(grant.preview(request)), tuple(grant.facts(request)))


def asked_by(step: ApprovalStep) -> Asks:
    """Return whom a step of a request asks."""
    who = deciders(step)
    names = {user.pk: str(user) for user in User.objects.filter(pk__in={*who, *who.values()})}
    people = sorted(names[person] + (f" for {names[seat]}" if seat != person else "") for person, seat in who.items())
    return Asks(in_words(step.approver, step.roles, step.quorum), tuple(people))


def who_decides(request: GrantRequest) -> Asks | None:
    """Return whom a stored request waits for, None for one that waits for nobody's decision."""
    step = open_step(request) if request.state == GrantRequest.State.SUBMITTED else None
    return asked_by(step) if step else None


def in_words(approver: str, roles: list[str], quorum: int) -> str:
    """Say whom a step asks."""
    who = " or ".join(str(User.PlatformRole(role).label) for role in roles if role in User.PlatformRole.values) if approver == Approver.ROLE else ""
    return (who or str(Approver(approver).label)) + (f", {quorum} of them" if quorum > 1 else "")
