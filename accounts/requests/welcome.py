"""What somebody gets at their first sign-in, by rule and without anybody's hand."""

import structlog
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from accounts import audit, grants
from accounts.grants import Asking
from accounts.models import ApprovalRule, GrantRequest, User
from accounts.requests.asking import file

log = structlog.get_logger(__name__)
KIND = "sandbox"
TRIES = 3


def welcome(user: User) -> GrantRequest | None:
    """Give a person without any place their sandbox, once, with as much credit as the rule for it says; None where there is nothing to give.

    A sandbox that cannot be made is logged and keeps nobody from signing in.
    """
    if user.role or not user.is_active or KIND not in grants.kinds() or user.memberships.exists():
        return None
    rule = next((rule for rule in ApprovalRule.objects.filter(is_active=True, is_automatic=True).order_by("position", "name") if KIND in rule.kinds), None)
    if rule is None or not rule.up_to_nanousd:
        return None
    refusal = ""
    for _ in range(TRIES):  # again where another newcomer made the unit of all sandboxes at this very moment
        try:
            return _given(user, rule.up_to_nanousd)
        except ValidationError as error:
            refusal = " ".join(error.messages)
        except IntegrityError as error:
            refusal = str(error)
    log.error("no_sandbox", user=str(user.pk), reason=refusal)
    return None


@audit.act("request.submit")
def _given(user: User, amount_nanousd: int) -> GrantRequest | None:
    User.objects.select_for_update().get(pk=user.pk)  # two sign-ins at once: one sandbox
    if GrantRequest.objects.filter(requester=user, kind=KIND).exists():
        return None
    return file(Asking(KIND, "self", user, amount_nanousd=amount_nanousd), "First sign-in")
