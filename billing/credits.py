"""Credit: amounts given to a project, key or business unit on top of its budgets, drawn by their windows when the base is used up."""

from collections.abc import Sequence
from datetime import datetime

from django.db.models import F, Q

from billing import ledger
from billing.ledger import Movement
from billing.models import Budget, CreditAccount, CreditGrant


def draw(budget: Budget, window: str, need_nanousd: int, now: datetime) -> Sequence[Movement]:
    """Take exactly what is needed out of the grants of the budget's scope, the earliest end first; nothing when they do not suffice.

    For the window's own transaction, its lock held: the caller adds it to the window's credit and writes the posting.
    """
    scope = {"project": budget.project_id, "key": budget.key_id, "business_unit": budget.business_unit_id}
    account = CreditAccount.objects.select_for_update(no_key=True).filter(is_frozen=False, **scope).first()
    if account is None:
        return []
    usable = CreditGrant.objects.select_for_update(no_key=True).filter(Q(expires_at=None) | Q(expires_at__gt=now), account=account, remaining_nanousd__gt=0)
    movements: list[Movement] = []
    for grant in usable:
        part = min(need_nanousd, grant.remaining_nanousd)
        movements.append(Movement(ledger.grant_account(grant.id), ledger.free(window), part))
        need_nanousd -= part
        if not need_nanousd:
            break
    if need_nanousd:
        return []
    for move in movements:
        CreditGrant.objects.filter(id=int(move.debit.removeprefix("grant:"))).update(remaining_nanousd=F("remaining_nanousd") - move.amount_nanousd)
    return movements
