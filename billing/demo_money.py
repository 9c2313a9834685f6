"""Taking the demo's money away: its rows go, and the ledger, which never forgets, is posted back to zero for them."""

from collections.abc import Iterable, Iterator

from django.db import transaction
from django.db.models import Q, Sum

from billing import ledger
from billing.ledger import Movement
from billing.models import Budget, CreditAccount, CreditGrant, DisputedHold, Entry, Lease, Limit, Posting, Window

OF_DEMO = Q(project__is_demo=True) | Q(key__project__is_demo=True) | Q(business_unit__is_demo=True)
NAMES_AT_ONCE = 300


@transaction.atomic
def remove_demo_money() -> None:
    """Delete every budget, limit and credit account of demo content with what hangs on them; entries about them are reversed."""
    budgets = Budget.objects.filter(OF_DEMO | Q(is_demo=True))
    accounts = CreditAccount.objects.filter(OF_DEMO | Q(is_demo=True))
    windows = Window.objects.filter(budget__in=budgets)
    names = [name for window in windows.values_list("id", flat=True) for name in (ledger.free(window), ledger.held(window), ledger.consumed(window))]
    names += [ledger.grant_account(grant) for grant in CreditGrant.objects.filter(account__in=accounts).values_list("id", flat=True)]
    ledger.post(Posting.Kind.REVERSE, ledger.once("demo-removed"), list(_back(names)), None, "Demo content was removed.")
    Lease.objects.filter(window__in=windows).delete()
    DisputedHold.objects.filter(window__in=windows).delete()
    windows.delete()
    CreditGrant.objects.filter(account__in=accounts).delete()
    accounts.delete()
    budgets.delete()
    Limit.objects.filter(OF_DEMO).delete()


def _back(names: Iterable[str]) -> Iterator[Movement]:
    """Return the movements that undo everything between these accounts and others."""
    net: dict[tuple[str, str], int] = {}
    for some in _some(list(names)):
        for debit, credit, total in (
            Entry.objects.filter(Q(debit__in=some) | Q(credit__in=some)).order_by().values_list("debit", "credit").annotate(Sum("amount_nanousd"))
        ):
            net[debit, credit] = int(total)
    return (Movement(credit, debit, total) for (debit, credit), total in sorted(net.items()))


def _some(names: list[str]) -> Iterator[list[str]]:
    return (names[start : start + NAMES_AT_ONCE] for start in range(0, len(names), NAMES_AT_ONCE))
