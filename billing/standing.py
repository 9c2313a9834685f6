"""How budgets and credit stand now: what is spent, held and left of the windows that are open. Reads only."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from django.db.models import Q, Sum

from billing.models import Budget, CreditAccount, CreditGrant, Window
from billing.windows import database_now


class Standing(NamedTuple):
    """Figures of a budget's open windows in the budget's unit; `left` is None where every session or end user has a window of their own."""

    amount: int
    credit: int
    spent: int
    held: int
    overrun: int
    left: int | None
    opens_at: datetime | None
    closes_at: datetime | None
    windows: int

    @property
    def used_percent(self) -> int:
        """Return how much of what may be spent is spent or held, in whole percent."""
        return (self.spent + self.held) * 100 // (self.amount + self.credit) if self.amount + self.credit else 100 if self.spent else 0


def standings(budgets: Iterable[Budget]) -> dict[str, Standing]:
    """Return how each budget stands, by its id, in one query; a budget nothing was asked of yet has spent nothing."""
    wanted = {budget.id: budget for budget in budgets}
    now = database_now()
    found: dict[str, list[Window]] = {name: [] for name in wanted}
    is_open = Q(closes_at=None) | Q(closes_at__gt=now)
    for window in Window.objects.filter(is_open, budget__in=list(wanted), opens_at__lte=now, closed_at=None).order_by("opens_at"):
        assert window.budget_id is not None
        found[window.budget_id].append(window)
    return {name: _standing(budget, found[name]) for name, budget in wanted.items()}


def _standing(budget: Budget, windows: list[Window]) -> Standing:
    credit, spent, held, overrun = (sum(getattr(one, name) for one in windows) for name in ("credit", "spent", "held", "overrun"))
    first = windows[0] if windows else None
    left = None if budget.per else max(0, budget.amount + credit - spent - held)
    return Standing(budget.amount, credit, spent, held, overrun, left, first.opens_at if first else None, first.closes_at if first else None, len(windows))


def usable_credit(accounts: Iterable[CreditAccount]) -> dict[str, int]:
    """Return the unexpired credit that no window has drawn yet, in nano-USD by account."""
    names = [account.id for account in accounts]
    alive = CreditGrant.objects.filter(Q(expires_at=None) | Q(expires_at__gt=database_now()), account__in=names)
    sums = dict(alive.order_by().values_list("account").annotate(Sum("remaining_nanousd")))
    return {name: int(sums.get(name, 0)) for name in names}
